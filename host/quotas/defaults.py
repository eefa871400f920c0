"""A host's quota of nodes that have none of their own, out of its settings."""

from host.domain.quotas import Quota, QuotaInvalidError
from host.settings import HostSettings, SettingsInvalidError

SETTING_OF = {
    "fuel_per_run_max": "guest_fuel_max",
    "fuel_per_second_max": "guest_fuel_per_second_max",
    "memory_bytes_max": "guest_memory_bytes_max",
    "table_elements_max": "guest_table_elements_max",
    "wall_ms_per_run_max": "guest_wall_ms_max",
    "host_calls_per_run_max": "guest_host_calls_max",
    "host_call_ms_per_second_max": "guest_host_call_ms_per_second_max",
    "log_bytes_per_run_max": "guest_log_bytes_max",
    "log_bytes_per_second_max": "guest_log_bytes_per_second_max",
    "payload_bytes_max": "guest_payload_bytes_max",
    "journal_calls_max": "flow_journal_calls_max",
    "journal_bytes_max": "flow_journal_bytes_max",
    "journals_bytes_max": "flow_journals_bytes_max",
    "bus_bytes_max": "flow_bus_bytes_max",
    "statuses_bytes_max": "flow_statuses_bytes_max",
    "histories_bytes_max": "flow_histories_bytes_max",
    "audit_bytes_max": "audit_log_bytes_max",
    "parked_bytes_max": "flow_parked_node_bytes_max",
    "storage_bytes_max": "vault_bytes_max",
    "flows_open_max": "flows_open_max",
    "flows_open_from_node_max": "flows_open_from_node_max",
}
"""Quota -> the setting that is its default."""
_REQUEST_BYTES = 64 * 1024
"""What a host call's request may have beside a session's payload."""


def quota_of_settings(settings: HostSettings) -> Quota:
    """The quota of every node without overrides.

    The payload limit is at least what carries the largest session message.

    Raises:
        SettingsInvalidError: a setting is outside the range of its quota.
    """
    try:
        quota = Quota(**{name: getattr(settings, setting) for name, setting in SETTING_OF.items()})
        largest = settings.flow_session_max_payload_size + _REQUEST_BYTES
        return quota.with_overrides({"payload_bytes_max": max(quota.payload_bytes_max, largest)})
    except QuotaInvalidError as error:
        raise SettingsInvalidError(f"settings: {error.message}") from error
