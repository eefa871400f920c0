"""A flow during a step: its checkpoint, its journal, and its unwritten changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from host.domain.accounts import Account, Charge
from host.domain.guest_text import is_json
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.domain.packages import CpiRecord
from host.domain.quotas import DEFAULT_QUOTA, Quota
from host.flow.core.bodies import body_deletion, read_body
from host.flow.core.checkpoint import Checkpoint
from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.events import FlowEngineEvent, KeptDropped
from host.flow.core.hops import ORIGIN
from host.flow.core.initial_checkpoint import start_argument
from host.flow.core.journal import Entries, decode_journal, encode_entry
from host.flow.core.machine import End
from host.flow.core.mapper import MapperState, encode_state, session_key
from host.flow.core.message_trace import Note, note_arrived, note_sent, with_notes
from host.flow.core.messages import Sent, SessionMessage, due_place, encode, flow_state_key
from host.flow.core.offloaded_payloads import Offloaded, offloaded
from host.flow.core.program_state import ProgramRows, decode_rows, encode_row, program_journal
from host.flow.core.room import NodeBalances
from host.flow.core.status_records import status_records
from host.flow.core.statuses import StoredStatus, made_room, status_key, write_status
from host.flow.core.taken import Taken
from host.flow.core.timer_state import TimerState, timer_key
from host.flow.engine.kept_programs import LiveProgram
from host.flow.engine.local_delivery import Delivered, LocalDelivery
from host.flow.engine.sticky_cache import Parked
from host.flow.records.history import NO_HISTORY, HistoryLimits, Kept, history_of, keep
from host.ports.accounts import Uncounted
from host.ports.bus import NOBODY, NewRecord
from host.ports.groups import Fence
from host.ports.state import StateRecord, StateWrite
from host.ports.units import JournalRow, StateStore, Unit

_ROW_BYTES = 256
"""Bytes that a row is charged beyond its value, at most: its keys."""


@dataclass(slots=True, kw_only=True)
class StepState:
    """Mutable, used by one step.

    `version` is the stored checkpoint's, 0 if there is none, and `checkpoint_bytes` its size.
    `apart` names the payloads that are stored beside the checkpoint. `parked` is the guest that
    this step has suspended, `delivery` delivers the messages that it has `sent`. `program_rows` are
    those of the waiting call's program, if they were read or made in this step, `live_program` is
    the program, and `answered_programs` are journals of programs whose answers the guest has got.
    `later` are the writes of system flows that are remembered or forgotten, by their keys.
    `seen_result` is the result that the guest returned in this step, and whether it is JSON.
    `shift_ms` is how long the flow's node was paused: all times of the checkpoint are the node's.
    `cpi` is the flow's code, if it was read, `known` holds states that were read with the
    checkpoint, and `balances` those of the flow's node. `fence` proves that the step's worker owns
    the flow: without it, a worker that was considered dead could, in the middle of its step,
    restore a flow that has ended.
    """

    checkpoint: Checkpoint
    holding_id: ShortHash
    version: int
    timer: StateRecord | None
    journal: Entries | None = None
    written: int = 0
    records: list[NewRecord] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    status: StoredStatus | None = None
    ended: bool = False
    events: list[FlowEngineEvent] = field(default_factory=list)
    trace: tuple[str, ...] = ()
    config: FlowConfig = CORDA_DEFAULTS
    apart: frozenset[str] = frozenset()
    history: HistoryLimits = NO_HISTORY
    parked: Parked | None = None
    fence: Fence | None = None
    quota: Quota = DEFAULT_QUOTA
    outgoing_bytes: int = 0
    checkpoint_bytes: int = 0
    program_rows: ProgramRows | None = None
    live_program: LiveProgram | None = None
    answered_programs: list[FlowId] = field(default_factory=list)
    delivery: LocalDelivery | None = None
    cpi: CpiRecord | None = None
    known: Mapping[str, StateRecord | None] = field(default_factory=dict)
    later: dict[str, StateWrite] = field(default_factory=dict)
    balances: NodeBalances = field(default_factory=lambda: NodeBalances(Uncounted(), NOBODY))
    seen_result: tuple[str, bool] | None = None
    shift_ms: int = 0
    traced: list[tuple[bool, SessionMessage]] | None = None

    @property
    def flow_id(self) -> FlowId:
        return self.checkpoint.flow_id

    @property
    def is_responder(self) -> bool:
        return self.checkpoint.responds_to is not None

    def is_json(self, result: str) -> bool:
        """Whether a result is JSON: a guest's was read when it returned, and is not read again."""
        known = self.seen_result
        return known[1] if known is not None and known[0] is result else is_json(result)

    def send(self, sent: Sequence[Sent], now: EpochMs) -> None:
        """Queue session messages that are sent with the step, and note them."""
        if not sent:
            return
        self._note(tuple(note_sent(each.message, now) for each in sent))
        self.sent += sent
        if self.traced is not None:
            self.traced += [(True, each.message) for each in sent]
        for each in sent:
            self.outgoing_bytes += len(each.message.session_id) + len(each.value)

    def publish(self, records: Sequence[NewRecord]) -> None:
        """Queue records that are published with the step."""
        self.records += records
        self.outgoing_bytes += sum(record.size for record in records)

    @property
    def initiator(self) -> ShortHash | None:
        """The node whose flow started this one, if it is a responder."""
        session = self.checkpoint.sessions.get(self.checkpoint.responds_to or "")
        return None if session is None else session.peer.node() or None

    @property
    def origin(self) -> FlowId | None:
        """The client-started flow from which a responder descends."""
        found = self.checkpoint.stack[0].context.get(ORIGIN) if self.is_responder else None
        return FlowId(found) if found else None

    def arrived(self, message: SessionMessage, now: EpochMs) -> None:
        """Note a received message."""
        if self.traced is not None:
            self.traced.append((False, message))
        self._note((note_arrived(message, now),))

    def _note(self, notes: tuple[Note, ...]) -> None:
        self.checkpoint = replace(self.checkpoint, notes=with_notes(self.checkpoint.notes, notes))

    def unwritten(self) -> bool:
        """Whether there are answered calls that are not stored yet."""
        return self.journal is not None and len(self.journal) > self.written

    def write(self, store: StateStore, now: EpochMs, taken: Taken | None) -> None:
        """Commit all unwritten changes, and the deletion of the records of `taken`."""
        timer = self._timer_write()
        kept = self._kept(store, now, taken)
        large = offloaded(self.checkpoint, self.apart)
        states = self._checkpoint_writes(large)
        states += [*self._mapper_writes(now), *self._status_write(store, now)]
        states += [*kept.states, *self.later.values()]
        told = status_records(states, is_wanted=self.config.publishes_statuses)
        delivered = self._delivered(now)
        unit = Unit(
            states=(*states, *delivered.states, *(() if timer is None else (timer,))),
            journal=(*(self._rows() if kept.has_journal else ()), *self._program_rows()),
            passed=kept.passed,
            forget=(*kept.forget, *self._forgotten_programs()),
            records=(*delivered.records, *self.records, *told),
            fences=() if self.fence is None else (self.fence,),
        )
        if taken is None:
            store.commit(unit)
        else:
            taken.commit(store, unit)
        self.known = {}
        self.balances.wrote(unit.size + _ROW_BYTES * len(unit.journal))
        if timer is not None and timer.value is not None:
            self.timer = StateRecord(
                key=timer.key,
                version=(timer.expected or 0) + 1,
                value=timer.value,
                due_at=timer.due_at,
            )
        self.written = len(self.journal or ())
        if self.program_rows is not None:
            self.program_rows.note_written()
        self.answered_programs, self.later = [], {}
        self.version += 1
        self.apart = large.keys
        self.records, self.sent, self.opened, self.status = [], [], [], None
        self.outgoing_bytes = 0

    def _delivered(self, now: EpochMs) -> Delivered:
        """What delivers the unwritten messages."""
        if not self.sent:
            return Delivered()
        assert self.delivery is not None  # noqa: S101  # every flow that runs has one
        return self.delivery.deliver(self.sent, self.holding_id, now)

    def _kept(self, store: StateStore, now: EpochMs, taken: Taken | None) -> Kept:
        """What to keep of the flow: the journal while it runs, then a history within the limits."""
        if not self.ended:
            return Kept(has_journal=True)
        if self.status is None or taken is None or self.history.retention_ms == 0:
            return Kept(has_journal=False, forget=(self.flow_id,))
        try:
            start = self._start(store)
            if self.journal is None:
                self.journal = decode_journal(store.journal(self.flow_id))
                self.written = len(self.journal)
        except FlowRecordDamagedError:  # perhaps the cause of the flow's end
            return Kept(has_journal=False, forget=(self.flow_id,))
        history = history_of(self.checkpoint, self.status, self.trace, now, start=start)
        kept = keep(
            store,
            history,
            self.journal,
            self.history,
            peer=self.initiator,
            balances=self.balances,
            bytes_max=self.quota.histories_bytes_max,
        )
        self._tell_dropped(Account.HISTORY, kept.dropped)
        self.status = replace(self.status, history=kept.key)
        return kept

    def _start(self, store: StateStore) -> str | None:
        """The argument of the guest's `run`; None if it is too large for a history."""
        if self.checkpoint.body_bytes > self.history.bytes_max:
            return None
        return start_argument(self.checkpoint, read_body(self.checkpoint, store))

    def _checkpoint_writes(self, large: Offloaded) -> list[StateWrite]:
        """Writes of the checkpoint and the states beside it; deletions when the flow ends."""
        key = flow_state_key(self.flow_id)
        if not self.ended:
            value = encode(large.checkpoint)
            self.checkpoint_bytes = len(value)
            write = StateWrite(
                key=key,
                value=value,
                expected=self.version,
                charge=Charge(node=self.holding_id, account=Account.JOURNAL),
            )
            return [write, *large.writes]
        # In any version: a missing or damaged payload may be the reason why the flow ends.
        gone = [StateWrite(key=each, value=None, expected=None) for each in sorted(self.apart)]
        if self.checkpoint.body_bytes:
            gone.append(body_deletion(self.holding_id, self.checkpoint.request_id))
        if self.version == 0:
            return [*gone]
        return [StateWrite(key=key, value=None, expected=self.version), *gone]

    def _timer_write(self) -> StateWrite | None:
        """An earlier timer is kept: when it fires, the flow checks its actual condition."""
        key = timer_key(self.flow_id)
        own = None if self.ended else self.checkpoint.timer
        wanted = None if own is None else EpochMs(own + self.shift_ms)
        stored = self.timer
        if self.ended and stored is not None:
            return StateWrite(key=key, value=None, expected=stored.version)
        if wanted is None or (stored and stored.due_at is not None and stored.due_at <= wanted):
            return None
        expected = stored.version if stored else 0
        return StateWrite(
            key=key,
            value=encode(TimerState(node=self.holding_id)),
            expected=expected,
            due_at=wanted,
            place=due_place(self.flow_id),
        )

    def _mapper_writes(self, now: EpochMs) -> list[StateWrite]:
        status = self._status_key()
        state = encode_state(MapperState(flow_id=self.flow_id, status=status))
        due = EpochMs(now + self.config.cleanup_ms)
        return [
            StateWrite(
                key=session_key(i),
                value=state,
                expected=0,
                due_at=due,
                place=due_place(session_key(i)),
                charge=Charge(node=self.holding_id, account=Account.BUS),
            )
            for i in self.opened
        ]

    def _status_key(self) -> str:
        request_id = self.checkpoint.request_id
        return status_key(self.holding_id, request_id, responder=self.is_responder)

    def _status_write(self, store: StateStore, now: EpochMs) -> list[StateWrite]:
        if self.status is None:
            return []
        key = self._status_key()
        write = write_status(
            self.known[key] if key in self.known else store.get(key),
            self.status,
            responder=self.is_responder,
            peer=self.initiator,
            origin=self.origin,
            retention_ms=self.config.status_retention_ms,
            now=now,
        )
        if write is None:
            return []
        gone = made_room(
            store,
            write,
            node=self.holding_id,
            balances=self.balances,
            bytes_max=self.quota.statuses_bytes_max,
        )
        self._tell_dropped(Account.STATUS, len(gone))
        return [write, *gone]

    def _tell_dropped(self, account: Account, count: int) -> None:
        if count:
            self.events.append(
                KeptDropped(holding_id=self.holding_id, account=account, count=count)
            )

    def _forgotten_programs(self) -> tuple[FlowId, ...]:
        """Journals of programs that nobody will read again."""
        program = self.checkpoint.program
        if not self.ended or program is None:
            return tuple(self.answered_programs)
        return (*self.answered_programs, program_journal(self.flow_id, program.call))

    def _rows(self) -> tuple[JournalRow, ...]:
        if self.journal is None:
            return ()
        return tuple(
            self._journal_row(self.flow_id, e.call, encode_entry(e))
            for e in self.journal[self.written :]
        )

    def rows_of_program(
        self, call: int, stored: Callable[[FlowId], Sequence[bytes]]
    ) -> ProgramRows:
        """The rows of the program of a call, read with `stored` if this step has not made them.

        Raises:
            FlowRecordDamagedError: as `decode_rows`.
        """
        if self.program_rows is not None:
            return self.program_rows
        journal = program_journal(self.flow_id, call)
        return decode_rows(journal, stored(journal))

    def _program_rows(self) -> tuple[JournalRow, ...]:
        rows = self.program_rows
        if rows is None or self.ended or rows.journal in self.answered_programs:
            return ()
        return tuple(
            self._journal_row(rows.journal, row.number, encode_row(row))
            for row in rows[rows.written :]
        )

    def _journal_row(self, journal: FlowId, number: int, value: bytes) -> JournalRow:
        charge = Charge(node=self.holding_id, account=Account.JOURNAL)
        return JournalRow(flow_id=journal, number=number, value=value, charge=charge)


def status_of_step(flow: StepState, end: End, now: EpochMs) -> StoredStatus:
    """The status that the step records; `now` is the time of day."""
    checkpoint, error = flow.checkpoint, end.error
    sessions = ((s.id, s.received) for s in checkpoint.sessions.values())
    return StoredStatus(
        holding=flow.holding_id,
        request_id=checkpoint.request_id,
        flow_id=flow.flow_id,
        flow_class=checkpoint.flow_class,
        status=end.status,
        result=end.result,
        result_is_json=None if end.result is None else flow.is_json(end.result),
        error_type=error.type if error else None,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        error_trace=error.trace if error else (),
        updated_at=now,
        received={i: last for i, last in (*checkpoint.gone.items(), *sessions) if last},
    )
