"""Limits of a run: those of the node's quota, or lower ones that a CPK declares."""

from dataclasses import fields, replace

from host.domain.json import camel_case
from host.domain.packages import CpkRecord
from host.domain.quotas import Quota
from sandbox.limits import Limits

LIMITS = {camel_case(field.name): field.name for field in fields(Limits)}
"""Name in documents -> field of `Limits` and of `Quota`. A descriptor may lower some."""


def limits_of_quota(quota: Quota) -> Limits:
    """Limits of one run by the node's quota, without those of the CPK."""
    return Limits(**{name: getattr(quota, name) for name in LIMITS.values()})


def limits_of(cpk: CpkRecord, allowed: Limits) -> Limits:
    """The smaller of the host's and the CPK's value, for each limit."""
    lowered = {
        field: min(declared, getattr(allowed, field))
        for name, field in LIMITS.items()
        if isinstance(declared := cpk.limits.get(name), int)
    }
    return replace(allowed, **lowered)
