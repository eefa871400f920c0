"""Handshakes that other clusters begin: answered in two requests, kept in memory between them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from host.domain.ids import EpochMs, HoldingIdentity
from host.network.link import channel_in, responder
from host.network.link.admission import (
    HELLOS,
    HELLOS_PER_ADDRESS,
    Failures,
    HalfOpen,
    Rate,
)
from host.network.link.channel_in import RxState
from host.network.link.frames import Frame, RefusalHint, refusal
from host.network.link.handshake import (
    Established,
    Failed,
    Failure,
    Found,
    Input,
    NeedPeer,
    NeedSignature,
    Received,
    Send,
    Signed,
)
from host.network.link.inbox import read_rx, rx_write
from host.network.link.limits import VALID_MS_MAX, LimitsOf
from host.network.link.members import LinkKeys, LinkMembers
from host.network.link.responder import HelloAnswered, ResponderStep
from host.network.link.sessions import Session, SessionStore, inbound_key, session_of
from host.network.link.suites import Secrets
from host.network.values.pair import pair_of
from host.ports.clock import Entropy, TwoClocks
from host.ports.keys import KeyCategory
from host.ports.link import TlsPeer
from host.ports.public_keys import PublicKeys
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import StateStore, Unit

SESSIONS_MAX = 4
"""Inbound sessions of one pair; the oldest goes."""
_TRIES = 5
_EARLIER_MS = 20 * 60_000
"""Sessions last up to this time less than the longest, so that not all end together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeFailed:
    """For the log: why a handshake of another cluster failed. The peer is not told."""

    address: str
    failure: Failure
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMade:
    """For metrics: a handshake has succeeded, begun here or by another cluster."""

    is_initiator: bool


class RateExceededError(Exception):
    """An address asks too often."""


