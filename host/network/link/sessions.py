"""Sessions as stored: encrypted under the host's wrapping key, bound to their place."""

from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from host.domain.errors import HostError
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.flow.core.versioned_codec import read_stored
from host.network.link.handshake import Agreed
from host.network.link.key_schedule import SessionKeys
from host.network.link.limits import VALID_MS_MAX
from host.network.link.members import LinkKeys
from host.network.link.protection import Mode
from host.ports.bus import Placement
from host.ports.state import StateRecord, States, StateWrite

GROUP = "link"
"""The consumer group of links, and the owner of their states."""
TENANT = "p2p"
"""Tenant of the wrapping key that seals sessions."""
SESSIONS_MAX = 4
"""Inbound sessions of one pair."""
_CACHED_MAX = 4096


class Session(Struct, frozen=True, kw_only=True):
    """One session, as either side stores it.

    Attributes:
        source, target: X.500 names of initiator and responder.
        own_key, peer_key: digests of the session keys that proved it.
        peer_location_epoch: that the peer said it is at.
        peer_software: as the peer named it.
        lane: of the frames of the process that owns it; the initiator's alone.
        refresh_at: when another one is negotiated.
    """

    v: int = 1
    group_id: str
    source: str
    target: str
    realm: bytes
    keys: SessionKeys
    mode: Mode
    max_message: int
    own_key: bytes
    peer_key: bytes
    peer_location_epoch: int
    peer_software: str = ""
    lane: int = 0
    refresh_at: EpochMs
    expires_at: EpochMs

    def source_holding(self) -> HoldingIdentity:
        return _holding(self.source, self.group_id)

    def target_holding(self) -> HoldingIdentity:
        return _holding(self.target, self.group_id)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Session)


def session_of(agreed: Agreed, now: EpochMs, *, is_initiator: bool, refresh_ms: int) -> Session:
    """The session that a handshake has agreed on; replaced in proportion to its length."""
    source, target = (agreed.own, agreed.peer) if is_initiator else (agreed.peer, agreed.own)
    return Session(
        group_id=source.group_id,
        source=str(source.x500_name),
        target=str(target.x500_name),
        realm=agreed.realm,
        keys=agreed.keys,
        mode=agreed.mode,
        max_message=agreed.max_message,
        own_key=agreed.own_key,
        peer_key=agreed.peer_key,
        peer_location_epoch=agreed.peer_location_epoch,
        peer_software=agreed.peer_software,
        refresh_at=EpochMs(now + agreed.valid_ms * refresh_ms // VALID_MS_MAX),
        expires_at=EpochMs(now + agreed.valid_ms),
    )


def outbound_key(pair: str) -> str:
    return f"p2p/so/{pair}"


def inbound_key(session_id: bytes) -> str:
    return f"p2p/si/{session_id.hex()}"


@dataclass(slots=True)
class SessionStore:
    """Seals, reads and remembers sessions. Thread-safe: its dictionary is only a cache."""

    states: States
    keys: LinkKeys
    cached: dict[bytes, Session] = field(default_factory=dict)

    def outbound_write(self, pair: str, session: Session, *, expected: int) -> StateWrite:
        return self._write(outbound_key(pair), session, expected=expected, owner=pair)

    def inbound_write(self, session: Session) -> StateWrite:
        key = inbound_key(session.keys.session_id)
        return self._write(key, session, expected=0, owner=session.keys.session_id.hex())

    def outbound(self, pair: str) -> tuple[Session | None, int] | None:
        """The stored session of a pair, None if it cannot be opened, and its state's version.

        Raises:
            StorageError: the store cannot be read.
        """
        stored = self.states.get(outbound_key(pair))
        if stored is None:
            return None
        return self._read(stored), stored.version

    def inbound(self, session_id: bytes) -> Session | None:
        """The session with an id, if it is stored here.

        Raises:
            StorageError: the store cannot be read.
        """
        found = self.cached.get(session_id)
        if found is None:
            stored = self.states.get(inbound_key(session_id))
            found = None if stored is None else self._read(stored)
            if found is not None:
                self.remember(found)
        return found

    def remember(self, session: Session) -> None:
        """Keep a stored session in memory."""
        if len(self.cached) >= _CACHED_MAX:
            self.cached.pop(next(iter(self.cached)), None)
        self.cached[session.keys.session_id] = session

    def forget(self, session_id: bytes) -> None:
        self.cached.pop(session_id, None)

    def _write(self, key: str, session: Session, *, expected: int, owner: str) -> StateWrite:
        return StateWrite(
            key=key,
            value=self.keys.seal(TENANT, _encoder.encode(session), key),
            expected=expected,
            due_at=session.expires_at,
            place=Placement(group=GROUP, key=owner),
        )

    def _read(self, stored: StateRecord) -> Session | None:
        """The session of a state; None if it cannot be opened any more: another is negotiated."""
        try:
            data = self.keys.open(TENANT, stored.value, stored.key)
            return read_stored(_decoder, data, f"session {stored.key!r}")
        except HostError:
            return None


def _holding(name: str, group_id: str) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id)
