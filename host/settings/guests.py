"""What guests may do and use, and where they run."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

CAPABILITIES = (
    "log",
    "flow",
    "sessions",
    "persistence",
    "signing",
    "crypto",
    "membership",
    "ledger",
    "external-messaging",
)
"""Every interface of the workflow world."""


@dataclass(frozen=True, kw_only=True)
class GuestSettings:
    """The settings of guests and of their virtual nodes.

    Those of one run bind workflows: a contract's limits are its platform version's, on every host
    the same (`host.guests.contract_limits`).
    """

    allowed_capabilities: Annotated[
        tuple[str, ...],
        Meta(description="Capabilities that virtual nodes may be granted, at most."),
    ] = CAPABILITIES
    guest_fuel_max: Annotated[
        int,
        Meta(ge=1, description="Fuel (about one unit per instruction) of one run of a workflow."),
    ] = 2_000_000_000
    guest_memory_bytes_max: Annotated[
        int, Meta(ge=1 << 16, description="Linear memory of one workflow's sandbox in bytes.")
    ] = 128 * 1024 * 1024
    guest_wall_ms_max: Annotated[
        int, Meta(ge=1, description="Milliseconds that one run of a workflow may take.")
    ] = 10_000
    vault_bytes_max: Annotated[
        int,
        Meta(ge=1 << 20, description="Bytes that the storage of one virtual node may take."),
    ] = 1024 * 1024 * 1024
    audit_log_bytes_max: Annotated[
        int,
        Meta(ge=1 << 20, description="Bytes that the audit log of one virtual node may take."),
    ] = 4 * 1024 * 1024 * 1024
    guest_fuel_per_second_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Fuel that the runs of one virtual node may use in a second on average; "
            "what is beyond waits.",
        ),
    ] = 4_000_000_000
    guest_table_elements_max: Annotated[
        int, Meta(ge=1, description="Elements of each table of one workflow's sandbox.")
    ] = 100_000
    guest_host_calls_max: Annotated[
        int, Meta(ge=1, description="Host calls of one sandbox run, replayed ones included.")
    ] = 10_000
    guest_host_call_ms_per_second_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Milliseconds that the runs of one virtual node may spend in host calls in "
            "a second on average, waiting included; what is beyond waits.",
        ),
    ] = 4_000
    guest_log_bytes_max: Annotated[
        int, Meta(ge=0, description="Bytes that one sandbox run may log.")
    ] = 64 * 1024
    guest_log_bytes_per_second_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Bytes that the runs of one virtual node may log in a second on average; "
            "what is beyond waits.",
        ),
    ] = 256 * 1024
    guest_payload_bytes_max: Annotated[
        int,
        Meta(ge=1024, description="Bytes of any one text that crosses a workflow's boundary."),
    ] = 4 * 1024 * 1024
    isolation: Annotated[
        Literal["shared", "process"],
        Meta(
            description="Where guests run: `shared` (in the process that runs flows) or `process`"
            " (a sealed process for each virtual node, about 35 MB each while it is in use)."
        ),
    ] = "shared"
    isolation_required: Annotated[
        tuple[str, ...],
        Meta(
            description="Walls of `isolation = process` without which the host does not start,"
            " for example `seccomp`; those in force are in the log line `isolation`."
        ),
    ] = ()
    isolation_processes_max: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Guests' processes of one process that runs flows."),
    ] = 64
    isolation_idle_seconds: Annotated[
        int, Meta(ge=1, description="Seconds after which an unused guests' process is ended.")
    ] = 60
    isolation_memory_bytes_max: Annotated[
        int,
        Meta(
            ge=256 * 1024 * 1024,
            description="Private memory in bytes of one guests' process, all its sandboxes"
            " together.",
        ),
    ] = 2 * 1024 * 1024 * 1024
