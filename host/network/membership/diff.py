"""What a registration changes in a member's context. Pure."""

from collections.abc import Sequence

from host.network.values import contexts
from host.network.values.contexts import Context

_OF_EACH_REQUEST = (contexts.REGISTRATION_ID,)
_FREE = (
    contexts.ENDPOINTS + ".",
    contexts.CUSTOM,
    "corda.cpi.",
    contexts.PLATFORM_VERSION,
    contexts.SOFTWARE_VERSION,
    contexts.TLS_SUBJECT,
    contexts.LOCATION_EPOCH,
    contexts.LOCATION_ID,
)
"""Prefixes of what a member may change; session and ledger keys, roles and names it may not."""


def changed_entries(before: Context, after: Context) -> Sequence[str]:
    """The names of entries that are added, changed or removed; `before` is empty for a new one."""
    return [
        key
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key) and key not in _OF_EACH_REQUEST
    ]


def forbidden_changes(before: Context, after: Context) -> Sequence[str]:
    """The names of entries that a member may not change by registering again."""
    return [key for key in changed_entries(before, after) if not _may_change(key, before)]


def _may_change(key: str, before: Context) -> bool:
    if key == contexts.NOTARY_BACKCHAIN:
        return key not in before
    return key.startswith(_FREE)
