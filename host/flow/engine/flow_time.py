"""The clock of flows' timeouts; its shift is shared through the store."""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from host.domain.ids import EpochMs
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.messages import GROUP
from host.flow.core.shift import (
    SHIFT_KEY,
    ClockReading,
    SharedShift,
    Stall,
    decode_shift,
    encode_shift,
    flow_time,
    is_news,
    missing_ms,
    stored_flow_time,
)
from host.ports.clock import TwoClocks
from host.ports.groups import Fence
from host.ports.state import StateConflictError, States, StateWrite
from host.ports.units import StateStore, Unit

_KEEPER = 0
"""The owner of this partition writes the store's shift."""

_log = structlog.get_logger("cordbox.flow")


class FlowTime:
    """A `Clock` that is steady even if the time of day jumps. Thread-safe.

    Every call reads both clocks, so that the first call after a jump detects it.

    Args:
        clock: the host's.
        stall_ms: maximum time between two readings of this clock while the process runs.
        boot: identifies the steady clock, by the boot of its machine; empty for the time of the
            database, which all hosts share.
        has_others: whether other processes run flows of the same store. Then the owner of partition
            0 writes the shift at each call of `share`: it tells those that were stopped whether
            only they were.
    """

    def __init__(
        self,
        clock: TwoClocks,
        *,
        stall_ms: int | None = None,
        boot: str = "",
        has_others: bool = False,
    ) -> None:
        self._clock = clock
        self._has_others = has_others
        self._stall_ms = stall_ms
        self._boot = boot
        self._lock = threading.Lock()
        self._last = self._read()
        self._shift_ms = 0
        self._found_at: int | None = None
        self._stall: Stall | None = None

    @property
    def shift_ms(self) -> int:
        return self._shift_ms

    def now_ms(self) -> EpochMs:
        with self._lock:
            now = self._read()
            missing = missing_ms(self._last, now, stall_ms=self._stall_ms)
            if missing:
                self._shift_ms += missing
                self._found_at = now.steady
                self._stall = self._stall_until(now, missing)
            self._last = now
            shift = self._shift_ms
        if missing:
            _log.warning("clock-jumped", missing_ms=missing, shift_ms=shift)
        return flow_time(now.wall, shift)

    def share(self, store: StateStore, owned: Mapping[int, int | None]) -> None:
        """Adopt the store's shift, or, as the owner of partition 0, write it.

        Args:
            store: the flow store.
            owned: partitions of this process, with their epochs.

        Raises:
            FencedError: partition 0 has been reassigned.
            StorageError: the store cannot be used.
        """
        self.now_ms()
        record = store.get(SHIFT_KEY)
        try:
            shared = None if record is None else decode_shift(record)
        except FlowRecordDamagedError:
            shared = None
        with self._lock:
            if shared is not None and is_news(
                shared, found_at=self._found_at, boot=self._boot, stall=self._stall
            ):
                self._shift_ms, self._found_at, self._stall = shared.shift_ms, shared.steady, None
            if self._found_at is None or (shared is not None and shared.boot != self._boot):
                # From now on only later measurements count as new.
                self._found_at = self._last.steady
            own, last = self._shift_ms, self._last
        is_known = own == (0 if shared is None else shared.shift_ms)
        if _KEEPER not in owned or (is_known and not self._has_others):
            return
        shift = SharedShift(shift_ms=own, steady=last.steady, boot=self._boot)
        epoch = owned[_KEEPER]
        fence = None if epoch is None else Fence(group=GROUP, partition=_KEEPER, epoch=epoch)
        write = StateWrite(
            key=SHIFT_KEY,
            value=encode_shift(shift),
            expected=0 if record is None else record.version,
        )
        try:
            store.commit(Unit(states=(write,), fences=() if fence is None else (fence,)))
        except StateConflictError:
            return  # another process was first: the next call adopts its shift

    def _stall_until(self, now: ClockReading, missing: int) -> Stall | None:
        """The stop that is all of what is missing, if it is one."""
        passed = now.steady - self._last.steady
        if self._stall_ms is None or passed <= self._stall_ms or missing != passed:
            return None
        return Stall(begun=self._last.steady, unread_ms=self._stall_ms)

    def _read(self) -> ClockReading:
        return ClockReading(wall=self._clock.now_ms(), steady=self._clock.steady_ms())


class TimedStates(States, Protocol):
    """A store and its time."""

    @property
    def time(self) -> TwoClocks: ...


class StoredFlowTime:
    """Flow time for code that runs no flows: a `Clock` by the shift in the store. Thread-safe.

    `store` gives the store, at the first use.
    """

    def __init__(self, store: Callable[[], TimedStates]) -> None:
        self._store = store

    def now_ms(self) -> EpochMs:
        """The time.

        Raises:
            StorageError: the store cannot be read.
        """
        store = self._store()
        return stored_flow_time(store.get(SHIFT_KEY), store.time.now_ms())
