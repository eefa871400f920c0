"""The difference between flow time and the time of day. Pure.

Timeouts of sessions and idle flows, and sleeps, use *flow time*: the time of day minus a shift. A
jump of the wall clock in either direction, a suspended machine and a stopped process all show as a
difference between two readings of the clocks, which is added to the shift, so that flow time
continues without a gap. This does not apply while no host runs: then time passes for waiting flows.
"""

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from host.domain.ids import EpochMs
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.versioned_codec import read_stored
from host.ports.state import StateRecord

SHIFT_KEY = "clock/shift"
"""Key of the state with the store's shift; the owner of partition 0 writes it."""
JUMP_MS = 500
"""Smaller differences are clock adjustments or inexact readings."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Both clocks at one moment."""

    wall: int
    steady: int


class SharedShift(Struct, frozen=True, kw_only=True):
    """The shift of a store, and when it was measured, by the machine's steady clock and boot."""

    v: int = 1
    shift_ms: int
    steady: int
    boot: str


_decoder = msgspec.json.Decoder(SharedShift)


def missing_ms(before: ClockReading, now: ClockReading, *, stall_ms: int | None) -> int:
    """By how much the shift grows between two readings; 0 if there was no jump.

    Args:
        before: the earlier reading.
        now: the later reading.
        stall_ms: maximum time between readings while the process runs; None if there is no such
            bound.
    """
    passed = now.steady - before.steady
    jump = now.wall - before.wall - passed
    missing = jump if abs(jump) >= JUMP_MS else 0
    if stall_ms is not None and passed > stall_ms:
        missing += passed
    return missing


def encode_shift(shift: SharedShift) -> bytes:
    return msgspec.json.encode(shift)


def decode_shift(record: StateRecord) -> SharedShift:
    """The shift as stored.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return read_stored(_decoder, record.value, "the shift of the clock")


@dataclass(frozen=True, slots=True)
class Stall:
    """A time in which a process has read no clock: it, or its machine, was stopped."""

    begun: int
    """The last reading before it, by the steady clock."""
    unread_ms: int
    """The process had stopped at the latest so long after that reading."""


def is_news(
    shared: SharedShift, *, found_at: int | None, boot: str, stall: Stall | None = None
) -> bool:
    """Whether a process must adopt the store's shift.

    Whoever writes it has read the clocks at that time: its shift contains every jump until then. If
    it was written while the process was stopped, others were not, and flow time went on.

    Args:
        shared: what the store holds.
        found_at: when the process measured its own shift, by the steady clock; None if it has none.
        boot: identifies the steady clock: those of other boots of the machine are not comparable.
        stall: what the process has measured last, if it was a stop of its own.
    """
    if found_at is None:
        return True
    if shared.boot != boot:
        return False
    is_later = shared.steady > found_at
    return is_later or (stall is not None and shared.steady > stall.begun + stall.unread_ms)


def flow_time(wall: int, shift_ms: int) -> EpochMs:
    return EpochMs(wall - shift_ms)


def stored_flow_time(record: StateRecord | None, wall: int) -> EpochMs:
    """Flow time by the store's shift, for a process that runs no flows.

    Args:
        record: the state `SHIFT_KEY`; none, or a damaged one, counts as no shift.
        wall: the time of day.
    """
    try:
        shift_ms = 0 if record is None else decode_shift(record).shift_ms
    except FlowRecordDamagedError:
        shift_ms = 0
    return flow_time(wall, shift_ms)
