"""A flow while a step works on it: its checkpoint, its journal, and what is yet to be written."""

from dataclasses import dataclass, field

from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.checkpoint import Checkpoint
from host.flow.config import CORDA_DEFAULTS, FlowConfig
from host.flow.events import FlowEngineEvent
from host.flow.journal import Entry, encode_entry
from host.flow.mapper import MapperState, encode_state, session_key
from host.flow.messages import OUT_TOPIC, SessionMessage, encode, flow_state_key
from host.flow.statuses import StoredStatus, status_key, write_status
from host.ports.bus import NewRecord
from host.ports.state import StateRecord, StateWrite
from host.ports.units import Consumed, FlowStore, JournalRow, Unit


def timer_key(flow_id: FlowId) -> str:
    return f"timer/{flow_id}"


@dataclass(slots=True, kw_only=True)
class LiveFlow:
    """Mutable, held by one step. `version` is the stored checkpoint's, 0 when there is none."""

    checkpoint: Checkpoint
    holding_id: ShortHash
    version: int
    timer: StateRecord | None
    journal: list[Entry] | None = None
    written: int = 0
    records: list[NewRecord] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    status: StoredStatus | None = None
    ended: bool = False
    events: list[FlowEngineEvent] = field(default_factory=list)
    trace: tuple[str, ...] = ()
    config: FlowConfig = CORDA_DEFAULTS

    @property
    def flow_id(self) -> FlowId:
        return self.checkpoint.flow_id

    @property
    def is_responder(self) -> bool:
        return self.checkpoint.responds_to is not None

    def send(self, messages: tuple[SessionMessage, ...]) -> None:
        """Queue session messages, partitioned by the receiving session."""
        self.records += [
            NewRecord(topic=OUT_TOPIC, key=m.session_id, value=encode(m)) for m in messages
        ]

    def unwritten(self) -> bool:
        """Whether calls were answered that are not in the store yet."""
        return self.journal is not None and len(self.journal) > self.written

    def write(self, store: FlowStore, now: EpochMs, consumed: tuple[Consumed, ...]) -> None:
        """Commit everything that is yet to be written, and `consumed` with it."""
        timer = self._timer_write()
        states = [*self._checkpoint_write(), *self._mapper_writes(now), *self._status_write(store)]
        store.commit(
            Unit(
                states=(*states, *(() if timer is None else (timer,))),
                journal=self._rows(),
                forget=(self.flow_id,) if self.ended else (),
                records=tuple(self.records),
                consumed=consumed,
            )
        )
        if timer is not None and timer.value is not None:
            self.timer = StateRecord(
                key=timer.key,
                version=timer.expected + 1,
                value=timer.value,
                due_at=timer.due_at,
            )
        self.written = len(self.journal or ())
        self.version += 1
        self.records, self.opened, self.status = [], [], None

    def _checkpoint_write(self) -> list[StateWrite]:
        if self.ended and self.version == 0:
            return []
        value = None if self.ended else encode(self.checkpoint)
        key = flow_state_key(self.flow_id)
        return [StateWrite(key=key, value=value, expected=self.version)]

    def _timer_write(self) -> StateWrite | None:
        """An earlier timer is left to fire: the flow then finds what it really waits for."""
        key = timer_key(self.flow_id)
        wanted = None if self.ended else self.checkpoint.timer
        stored = self.timer
        if self.ended and stored is not None:
            return StateWrite(key=key, value=None, expected=stored.version)
        if wanted is None or (stored and stored.due_at is not None and stored.due_at <= wanted):
            return None
        expected = stored.version if stored else 0
        return StateWrite(key=key, value=b"{}", expected=expected, due_at=wanted)

    def _mapper_writes(self, now: EpochMs) -> list[StateWrite]:
        state = encode_state(MapperState(flow_id=self.flow_id))
        due = EpochMs(now + self.config.cleanup_ms)
        return [
            StateWrite(key=session_key(i), value=state, expected=0, due_at=due) for i in self.opened
        ]

    def _status_write(self, store: FlowStore) -> list[StateWrite]:
        if self.status is None:
            return []
        key = status_key(self.holding_id, self.checkpoint.request_id, responder=self.is_responder)
        write = write_status(
            store.get(key),
            self.status,
            responder=self.is_responder,
            retention_ms=self.config.status_retention_ms,
        )
        return [write] if write is not None else []

    def _rows(self) -> tuple[JournalRow, ...]:
        if self.ended or self.journal is None:
            return ()
        return tuple(
            JournalRow(flow_id=self.flow_id, number=e.call, value=encode_entry(e))
            for e in self.journal[self.written :]
        )
