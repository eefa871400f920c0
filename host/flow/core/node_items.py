"""What a node's flows leave in the flow store, as items of an export, and which of them are its.

Pure. An item of a file is believed only as far as it concerns the node that the file is of: no
state, journal or record of another node, and no key of the host's own, can come with it.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from host.domain.accounts import Account
from host.domain.ids import EpochMs, FlowId, HoldingIdentity
from host.domain.x500 import InvalidX500NameError
from host.flow.core.checkpoint import decode_checkpoint
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.mapper import decode_state
from host.flow.core.messages import (
    EVENT_TOPIC,
    GROUP,
    IN_TOPIC,
    OUT_TOPIC,
    P2P_OUT_TOPIC,
    START_TOPIC,
    KillFlow,
    Party,
    Respond,
    SessionMessage,
    StartFlow,
    decode_event,
    decode_message,
    decode_start,
)
from host.ports.bus import Placement
from host.ports.node_contents import NodeItemInvalidError

LINK_GROUP = "link"
_TIME_MAX = 2**53
_ROWS_MAX = 1_000
_Time: TypeAlias = Annotated[EpochMs, Meta(ge=0, le=_TIME_MAX)]
_Key: TypeAlias = Annotated[str, Meta(max_length=4096)]
_Topic: TypeAlias = Annotated[str, Meta(max_length=255)]
_Node: TypeAlias = Annotated[str, Meta(max_length=12)]


class Clock(Struct, frozen=True, tag="clock", array_like=True):
    """The difference between flow time and the time of day in the store that the items are of."""

    shift_ms: Annotated[int, Meta(ge=-_TIME_MAX, le=_TIME_MAX)]


class State(Struct, frozen=True, tag="state", array_like=True):
    """A state. `is_placed` tells that it has an owner, also without a due time."""

    key: _Key
    value: bytes
    due_at: _Time | None
    is_placed: bool
    account: Account | None
    peer: _Node | None
    started_at: _Time | None
    origin: FlowId | None


class Work(Struct, frozen=True, tag="work", array_like=True):
    """A waiting record."""

    topic: _Topic
    key: _Key
    value: bytes
    peer: _Node | None


class Journal(Struct, frozen=True, tag="journal", array_like=True):
    """Rows of a journal from number `first` on."""

    flow_id: FlowId
    account: Account
    peer: _Node | None
    first: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    values: Annotated[tuple[bytes, ...], Meta(max_length=_ROWS_MAX)]


class Log(Struct, frozen=True, tag="log", array_like=True):
    """A record of a log that the node owns."""

    topic: _Topic
    key: _Key
    value: bytes


Item: TypeAlias = Clock | State | Work | Journal | Log
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Item] = msgspec.msgpack.Decoder(Item)


def encode_item(item: Item) -> bytes:
    return _encoder.encode(item)


def decode_item(data: bytes) -> Item:
    """Read an item.

    Raises:
        NodeItemInvalidError: it is malformed.
    """
    try:
        return _decoder.decode(data)
    except (ValueError, RecursionError) as exc:
        raise NodeItemInvalidError(f"an item of flows is malformed: {exc}") from exc


def placement_of(key: str) -> Placement:
    """The owner of a state of a moved node, by its key."""
    kind, _, rest = key.partition("/")
    if kind == "timer":
        return Placement(group=GROUP, key=rest)
    if kind == "p2p":
        return Placement(group=LINK_GROUP, key=key.rpartition("/")[2])
    return Placement(group=GROUP, key=key)


class Owner:
    """Judges the items of one node. `ends` are keys of its ends of channels with members.

    Its flows may run the CPIs for whose checksums `may_run` is true.

    Mutable: remembers the flows whose checkpoints or histories came, for what belongs to them.
    """

    def __init__(
        self,
        holding: HoldingIdentity,
        ends: Iterable[str],
        is_free: Callable[[FlowId], bool],
        may_run: Callable[[str], bool] = lambda _cpi: True,
    ) -> None:
        self._may_run = may_run
        self._holding = holding
        self._node = holding.short_hash
        self._ends = frozenset(ends)
        self._is_free = is_free
        self._flows = set[str]()

    def check(self, item: Item) -> None:
        """Refuse an item that is not the node's.

        Raises:
            NodeItemInvalidError: it is another's, or malformed.
        """
        try:
            is_own = self._is_own(item)
        except (FlowRecordDamagedError, InvalidX500NameError) as exc:
            raise NodeItemInvalidError(f"an item of flows cannot be read: {exc}") from exc
        if not is_own:
            raise NodeItemInvalidError(f"{_named(item)} is not of virtual node {self._node}")

    def _is_own(self, item: Item) -> bool:
        match item:
            case State():
                # Nobody looks at a state with a due time and without a place.
                return (item.is_placed or item.due_at is None) and self._is_own_state(item)
            case Work():
                return self._is_own_work(item)
            case Journal():
                return self._is_flow(item.flow_id.partition("/")[0])
            case Log():
                return item.topic.startswith("ext.")
            case Clock():
                return True

    def _is_own_state(self, item: State) -> bool:
        kind, _, rest = item.key.partition("/")
        match kind:
            case "flow":
                checkpoint = decode_checkpoint(item.value)
                self._flows.add(rest)
                is_own = checkpoint.flow_id == rest and self._is(checkpoint.holding)
                return is_own and self._may_run(checkpoint.cpi_checksum)
            case "status" | "responder" | "body" | "killed" | "later":
                return rest.startswith(f"{self._node}/")
            case "history":
                self._flows.add(rest.partition("/")[2])
                return rest.startswith(f"{self._node}/")
            case "timer" | "inbox":
                return self._is_flow(rest.partition("/")[0])
            case "session" | "start":
                state = decode_state(item.value)
                is_own = kind == "session" or rest.endswith(f"-{self._node}")
                is_own = is_own and state.node in {None, self._node}
                return is_own and (not state.flow_id or self._is_flow(state.flow_id))
            case _:
                return self._is_channel(item.key)

    def _is_channel(self, key: str) -> bool:
        return "/".join(key.split("/")[:3]) in self._ends

    def _is_own_work(self, item: Work) -> bool:
        match item.topic:
            case topic if topic == START_TOPIC:
                start = decode_start(item.value)
                own_key = item.key.endswith(f"-{self._node}")
                return own_key if isinstance(start, KillFlow) else self._is(start.holding)
            case topic if topic == EVENT_TOPIC:
                return self._is_own_event(item)
            case topic if topic == IN_TOPIC:
                return self._is(decode_message(item.value).target)
            case topic if topic in (OUT_TOPIC, P2P_OUT_TOPIC):
                return self._is(decode_message(item.value).source)
            case _:
                return False

    def _is_own_event(self, item: Work) -> bool:
        event = decode_event(item.value)
        if isinstance(event, StartFlow):
            return self._is(event.holding)
        message = event.message if isinstance(event, Respond) else event
        is_here = not isinstance(message, SessionMessage) or self._is(message.target)
        return is_here and self._is_flow(item.key)

    def _is(self, party: Party) -> bool:
        return party.holding() == self._holding

    def _is_flow(self, flow_id: str) -> bool:
        """Whether it is one of the node's, or one that no flow here is: it ended, or begins."""
        return flow_id in self._flows or self._is_free(FlowId(flow_id))


def _named(item: Item) -> str:
    match item:
        case State(key=key):
            return f"state {key[:128]!r}"
        case Work(topic=topic, key=key):
            return f"a record of {topic[:64]!r} with key {key[:128]!r}"
        case Journal(flow_id=flow_id):
            return f"the journal of {flow_id[:128]!r}"
        case Log(topic=topic):
            return f"a record of log {topic[:64]!r}"
        case Clock():
            return "a clock"
