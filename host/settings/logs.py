"""Sections of our own about logs. Pure."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class LogValues:
    """Section `cordbox.log`."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least level that is logged."),
    ] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLogValues:
    """Section `cordbox.audit_log`: the logs of privileged calls, one for each virtual node."""

    segment_bytes: Annotated[
        int,
        Meta(
            ge=64 * 1024,
            le=1024 * 1024 * 1024,
            description="Bytes after which a node's audit log goes on in a new file; the older ones"
            " stay.",
        ),
    ] = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrativeLogValues:
    """Section `cordbox.administrative_log`."""

    entries_max: Annotated[
        int,
        Meta(
            ge=1_000,
            le=100_000_000,
            description="Entries of the administrative log that are kept, about 600 bytes each; the"
            " oldest go first, and the log says so.",
        ),
    ] = 200_000
    flow_entries_max: Annotated[
        int,
        Meta(
            ge=1_000,
            le=100_000_000,
            description="Entries of the administrative log about started flows that are kept; two"
            " for each.",
        ),
    ] = 40_000
