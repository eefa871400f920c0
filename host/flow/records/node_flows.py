"""The flows of one virtual node in a flow store: taken out for an export, and put into another one.

The node's flows stand still meanwhile: it is paused at both ends.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TypeVar

from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, FlowId, HoldingIdentity, ShortHash
from host.flow.core.aside import ASIDE, read_head, read_set_aside
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.messages import (
    EVENT_TOPIC,
    IN_TOPIC,
    OUT_TOPIC,
    P2P_OUT_TOPIC,
    START_TOPIC,
    decode_message,
    flow_state_key,
)
from host.flow.core.node_items import (
    LINK_GROUP,
    Clock,
    Item,
    Journal,
    Log,
    Owner,
    State,
    Work,
    decode_item,
    encode_item,
    placement_of,
)
from host.flow.core.shift import SHIFT_KEY, decode_shift
from host.flow.core.statuses import decode_status, glances_of
from host.flow.core.timer_state import node_of_timer, timer_key
from host.ports.bus import NewRecord, RecordPlace
from host.ports.glances import GlanceWrite
from host.ports.node_contents import NodeItemInvalidError
from host.ports.node_records import NodeJournal, NodeState
from host.ports.state import StateRecord, StateWrite
from host.ports.units import FlowStore, JournalRow, Unit
from host.ports.work import Done, WorkRecord

_TOPICS = frozenset({START_TOPIC, EVENT_TOPIC, IN_TOPIC, OUT_TOPIC, P2P_OUT_TOPIC})
_PAGE = 200
_UNIT_BYTES = 256 * 1024
_UNIT_WRITES = 500
_OUTWARD = "ext."

EndsOf = Callable[[HoldingIdentity], Sequence[str]]
"""Keys of the heads of a node's ends of channels with members: what it sends and what it receives.

