"""What waits to be sent: the pairs of this process in memory, and their stored messages."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from host.domain.accounts import Account, Charge
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.x500 import MemberX500Name
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.versioned_codec import read_stored
from host.network.link.channel_out import TxHead, TxMessage, head_key, message_key
from host.network.link.frames import Header
from host.network.link.initiator import InitiatorState
from host.network.link.peers import PeerState
from host.network.link.sessions import GROUP, Session
from host.network.values.p2p_out import Subsystem
from host.ports.bus import Placement
from host.ports.state import StateRecord, StateWrite
from host.ports.units import StateStore

CREDIT_MESSAGES = 100
CREDIT_BYTES = 4 * 1024 * 1024
"""What may be sent before a peer has told its credit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A request that was not answered yet.

    Attributes:
        post_id: names it.
        until: monotonic time at which it counts as unanswered.
        sent_at: monotonic time.
        last: header of its last frame, which its acknowledgement repeats; None in handshakes.
        sealed: number of the registration that it carries instead of frames of a session.
        is_ping: whether its acknowledgement answers those who ask whether the peer is there.
    """

    post_id: str
    until: int
    sent_at: int
    last: Header | None = None
    sealed: int | None = None
    is_ping: bool = False


@dataclass(slots=True, kw_only=True)
class Pair:
    """Mutable: a pair with something to send.

    `version` is that of its stored head, `node` the source's: it is looked at in every round.
    """

    name: str
    partition: int
    source: HoldingIdentity
    target: HoldingIdentity
    head: TxHead
    version: int
    pending: dict[int, TxMessage] = field(default_factory=dict)
    """Unsettled messages, without their payloads, by number."""
    pings: dict[str, int] = field(default_factory=dict)
    """Ids of pings that wait for an answer, and the monotonic time at which they end."""
    peer: PeerState = field(default_factory=PeerState)
    session: Session | None = None
    session_version: int = 0
    is_session_read: bool = False
    counter: int = 0
    handshake: InitiatorState | None = None
    next_frame: bytes | None = None
    """The handshake's message that is sent next."""
    keys_tried: int = 0
    flight: Flight | None = None
    credit_messages: int = CREDIT_MESSAGES
    credit_bytes: int = CREDIT_BYTES
    unanswered_since: int | None = None
    """Monotonic time of the first request of a session since the last answer."""
    hint_believed_at: int | None = None
    node: ShortHash = field(init=False)

    def __post_init__(self) -> None:
        self.node = self.source.short_hash

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to ask the peer."""
        return bool(self.pending or self.pings)

    def drop_session(self) -> None:
        """Negotiate another one: nothing is sent over this one any more."""
        self.session = None
        self.handshake = None
        self.next_frame = None
        self.unanswered_since = None


_encoder = msgspec.msgpack.Encoder()
_head_decoder = msgspec.msgpack.Decoder(TxHead)
_message_decoder = msgspec.msgpack.Decoder(TxMessage)


def new_pair(
    name: str, partition: int, source: HoldingIdentity, target: HoldingIdentity, channel: bytes
) -> Pair:
    """A pair that has never sent anything."""
    head = TxHead(
        group_id=source.group_id,
        source=str(source.x500_name),
        target=str(target.x500_name),
        channel=channel,
    )
    return Pair(name=name, partition=partition, source=source, target=target, head=head, version=0)


def read_pair(store: StateStore, stored: StateRecord, partition: int) -> Pair:
    """A pair with the messages that it has to send.

    Raises:
        FlowRecordDamagedError: a state cannot be read.
        StorageError: the store cannot be read.
    """
    head = read_stored(_head_decoder, stored.value, "a channel's head")
    pair = Pair(
        name=stored.key.rpartition("/")[2],
        partition=partition,
        source=_holding(head.source, head.group_id),
        target=_holding(head.target, head.group_id),
        head=head,
        version=stored.version,
    )
    for record in store.scan(f"{stored.key}/"):
        number = int(record.key.rpartition("/")[2])
        pair.pending[number] = without_payload(_message(record))
    pair.pending = dict(sorted(pair.pending.items()))
    return pair


def payloads(
    store: StateStore, pair: str, numbers: Collection[int]
) -> Sequence[tuple[int, TxMessage]]:
    """Messages with their payloads, by number; a damaged one is left out, and so expires.

    Raises:
        StorageError: the store cannot be read.
    """
    keys = {message_key(pair, number): number for number in numbers}
    found: list[tuple[int, TxMessage]] = []
    for key, record in store.get_many(keys.keys()).items():
        with suppress(FlowRecordDamagedError):
            found.append((keys[key], _message(record)))
    return sorted(found, key=lambda each: each[0])


def without_payload(message: TxMessage) -> TxMessage:
    """What of a message stays in memory; its size stands in place of its payload."""
    return msgspec.structs.replace(message, payload=b"", size=len(message.payload))


def head_write(pair: Pair, head: TxHead, *, is_pending: bool) -> StateWrite:
    """The write of a head; its owner finds it as long as there is something to send."""
    return StateWrite(
        key=head_key(pair.name),
        value=_encoder.encode(head),
        expected=pair.version,
        place=Placement(group=GROUP, key=pair.name) if is_pending else None,
    )


def message_write(pair: Pair, number: int, message: TxMessage) -> StateWrite:
    return StateWrite(
        key=message_key(pair.name, number),
        value=_encoder.encode(message),
        expected=0,
        charge=Charge(node=pair.node, account=Account.BUS),
    )


def message_deletes(pair: Pair, numbers: Collection[int]) -> Sequence[StateWrite]:
    return [
        StateWrite(key=message_key(pair.name, number), value=None, expected=1) for number in numbers
    ]


def flow_numbers(pending: Mapping[int, TxMessage]) -> set[int]:
    """The numbers of messages of flows."""
    return {n for n, each in pending.items() if each.subsystem is Subsystem.FLOW}


def _message(record: StateRecord) -> TxMessage:
    return read_stored(_message_decoder, record.value, "an outgoing message")


def _holding(name: str, group_id: str) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id)


def unsent_of_flow(value: bytes) -> bytes | None:
    """The session message of a stored message; None for another one, or one for the MGM."""
    found = read_stored(_message_decoder, value, "an outgoing message")
    return found.payload if found.subsystem is Subsystem.FLOW else None
