"""Due times: wakes sleeping flows, and forgets mapper states, old statuses and histories."""

from host.domain.ids import EpochMs
from host.flow.config import CORDA_DEFAULTS, FlowConfig
from host.flow.errors import FlowRecordDamagedError
from host.flow.history import HISTORY, forgotten
from host.flow.mapper import decode_state
from host.flow.messages import EVENT_TOPIC, Wake, encode, flow_state_key
from host.ports.bus import NewRecord
from host.ports.clock import Clock
from host.ports.state import StateConflictError, StateRecord, StateWrite
from host.ports.units import FlowStore, Unit

_BATCH = 100


class Timers:
    """Acts on states whose due time has come. One thread at a time calls it."""

    def __init__(
        self, *, store: FlowStore, clock: Clock, config: FlowConfig = CORDA_DEFAULTS
    ) -> None:
        self._store = store
        self._clock = clock
        self._cleanup_ms = config.cleanup_ms

    def next_due(self) -> EpochMs | None:
        return self._store.next_due()

    def fire_due(self) -> int:
        """Act on all due states, each in its own transaction.

        Returns:
            How many there were. One that a step changed meanwhile is left for the next call.

        Raises:
            StorageError: the store cannot be used.
        """
        now = self._clock.now_ms()
        due = self._store.due(now, _BATCH)
        for state in due:
            try:
                self._store.commit(self._unit(state, now))
            except StateConflictError:
                continue
        return len(due)

    def _unit(self, state: StateRecord, now: EpochMs) -> Unit:
        delete = StateWrite(key=state.key, value=None, expected=state.version)
        kind, _, rest = state.key.partition("/")
        if kind == "timer":
            wake = NewRecord(topic=EVENT_TOPIC, key=rest, value=encode(Wake()))
            return Unit(states=(delete,), records=(wake,))
        if kind == HISTORY:
            return Unit(states=(delete,), forget=forgotten(state))
        if kind in ("start", "session") and self._is_live(state):
            later = EpochMs(now + self._cleanup_ms)
            keep = StateWrite(
                key=state.key, value=state.value, expected=state.version, due_at=later
            )
            return Unit(states=(keep,))
        return Unit(states=(delete,))

    def _is_live(self, mapped: StateRecord) -> bool:
        """Whether the flow of a mapper state has not ended; one that is damaged leads nowhere."""
        try:
            flow_id = decode_state(mapped.value).flow_id
        except FlowRecordDamagedError:
            return False
        return self._store.get(flow_state_key(flow_id)) is not None
