"""Messages of other clusters: what a request's frames do here, and its answer.

Everything that a request changes is one unit: the numbers that were taken, and a record for each
message. The answer follows the commit, so that an acknowledged message is durable.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from host.domain.accounts import Account
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.x500 import InvalidX500NameError
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.messages import IN_TOPIC, decode_message
from host.flow.core.peer_messages import is_sound
from host.flow.core.versioned_codec import read_stored
from host.network.link import channel_in, told
from host.network.link.channel_in import KEPT_MS, RxState, Verdict
from host.network.link.channel_out import DeliveryCode
from host.network.link.frames import (
    NO_SESSION,
    Ack,
    Close,
    Data,
    Frame,
    FramesUnreadableError,
    Heartbeat,
    Kind,
    RefusalHint,
    decode_body,
    refusal,
)
from host.network.link.members import LinkIdentity, LinkMembers
from host.network.link.protection import FrameForgedError, acknowledge, unprotect
from host.network.link.routes import HOLD_MS, NetworkRoutes
from host.network.link.sessions import GROUP, Session, SessionStore, inbound_key
from host.network.values.p2p_out import Subsystem
from host.network.values.pair import pair_of
from host.ports.bus import NewRecord, Placement
from host.ports.clock import Clock
from host.ports.link import TlsPeer
from host.ports.quotas import Quotas
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import StateStore, Unit

CREDIT_MESSAGES = 1_000
CREDIT_BYTES = 32 * 1024 * 1024
_CREDIT_SHARE = 4
"""A pair may have a quarter of what its receiver has free."""
_TRIES = 5
REFUSED = "refused"
_OF_FLOWS = Subsystem.FLOW.value

Heard = Callable[[HoldingIdentity, HoldingIdentity], None]
"""Called with an identity here and a peer that has just sent it a valid frame."""


class BusyError(Exception):
    """Others change the same states all the time: the peer is to try again."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a request's messages do."""

    state: RxState
    channel: channel_in.RxChannel | None = None
    records: tuple[NewRecord, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    is_new: bool = False


_rx_encoder = msgspec.msgpack.Encoder()
_rx_decoder = msgspec.msgpack.Decoder(RxState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """Frames of sessions. Thread-safe."""

    store: StateStore
    sessions: SessionStore
    members: LinkMembers
    routes: NetworkRoutes
    quotas: Quotas
    clock: Clock
    heard: Heard

    def receive(self, frames: Sequence[Frame], peer: TlsPeer) -> Frame:
        """Process the frames of one session; returns the answer.

        Args:
            frames: of one session, at least one.
            peer: who carries them.

        Raises:
            BusyError: it is to be tried again.
            StorageError: the store cannot be used.
        """
        session_id = frames[0].header.session
        session = self.sessions.inbound(session_id)
        now = self.clock.now_ms()
        if session is None or session.expires_at <= now:
            return refusal(session_id, RefusalHint.UNKNOWN_SESSION)
        if not self.members.admits_client(session.realm, peer.chain):
            return refusal(session_id, RefusalHint.REFUSED)
        own = self._current(session)
        if own is None:
            self._end(session)
            return refusal(session_id, RefusalHint.UNKNOWN_SESSION)
        last = frames[-1].header
        source, target = session.source_holding(), session.target_holding()
        if self.routes.admits(source, target) is not None:
            # Not even decrypted: a suspended member costs as little as possible.
            return acknowledge(session.keys, last, self._ack(own, _Taken(RxState()), credit=0))
        try:
            bodies = [_read(session, frame) for frame in frames]
        except (FrameForgedError, FramesUnreadableError):
            return refusal(session_id, RefusalHint.REFUSED)
        self.heard(target, source)
        is_held = self.routes.holds(target)
        messages = [
            body
            for body in bodies
            if isinstance(body, Data) and not (is_held and body.subsystem == _OF_FLOWS)
        ]
        taken = self._take(session, messages) if messages else _Taken(RxState())
        if any(isinstance(body, Close) for body in bodies):
            self._end(session)
        held_ms = HOLD_MS if is_held else 0
        ack = self._ack(own, taken, credit=self._credit(target), held_ms=held_ms)
        return acknowledge(session.keys, last, ack)

    def _current(self, session: Session) -> LinkIdentity | None:
        """The identity here of a session, while both sides' keys and places are those of it."""
        own = self.members.local(session.realm, session.own_key)
        if own is None or own.holding != session.target_holding():
            return None
        peer = self.members.peer_of_key(own.holding, session.peer_key)
        if peer is None or peer.holding != session.source_holding():
            return None
        is_stale = session.peer_location_epoch < peer.location_epoch
        return None if is_stale else own

    def _end(self, session: Session) -> None:
        session_id = session.keys.session_id
        self.sessions.forget(session_id)
        write = StateWrite(key=inbound_key(session_id), value=None, expected=None)
        self.store.commit(Unit(states=(write,)))

    def _take(self, session: Session, messages: Sequence[Data]) -> _Taken:
        pair = pair_of(session.source_holding(), session.target_holding())
        key = channel_in.state_key(pair)
        for _ in range(_TRIES):
            stored = self.store.get(key)
            state = RxState() if stored is None else read_rx(stored.value)
            taken = self._taken(session, state, messages)
            if not taken.is_new:
                return taken
            write = rx_write(pair, taken.state, 0 if stored is None else stored.version, self._now)
            try:
                self.store.commit(Unit(states=(write,), records=taken.records))
            except StateConflictError:
                continue
            return taken
        raise BusyError

    def _taken(self, session: Session, state: RxState, messages: Sequence[Data]) -> _Taken:
        """Which messages are taken; those of another channel than the first are not."""
        now = self._now
        opened = channel_in.opened(state, messages[0].channel, messages[0].base, now)
        if opened is None:
            return _Taken(state)
        others, channel = opened
        records: list[NewRecord] = []
        refused: list[tuple[int, str]] = []
        for message in messages:
            if message.channel != channel.channel:
                continue
            found = self._record(session, message)
            if isinstance(found, str):
                refused.append((message.n, found))
                continue
            channel, verdict = channel_in.take(channel, message.n, message.base)
            if verdict is Verdict.NEW:
                records.append(found)
        return _Taken(
            channel_in.closed(others, channel, now),
            channel,
            tuple(records),
            tuple(refused),
            is_new=bool(records),
        )

    def _record(self, session: Session, message: Data) -> NewRecord | str:
        """The record of a message, or the code by which it is refused for ever."""
        source, target = session.source_holding(), session.target_holding()
        if len(message.payload) > session.max_message:
            return DeliveryCode.TOO_LARGE
        try:
            subsystem = Subsystem(message.subsystem)
        except ValueError:
            return REFUSED
        if subsystem is Subsystem.PING:
            return REFUSED
        if subsystem is Subsystem.MEMBERSHIP:
            return told.arrived(source, target, message.message_id, message.payload)
        refused = self.routes.accepts(source, target)
        if refused is not None:
            return refused.code
        return flow_record(source, target, message.payload) or REFUSED

    def _ack(self, own: LinkIdentity, taken: _Taken, *, credit: int, held_ms: int = 0) -> Ack:
        version, head_hash = self.members.list_version(own.holding)
        channel = taken.channel
        return Ack(
            channel=NO_SESSION if channel is None else channel.channel,
            upto=0 if channel is None else channel.upto,
            ranges=() if channel is None else channel.ranges,
            refused=taken.refused,
            credit_messages=CREDIT_MESSAGES if credit else 0,
            credit_bytes=credit,
            hold_until_ms=held_ms,
            list_version=version,
            head_hash=head_hash,
        )

    def _credit(self, target: HoldingIdentity) -> int:
        """Bytes that a pair may send next."""
        node = target.short_hash
        most = self.quotas.quota(node).bus_bytes_max
        free = most - self.store.balance(node, Account.BUS).bytes
        return max(0, min(CREDIT_BYTES, free // _CREDIT_SHARE))

    @property
    def _now(self) -> EpochMs:
        return self.clock.now_ms()


def flow_record(
    source: HoldingIdentity, target: HoldingIdentity, payload: bytes
) -> NewRecord | None:
    """The record by which a session message reaches its flow.

    None if it is not these members', or beyond what a flow engine would have made.
    """
    try:
        message = decode_message(payload)
        named = (message.source.holding(), message.target.holding())
    except (FlowRecordDamagedError, InvalidX500NameError):
        return None
    if named != (source, target) or not is_sound(message):
        return None
    return NewRecord(
        topic=IN_TOPIC,
        key=message.session_id,
        value=payload,
        node=target.short_hash,
        peer=source.short_hash,
    )


def read_rx(value: bytes) -> RxState:
    """Read the state of a receiving end.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return read_stored(_rx_decoder, value, "a channel")


def rx_write(pair: str, state: RxState, expected: int, now: EpochMs) -> StateWrite:
    """The write of a receiving end; it is deleted when it was not used for a long time."""
    return StateWrite(
        key=channel_in.state_key(pair),
        value=_rx_encoder.encode(state),
        expected=expected,
        due_at=EpochMs(now + KEPT_MS),
        place=Placement(group=GROUP, key=pair),
    )


def _read(session: Session, frame: Frame) -> Data | Heartbeat | Close:
    """The content of a frame.

    Raises:
        FrameForgedError: it is not of this session.
        FramesUnreadableError: it is of a kind that sessions do not have, or malformed.
    """
    body = unprotect(session.keys, session.mode, frame)
    match frame.kind:
        case Kind.DATA:
            return decode_body(body, Data)
        case Kind.HEARTBEAT:
            return decode_body(body, Heartbeat)
        case Kind.CLOSE:
            return decode_body(body, Close)
        case _:
            raise FramesUnreadableError(f"frame {frame.kind.name} is no part of a session")