@dataclass(slots=True, kw_only=True)
class Handshakes:
    """The responder. Thread-safe: handshakes are answered side by side, and share commits.

    Args:
        suites: key agreements of this host, the preferred one first.
    """

    store: StateStore
    sessions: SessionStore
    members: LinkMembers
    keys: LinkKeys
    public_keys: PublicKeys
    clock: TwoClocks
    entropy: Entropy
    suites: tuple[int, ...]
    software: str
    events: Callable[[HandshakeFailed | SessionMade], None]
    heard: Callable[[HoldingIdentity, HoldingIdentity], None]
    limits: LimitsOf
    _rate: Rate = field(default_factory=lambda: Rate(HELLOS_PER_ADDRESS, HELLOS))
    _failures: Failures = field(default_factory=Failures)
    _open: HalfOpen[HelloAnswered] = field(default_factory=HalfOpen)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    """Of the three above; held for moments."""

    def hello(self, frame: Frame, peer: TlsPeer) -> Frame:
        """Answer the first message.

        Raises:
            RateExceededError: the address asks too often, or failed too often.
        """
        now = self.clock.steady_ms()
        with self._guard:
            is_refused = self._failures.refuses(peer.address, now)
            if is_refused or not self._rate.admits(peer.address, now):
                raise RateExceededError
        secrets = Secrets(
            x25519=self.entropy.random_bytes(32), random=self.entropy.random_bytes(32)
        )
        step = responder.answer(frame, secrets, self.suites)
        if isinstance(step.state, HelloAnswered) and isinstance(step.command, Send):
            realm = step.state.hello.asked.realm
            if not self.members.admits_client(realm, peer.chain):
                return self._refused(frame, ResponderStep(Failed(Failure.CLIENT)), peer)
            with self._guard:
                self._open.add(frame.header.session, peer.address, now, step.state)
            return step.command.frame
        return self._refused(frame, step, peer)

    def conclude(self, frame: Frame, peer: TlsPeer) -> Frame:
        """Answer the second message. The session is stored when this returns its answer.

        Raises:
            StorageError: the store cannot be used.
        """
        with self._guard:
            state = self._open.pop(frame.header.session, self.clock.steady_ms())
        if state is None:
            return refusal(frame.header.session, RefusalHint.UNKNOWN_HANDSHAKE)
        step, given = ResponderStep(state), Received(frame)
        answer: Input | None = given
        wanted: NeedPeer | None = None
        while answer is not None:
            step = responder.step(step.state, answer, self.public_keys)
            wanted = step.command if isinstance(step.command, NeedPeer) else wanted
            answer = self._answered(step)
        own = None if wanted is None else self.members.local(wanted.realm, wanted.own_key)
        if own is not None:
            tell_if_moved(self.members, own.holding, step.state)
        if not isinstance(step.state, Established) or not isinstance(step.command, Send):
            return self._refused(frame, step, peer)
        agreed = step.state.agreed
        self._store(step.state)
        self.events(SessionMade(is_initiator=False))
        self.heard(agreed.own, agreed.peer)
        theirs = (agreed.peer_list_version, agreed.peer_head_hash)
        tell_if_behind(self.members, agreed.own, *theirs)
        return step.command.frame

    def _answered(self, step: ResponderStep) -> Input | None:
        match step.command:
            case NeedPeer():
                return self._found(step.command)
            case NeedSignature():
                return Signed(sign(self.keys, step.command))
            case _:
                return None

    def _found(self, wanted: NeedPeer) -> Found:
        own = self.members.local(wanted.realm, wanted.own_key)
        if own is None:
            return Found(own=None, peer=None)
        key = next(key for key in own.keys if key.digest == wanted.own_key)
        peer = self.members.peer_of_key(own.holding, wanted.peer_key)
        earlier = int.from_bytes(self.entropy.random_bytes(4), "big") % _EARLIER_MS
        return Found(
            own=own.own(
                key,
                self.members.list_version(own.holding),
                software=self.software,
                max_message=self.limits().message_bytes_max,
            ),
            peer=None if peer is None else peer.peer(),
            valid_ms=VALID_MS_MAX - earlier,
        )

    def _store(self, established: Established) -> None:
        """Store a session, and delete the oldest of its pair if there are too many.

        Raises:
            StateConflictError: the pair's messages and handshakes change its state all the time.
            StorageError: the store cannot be used.
        """
        now = self.clock.now_ms()
        session = session_of(
            established.agreed, now, is_initiator=False, refresh_ms=self.limits().refresh_ms
        )
        gone = self._stored_at_last(session, now)
        for each in gone:
            self.sessions.forget(each)
        self.sessions.remember(session)

    def _stored_at_last(self, session: Session, now: EpochMs) -> Sequence[bytes]:
        for _ in range(_TRIES - 1):
            try:
                return self._stored(session, now)
            except StateConflictError:
                continue
        return self._stored(session, now)

    def _stored(self, session: Session, now: EpochMs) -> Sequence[bytes]:
        """Store a session; the ids of those that are deleted."""
        pair = pair_of(session.source_holding(), session.target_holding())
        stored = self.store.get(channel_in.state_key(pair))
        state = RxState() if stored is None else read_rx(stored.value)
        version = 0 if stored is None else stored.version
        kept, gone = channel_in.with_session(state, session.keys.session_id, SESSIONS_MAX)
        deleted = (StateWrite(key=inbound_key(each), value=None, expected=None) for each in gone)
        writes = (self.sessions.inbound_write(session), rx_write(pair, kept, version, now))
        self.store.commit(Unit(states=(*writes, *deleted)))
        return gone

    def _refused(self, frame: Frame, step: ResponderStep, peer: TlsPeer) -> Frame:
        failed = step.state if isinstance(step.state, Failed) else Failed(Failure.FORM)
        with self._guard:
            self._failures.failed(peer.address, self.clock.steady_ms())
        self.events(
            HandshakeFailed(address=peer.address, failure=failed.failure, detail=failed.detail)
        )
        return refusal(frame.header.session, failed.refusal)


def sign(keys: LinkKeys, need: NeedSignature) -> bytes:
    """The signature that a handshake needs, by a session key of an identity here."""
    return keys.sign(
        need.identity.short_hash,
        need.key.pem,
        need.data,
        need.key.spec,
        (KeyCategory.SESSION_INIT, KeyCategory.LEDGER),
    )


def tell_if_moved(members: LinkMembers, viewer: HoldingIdentity, state: object) -> None:
    """Have the list asked for if a peer has proved to be at a newer place than the list has.

    Until that list is here the handshake fails: who says where a member is, is its MGM.
    """
    if isinstance(state, Failed) and state.failure is Failure.LOCATION_NEWER:
        version, _ = members.list_version(viewer)
        members.behind(viewer, version + 1, b"")


def tell_if_behind(
    members: LinkMembers, viewer: HoldingIdentity, version: int, head_hash: bytes
) -> None:
    """Tell membership of a peer's list that is newer, or another one of the same version."""
    own_version, own_hash = members.list_version(viewer)
    if version > own_version or (version == own_version and head_hash != own_hash):
        members.behind(viewer, version, head_hash)
