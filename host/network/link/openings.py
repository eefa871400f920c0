"""Sessions over which a pair sends: taken over from the store, or opened by a handshake."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from host.network.link import initiator, peers
from host.network.link.frames import LANE_MAX, Frame
from host.network.link.handshake import (
    Established,
    Failed,
    Input,
    NeedSignature,
    Received,
    Send,
    Signed,
)
from host.network.link.handshakes import SessionMade, sign, tell_if_behind, tell_if_moved
from host.network.link.initiator import InitiatorStep, Intent
from host.network.link.limits import LimitsOf
from host.network.link.members import LinkIdentity, LinkKeys, LinkMembers, LinkPeer
from host.network.link.outbox import Outbox
from host.network.link.outgoing import Pair
from host.network.link.sessions import Session, SessionStore, session_of
from host.network.link.suites import Secrets
from host.ports.clock import Entropy, TwoClocks
from host.ports.public_keys import PublicKeys

COUNTERS_MAX = 2**24
"""Frames of one session in one process."""


@dataclass(slots=True, kw_only=True)
class Openings:
    """Not thread-safe: the service serialises it."""

    outbox: Outbox
    sessions: SessionStore
    members: LinkMembers
    keys: LinkKeys
    public_keys: PublicKeys
    clock: TwoClocks
    entropy: Entropy
    suites: tuple[int, ...]
    software: str
    events: Callable[[SessionMade], None]
    limits: LimitsOf

    def session(self, pair: Pair, own: LinkIdentity, peer: LinkPeer) -> Session | None:
        """The session over which a pair may send now; None: it needs a handshake.

        Raises:
            HostError: the store or the key store cannot be used; as `Outbox.write`.
        """
        if not pair.is_session_read:
            self._adopt(pair)
            pair.is_session_read = True
        self._check(pair, own, peer)
        return pair.session

    def message(self, pair: Pair, own: LinkIdentity, peer: LinkPeer) -> bytes:
        """The handshake's next message; its first one, with new secrets, if none is ready."""
        if pair.next_frame is None:
            key = peer.keys[pair.keys_tried % len(peer.keys)]
            version = self.members.list_version(pair.source)
            intent = Intent(
                own=own.own(
                    own.keys[0],
                    version,
                    software=self.software,
                    max_message=self.limits().message_bytes_max,
                ),
                peer=peer.peer(),
                peer_key=key,
                secrets=Secrets(
                    x25519=self.entropy.random_bytes(32),
                    random=self.entropy.random_bytes(32),
                    session=self.entropy.random_bytes(16),
                    ml_kem=self.entropy.random_bytes(64),
                ),
                suites=self.suites,
            )
            step = initiator.begin(intent)
            pair.handshake = step.state
            assert isinstance(step.command, Send)  # noqa: S101  # of `begin`
            return step.command.frame.encode()
        body, pair.next_frame = pair.next_frame, None
        return body

    def answered(self, pair: Pair, frame: Frame) -> str | None:
        """Continue a handshake with the peer's answer; returns why it has failed, if so.

        Raises:
            HostError: the store or the key store cannot be used; as `Outbox.write`.
        """
        answer: Input | None = Received(frame)
        step = InitiatorStep(pair.handshake) if pair.handshake is not None else None
        while step is not None and answer is not None:
            step = initiator.step(step.state, answer, self.public_keys)
            need = step.command
            answer = Signed(sign(self.keys, need)) if isinstance(need, NeedSignature) else None
        match step:
            case InitiatorStep(Established(agreed)):
                now = self.clock.now_ms()
                self._store(
                    pair,
                    session_of(agreed, now, is_initiator=True, refresh_ms=self.limits().refresh_ms),
                )
                self.events(SessionMade(is_initiator=True))
                pair.peer = peers.heard(pair.peer)
                theirs = (agreed.peer_list_version, agreed.peer_head_hash)
                tell_if_behind(self.members, pair.source, *theirs)
                return None
            case InitiatorStep(Failed() as failed):
                tell_if_moved(self.members, pair.source, failed)
                pair.drop_session()
                return f"handshake: {failed.failure} {failed.detail}"
            case InitiatorStep(state, Send(sent)):
                pair.handshake, pair.next_frame = state, sent.encode()
                return None
            case _:
                return "an answer that nothing had asked for"

    def _adopt(self, pair: Pair) -> None:
        """Take the stored session over: its next lane is this process's, before any frame."""
        found = self.sessions.outbound(pair.name)
        if found is None:
            pair.session_version = 0
            return
        session, pair.session_version = found
        if session is not None and session.lane < LANE_MAX:
            self._store(pair, replace(session, lane=session.lane + 1))

    def _store(self, pair: Pair, session: Session) -> None:
        self.outbox.ready(pair)
        write = self.sessions.outbound_write(pair.name, session, expected=pair.session_version)

        def applied() -> None:
            pair.session_version += 1
            pair.session, pair.counter = session, 0
            pair.handshake = pair.next_frame = None

        self.outbox.write(pair, write, applied)

    def _check(self, pair: Pair, own: LinkIdentity, peer: LinkPeer) -> None:
        """Drop a session that is too old, unanswered, or of other keys than the lists have."""
        session = pair.session
        if session is None:
            return
        is_silent = (
            pair.unanswered_since is not None
            and self.clock.steady_ms() - pair.unanswered_since >= self.limits().session_timeout_ms
        )
        is_current = (
            session.realm == own.realm
            and session.own_key in {key.digest for key in own.keys}
            and session.peer_key in {key.digest for key in peer.keys}
            and session.peer_location_epoch >= peer.location_epoch
        )
        is_used_up = session.refresh_at <= self.clock.now_ms() or pair.counter >= COUNTERS_MAX
        if is_silent or is_used_up or not is_current:
            pair.drop_session()
