"""Limits of a run: what the node's quota allows, lowered by what a CPK asks for."""

from dataclasses import replace

from host.domain.packages import CpkRecord
from host.domain.quotas import Quota
from sandbox.limits import Limits

_DECLARED = {
    "fuelMax": "fuel_max",
    "memoryBytesMax": "memory_bytes_max",
    "wallMsMax": "wall_ms_max",
}
"""Limit of a descriptor -> field of `Limits`."""


def limits_of_quota(quota: Quota) -> Limits:
    """What one run of a node may use, before its CPK is asked."""
    return Limits(
        fuel_max=quota.fuel_per_run_max,
        memory_bytes_max=quota.memory_bytes_max,
        table_elements_max=quota.table_elements_max,
        wall_ms_max=quota.wall_ms_per_run_max,
        payload_bytes_max=quota.payload_bytes_max,
        host_calls_max=quota.host_calls_per_run_max,
        log_bytes_max=quota.log_bytes_per_run_max,
    )


def limits_of(cpk: CpkRecord, allowed: Limits) -> Limits:
    """The smaller of the host's and the CPK's value, for each limit."""
    lowered = {
        field: min(declared, getattr(allowed, field))
        for name, field in _DECLARED.items()
        if isinstance(declared := cpk.limits.get(name), int)
    }
    return replace(allowed, **lowered)
