"""How far the time of flows lies behind the time of day. Pure.

Timeouts of sessions and idle flows, and sleeps, are held against *flow time*: the time of day less
a shift. A wall clock that jumps either way, a machine that was suspended and a process that was
stopped all show as a difference between two looks at the clocks; the shift grows by it, so that
flow time goes on from where it was. A host that does not run is no such case: time passes for
those who wait.
"""

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from host.domain.ids import EpochMs
from host.flow.core.versioned_codec import read_stored
from host.ports.state import StateRecord

SHIFT_KEY = "clock/shift"
"""The state that holds the store's shift; the owner of partition 0 writes it."""
JUMP_MS = 500
"""Less is how clocks are adjusted, and how inexact two readings are."""


@dataclass(frozen=True, slots=True)
class Look:
    """Both clocks at one moment."""

    wall: int
    steady: int


class SharedShift(Struct, frozen=True, kw_only=True):
    """The shift of a store, and when it was found, by the machine's steady clock and its run."""

    v: int = 1
    shift_ms: int
    steady: int
    boot: str


_decoder = msgspec.json.Decoder(SharedShift)


def missing_ms(before: Look, now: Look, *, stall_ms: int | None) -> int:
    """By how much the shift grows between two looks; 0 when nothing happened.

    Args:
        before: the earlier look.
        now: the later one.
        stall_ms: looks are never further apart than this while the process runs; None when nothing
            is known about it.
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


def is_news(shared: SharedShift, *, found_at: int | None, boot: str) -> bool:
    """Whether a process is to take up the store's shift.

    Args:
        shared: what the store holds.
        found_at: when the process found its own, by the steady clock; None for none of its own.
        boot: names this run of the machine: another run's steady times mean nothing.
    """
    return found_at is None or (shared.boot == boot and shared.steady > found_at)


def flow_time(wall: int, shift_ms: int) -> EpochMs:
    return EpochMs(wall - shift_ms)