The other ends are the members' own, of whom some may be on this cluster and stay there.
"""


Unsent = Callable[[bytes], bytes | None]
MayRun = Callable[[HoldingIdentity, str], bool]


class NodeFlows:
    """`NodeContents` of flows: checkpoints, journals, statuses, histories, records and channels.

    What links have stored of the node's messages is sent again under new numbers: flows drop what
    they have had, and the numbers of a channel go on.

    Args:
        store: the flow store.
        ends_of: names channels.
        unsent: the session message of a state of a channel, if it is one of a flow.
        may_run: whether flows of a node may run the CPI of a checksum.
    """

    name = "flows"
    version = 1

    def __init__(
        self,
        store: FlowStore,
        ends_of: EndsOf,
        unsent: Unsent = lambda _value: None,
        may_run: MayRun = lambda _holding, _cpi: True,
    ) -> None:
        self._may_run = may_run
        self._store = store
        self._ends_of = ends_of
        self._unsent = unsent

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        """Items in the order in which they are loaded: flows before what names them."""
        return map(encode_item, self._items(holding))

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        """See `NodeContents.load`.

        Raises:
            NodeItemInvalidError: an item is malformed, or not the node's.
            ConflictError: a state of its key is here already.
            StorageError: the store cannot be written.
        """
        del version  # there is one
        may_run = cache(partial(self._may_run, holding))
        owner = Owner(holding, self._ends_of(holding), self._is_free, may_run)
        units = _Units(self._store, holding.short_hash)
        for data in items:
            item = decode_item(data)
            owner.check(item)
            units.add(item)
        units.flush()

    def erase(self, holding: HoldingIdentity) -> None:
        """Delete all of it; may be repeated.

        Raises:
            StorageError: the store cannot be written.
        """
        node = holding.short_hash
        while states := self._store.states_of_node(node, "", _PAGE):
            keys = [each.state.key for each in states]
            keys += [timer_key(flow) for flow in map(_flow_of, keys) if flow is not None]
            self._store.commit(Unit(states=tuple(map(_deletion, keys))))
        channels = self._ends_of(holding)
        for start in range(0, len(channels), _UNIT_WRITES):
            part = channels[start : start + _UNIT_WRITES]
            self._store.commit(Unit(states=tuple(map(_deletion, part))))
        while journals := self._store.journals_of_node(node, "", _PAGE):
            self._store.commit(Unit(forget=tuple(each.flow_id for each in journals)))
        while works := self._store.work_of_node(node, -1, _PAGE):
            done = tuple(
                Done(queue=each.record.queue, positions=(each.record.position,)) for each in works
            )
            self._store.commit(Unit(done=done))

    def _items(self, holding: HoldingIdentity) -> Iterator[Item]:
        node = holding.short_hash
        shift = self._store.get(SHIFT_KEY)
        yield Clock(0 if shift is None else decode_shift(shift).shift_ms)
        yield from self._states(node, is_flow=True)
        yield from self._states(node, is_flow=False)
        yield from self._channels(holding)
        for journal in _pages(
            lambda after: self._store.journals_of_node(node, after, _PAGE),
            lambda last: str(last.flow_id),
            "",
        ):
            yield from self._rows(journal)
        yield from self._aside(node)
        yield from self._sent(node)
        for work in _pages(
            lambda after: self._store.work_of_node(node, after, _PAGE),
            lambda last: last.record.position,
            -1,
        ):
            record = work.record
            if record.queue.topic in _TOPICS and _is_of_flows(record):
                yield Work(record.queue.topic, record.key, record.value, work.peer)
        for topic in self._store.topics(_OUTWARD):
            yield from self._logs(node, topic)

    def _states(self, node: ShortHash, *, is_flow: bool) -> Iterator[Item]:
        """States that are charged to the node: those that name flows, or the others."""
        for found in _pages(
            lambda after: self._store.states_of_node(node, after, _PAGE),
            lambda last: last.state.key,
            "",
        ):
            key = found.state.key
            if key.startswith(_NAMING) is not is_flow or key.startswith((_ASIDE, _SENT)):
                continue
            yield _state(found.state, found)
            flow = _flow_of(key)
            timer = None if flow is None else self._store.get(timer_key(flow))
            if timer is not None and node_of_timer(timer) == node:
                yield _state(timer)

    def _aside(self, node: ShortHash) -> Iterator[Item]:
        """What is set aside, as the waiting records that it was: its new owner sets it aside."""
        for found in _pages(
            lambda after: self._store.states_of_node(node, after, _PAGE),
            lambda last: last.state.key,
            _ASIDE,
        ):
            record = found.state
            if not record.key.startswith(_ASIDE):
                return
            if record.place is None:
                continue  # one of the records of a head
            aside = read_head(record)
            queue = aside.key.queue
            for number in range(aside.head.first, aside.head.after):
                stored = self._store.get(aside.key.record_key(number))
                if stored is not None and queue.topic in _TOPICS:
                    waiting = read_set_aside(aside.key, stored)
                    yield Work(queue.topic, waiting.key, waiting.value, found.charge.peer)

    def _sent(self, node: ShortHash) -> Iterator[Item]:
        """Messages of flows that were not acknowledged, as records that are to be sent."""
        for found in _pages(
            lambda after: self._store.states_of_node(node, after, _PAGE),
            lambda last: last.state.key,
            _SENT,
        ):
            key = found.state.key
            if not key.startswith(_SENT):
                return
            value = self._unsent(found.state.value)
            if value is not None:
                yield Work(P2P_OUT_TOPIC, key.removeprefix(_SENT).partition("/")[0], value, None)

    def _channels(self, holding: HoldingIdentity) -> Iterator[Item]:
        """Heads of channels, which are charged to nobody."""
        ends = self._ends_of(holding)
        for start in range(0, len(ends), _PAGE):
            for record in self._store.get_many(ends[start : start + _PAGE]).values():
                # Nothing is left to send of it here, so that its new owner need not look for it.
                is_head = record.key.startswith(_SENT)
                yield _state(replace(record, place=None) if is_head else record)

    def _rows(self, journal: NodeJournal) -> Iterator[Item]:
        charge, first = journal.charge, 0
        while values := self._store.journal_rows(journal.flow_id, first, _PAGE):
            yield Journal(journal.flow_id, charge.account, charge.peer, first, tuple(values))
            first += len(values)

    def _logs(self, node: ShortHash, topic: str) -> Iterator[Item]:
        after: RecordPlace | None = None
        while page := self._store.logs_of_node(node, topic, after, _PAGE):
            for log in page:
                yield Log(topic, log.key, log.value)
            after = page[-1].place

    def _is_free(self, flow_id: FlowId) -> bool:
        return self._store.get(flow_state_key(flow_id)) is None


_Found = TypeVar("_Found")
_Place = TypeVar("_Place")
_SENT = "p2p/tx/"
_ASIDE = f"{ASIDE}/"
_NAMING = ("flow/", "history/")


def _flow_of(key: str) -> FlowId | None:
    """The flow whose checkpoint a key is of."""
    kind, _, rest = key.partition("/")
    return FlowId(rest) if kind == "flow" else None


def _is_of_flows(record: WorkRecord) -> bool:
    """Whether a record is one of flows: membership repeats what it sends by itself."""
    if record.queue.topic != P2P_OUT_TOPIC:
        return True
    try:
        decode_message(record.value)
    except FlowRecordDamagedError:
        return False
    return True


def _deletion(key: str) -> StateWrite:
    return StateWrite(key=key, value=None, expected=None)


def _state(record: StateRecord, found: NodeState | None = None) -> State:
    return State(
        key=record.key,
        value=record.value,
        due_at=record.due_at,
        is_placed=record.place is not None,
        account=None if found is None else found.charge.account,
        peer=None if found is None else found.charge.peer,
        started_at=None if found is None else found.started_at,
        origin=None if found is None else found.origin,
    )


class _Units:
    """Mutable: puts items into units of some size, in their order."""

    def __init__(self, store: FlowStore, node: ShortHash) -> None:
        self._store = store
        self._node = node
        shift = store.get(SHIFT_KEY)
        self._shift_ms = 0 if shift is None else decode_shift(shift).shift_ms
        self._later_ms = 0
        self._unit = Unit()
        self._bytes = self._writes = 0

    def add(self, item: Item) -> None:
        match item:
            case Clock():
                self._later_ms = item.shift_ms - self._shift_ms
            case State():
                self._add_state(item)
            case Work():
                record = NewRecord(
                    topic=item.topic,
                    key=item.key,
                    value=item.value,
                    node=self._node,
                    peer=None if item.peer is None else ShortHash(item.peer),
                )
                self._put(Unit(records=(record,)), len(item.value))
            case Journal():
                self._put(Unit(journal=self._rows(item)), sum(map(len, item.values)))
            case Log():
                record = NewRecord(
                    topic=item.topic, key=item.key, value=item.value, owner=self._node
                )
                self._put(Unit(records=(record,)), len(item.value))

    def flush(self) -> None:
        if self._writes:
            self._store.commit(self._unit)
        self._unit, self._bytes, self._writes = Unit(), 0, 0

    def _add_state(self, item: State) -> None:
        glances = self._glances(item)
        for expected, glance in enumerate(glances or (None,)):
            place = placement_of(item.key) if item.is_placed else None
            due_at = item.due_at
            if due_at is not None and place is not None and place.group != LINK_GROUP:
                due_at = EpochMs(due_at + self._later_ms)
            write = StateWrite(
                key=item.key,
                value=item.value,
                expected=expected,
                due_at=due_at,
                place=place,
                glance=glance,
                charge=None if item.account is None else self._charge(item.account, item.peer),
            )
            if expected:
                self.flush()  # a unit writes a key once
            self._put(Unit(states=(write,)), len(item.value))

    def _glances(self, item: State) -> Sequence[GlanceWrite]:
        """The glances of a status: as it began, and as it is."""
        if not item.key.startswith(("status/", "responder/")):
            return ()
        record = StateRecord(key=item.key, version=1, value=item.value)
        is_responder = item.key.startswith("responder/")
        try:
            status = decode_status(record)
        except FlowRecordDamagedError as exc:
            raise NodeItemInvalidError(f"{item.key[:128]!r} cannot be read: {exc}") from exc
        if status.holding != self._node:
            raise NodeItemInvalidError(f"{item.key[:128]!r} is a status of another node")
        return glances_of(status, item.origin, started_at=item.started_at, responder=is_responder)

    def _rows(self, item: Journal) -> tuple[JournalRow, ...]:
        charge = self._charge(item.account, item.peer)
        return tuple(
            JournalRow(flow_id=item.flow_id, number=number, value=value, charge=charge)
            for number, value in enumerate(item.values, item.first)
        )

    def _charge(self, account: Account, peer: str | None) -> Charge:
        return Charge(
            node=self._node,
            account=account,
            peer=None if peer is None else ShortHash(peer),
        )

    def _put(self, more: Unit, size: int) -> None:
        if self._writes >= _UNIT_WRITES or self._bytes + size > _UNIT_BYTES:
            self.flush()
        unit = self._unit
        self._unit = Unit(
            states=(*unit.states, *more.states),
            journal=(*unit.journal, *more.journal),
            records=(*unit.records, *more.records),
        )
        self._bytes += size
        self._writes += 1


def _pages(
    read: Callable[[_Place], Sequence[_Found]], place: Callable[[_Found], _Place], after: _Place
) -> Iterator[_Found]:
    """All items of pages that `read` gives, each after the place of the last item before it."""
    while page := read(after):
        yield from page
        after = place(page[-1])
