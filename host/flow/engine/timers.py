"""Due times: wakes sleeping flows, starts system flows, and deletes what is kept for a time.

These are mapper states, old statuses and histories.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from host.domain.ids import EpochMs, ShortHash
from host.flow.core.aside import head_key
from host.flow.core.config import FIXED_DEFAULTS, FlowConfig
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.mapper import decode_state
from host.flow.core.messages import EVENT_TOPIC, GROUP, Wake, due_place, encode, flow_state_key
from host.flow.core.remembered import LATER, fired
from host.flow.core.timer_state import node_of_timer
from host.flow.records.history import HISTORY, forgotten
from host.ports.bus import NOBODY, NewRecord
from host.ports.clock import Clock
from host.ports.groups import Fence, FencedError
from host.ports.live import Live
from host.ports.state import StateConflictError, StateRecord, States, StateWrite
from host.ports.units import StateStore, Unit

_BATCH = 500
_HOLD_MS = 16_000
"""How long a due state that could not be processed is skipped."""
_REFUSED_MAX = 16
"""Failing states of one batch that are skipped one by one; more indicate a store failure."""
_EVER = EpochMs(2**62)


ChargeTime = Callable[[ShortHash, float], None]
"""Charges a node with milliseconds of a thread's time."""


def charge_nobody(node: ShortHash, cost_ms: float) -> None:
    """For an engine whose nodes share no threads."""
    del node, cost_ms


def all_partitions(states: States) -> Mapping[int, int | None]:
    """The ownership of an engine whose group has no members: all partitions, without an epoch."""
    return dict.fromkeys(range(states.partitions))


class Timers:
    """Processes states whose due time has come. Called by one thread at a time."""

    def __init__(
        self,
        *,
        store: StateStore,
        clock: Clock,
        config: Live[FlowConfig] = FIXED_DEFAULTS,
        is_paused: Callable[[ShortHash], bool] = lambda _: False,
    ) -> None:
        self._store = store
        self._is_paused = is_paused
        self._clock = clock
        self._config = config
        self._held: dict[str, EpochMs] = {}

    def next_due(self, owned: Mapping[int, int | None] | None = None) -> EpochMs | None:
        """The next due time in these partitions, or in all.

        Raises:
            StorageError: the store cannot be used.
        """
        owned = all_partitions(self._store) if owned is None else owned
        if not self._held:
            return self._store.next_due(GROUP, owned.keys())
        due = self._store.due(GROUP, _EVER, len(self._held) + 1, owned.keys())
        times = [self._held.get(s.key, s.due_at) for s in due]
        return min((at for at in times if at is not None), default=None)

    def fire_due(
        self,
        owned: Mapping[int, int | None] | None = None,
        charge: ChargeTime = charge_nobody,
    ) -> int:
        """Process the due states of these partitions, or of all, in one transaction if possible.

        Many flows may be due at once; one commit for each would delay later ones. States that
        cannot be processed are skipped for a while; all others are processed.

        Args:
            owned: the epoch of each partition.
            charge: gets the time of each commit, shared by the nodes whose flows it wakes.

        Returns:
            The number of processed states. One that a step changed meanwhile is left for the next
            call.

        Raises:
            FencedError: a partition has been reassigned; states of the others are left for the next
                call.
            StorageError: the store cannot be used.
        """
        owned = all_partitions(self._store) if owned is None else owned
        now = self._clock.now_ms()
        self._held = {key: at for key, at in self._held.items() if now < at <= now + _HOLD_MS}
        found = self._store.due(GROUP, now, _BATCH + len(self._held), owned.keys())
        due = [state for state in found if state.key not in self._held]
        return self._fire(due, owned, now, [], charge)

    def _fire(
        self,
        due: Sequence[StateRecord],
        owned: Mapping[int, int | None],
        now: EpochMs,
        refused: list[str],
        charge: ChargeTime,
    ) -> int:
        """Process `due` in one unit, or else each half of it; returns the number processed."""
        if not due:
            return 0
        try:
            self._commit(due, owned, now, charge)
        except FencedError:
            raise
        except Exception as exc:
            if len(refused) >= _REFUSED_MAX:
                raise  # the failure is not caused by one of them
            if len(due) > 1:
                half = len(due) // 2
                acted = self._fire(due[:half], owned, now, refused, charge)
                return acted + self._fire(due[half:], owned, now, refused, charge)
            if isinstance(exc, StateConflictError):
                return 0
            refused.append(due[0].key)
            self._held[due[0].key] = EpochMs(now + _HOLD_MS)
            return 0
        return len(due)

    def _commit(
        self,
        due: Sequence[StateRecord],
        owned: Mapping[int, int | None],
        now: EpochMs,
        charge: ChargeTime,
    ) -> None:
        begun = time.perf_counter()
        try:
            self._commit_all(due, owned, now)
        finally:  # a commit that fails has taken its time as well
            share_ms = (time.perf_counter() - begun) * 1000 / len(due)
            woken = Counter(node_of_timer(s) for s in due if _is_timer(s))
            for node, count in woken.items():
                charge(node, share_ms * count)

    def _commit_all(
        self, due: Sequence[StateRecord], owned: Mapping[int, int | None], now: EpochMs
    ) -> None:
        parts = [self._unit(state, now) for state in due]
        partitions = {state.place.partition for state in due if state.place is not None}
        self._store.commit(
            Unit(
                states=tuple(write for part in parts for write in part.states),
                forget=tuple(flow_id for part in parts for flow_id in part.forget),
                records=tuple(record for part in parts for record in part.records),
                fences=tuple(
                    Fence(group=GROUP, partition=partition, epoch=epoch)
                    for partition in sorted(partitions)
                    if (epoch := owned[partition]) is not None
                ),
            )
        )

    def _unit(self, state: StateRecord, now: EpochMs) -> Unit:
        delete = StateWrite(key=state.key, value=None, expected=state.version)
        kind, _, rest = state.key.partition("/")
        if _is_timer(state):
            node = node_of_timer(state)
            wake = NewRecord(topic=EVENT_TOPIC, key=rest, value=encode(Wake()), node=node)
            return Unit(states=(delete,), records=(wake,))
        if kind == LATER:
            start = fired(state, now)
            # It is due again and again: of a pause, one start for each time would be left.
            is_held = self._is_paused(start.record.node or NOBODY)
            return Unit(states=(start.state,), records=() if is_held else (start.record,))
        if kind == HISTORY:
            return Unit(states=(delete,), forget=forgotten(state))
        if kind in ("start", "session") and self._is_live(state):
            later = EpochMs(now + self._config.get().cleanup_ms)
            keep = StateWrite(
                key=state.key,
                value=state.value,
                expected=state.version,
                due_at=later,
                place=due_place(state.key),
            )
            return Unit(states=(keep,))
        return Unit(states=(delete,))

    def _is_live(self, mapped: StateRecord) -> bool:
        """Whether the flow of a mapper state runs, or its first event is set aside.

        False for a damaged state.
        """
        try:
            state = decode_state(mapped.value)
        except FlowRecordDamagedError:
            return False
        keys = [flow_state_key(state.flow_id)]
        if state.node is not None:
            keys.append(head_key(state.node, EVENT_TOPIC, state.flow_id))
        return bool(self._store.get_many(keys))


def _is_timer(state: StateRecord) -> bool:
    return state.key.startswith("timer/")
