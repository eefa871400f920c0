"""A host's default quota of nodes, from its settings."""

from host.domain.quotas import Quota
from host.ports.live import Derived, Live
from host.settings import HostSettings
from host.settings.live import LiveConfig
from host.settings.sections import CORDA_FLOW, QUOTA

_REQUEST_BYTES = 64 * 1024
"""Bytes of a host call's request beside a session's payload."""


def quota_of_settings(settings: HostSettings) -> Quota:
    """The quota of every node without overrides."""
    return default_quota(
        settings.section(QUOTA), settings.section(CORDA_FLOW).session_max_payload_size
    )


def live_quota(live: LiveConfig) -> Live[Quota]:
    """The same, with the settings in force now."""
    return Derived(
        lambda quota, flow: default_quota(quota, flow.session_max_payload_size),
        live.section(QUOTA),
        live.section(CORDA_FLOW),
    )


def default_quota(quota: Quota, session_payload_max: int) -> Quota:
    """`quota` with a payload limit that is at least what carries the largest session message."""
    largest = session_payload_max + _REQUEST_BYTES
    return quota.with_overrides({"payload_bytes_max": max(quota.payload_bytes_max, largest)})
