"""Limits of a run: what the host allows, lowered by what a CPK asks for."""

from dataclasses import replace

from host.domain.packages import CpkRecord
from sandbox.limits import Limits

_DECLARED = {
    "fuelMax": "fuel_max",
    "memoryBytesMax": "memory_bytes_max",
    "wallMsMax": "wall_ms_max",
}
"""Limit of a descriptor -> field of `Limits`."""


def limits_of(cpk: CpkRecord, allowed: Limits) -> Limits:
    """The smaller of the host's and the CPK's value, for each limit."""
    lowered = {
        field: min(declared, getattr(allowed, field))
        for name, field in _DECLARED.items()
        if isinstance(declared := cpk.limits.get(name), int)
    }
    return replace(allowed, **lowered)
