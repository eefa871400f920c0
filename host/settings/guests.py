"""Sections of our own about guests' capabilities and processes. Pure."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from host.settings.errors import SettingsInvalidError
from host.settings.kinds import SECONDS_MAX, TIB
from host.settings.section import AtStart
from sandbox.host_api import CAPABILITIES


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestValues:
    """Section `cordbox.guest`."""

    allowed_capabilities: Annotated[
        tuple[Annotated[str, Meta(max_length=64)], ...],
        Meta(
            max_length=64,
            description="Capabilities that virtual nodes may be granted, at most.",
        ),
    ] = CAPABILITIES

    def __post_init__(self) -> None:
        """Refuse unknown capabilities."""
        unknown = sorted(set(self.allowed_capabilities) - set(CAPABILITIES))
        if unknown:
            raise SettingsInvalidError(
                f"allowed_capabilities: {unknown[0]!r:.64} is none of {', '.join(CAPABILITIES)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationValues:
    """Section `cordbox.isolation`: guests' processes, where `isolation` is `process`."""

    processes_max: Annotated[
        int,
        AtStart(),
        Meta(ge=1, le=10_000, description="Guests' processes of one process that runs flows."),
    ] = 64
    idle_seconds: Annotated[
        int,
        AtStart(),
        Meta(
            ge=1,
            le=SECONDS_MAX,
            description="Seconds after which an unused guests' process is ended.",
        ),
    ] = 60
    memory_bytes_max: Annotated[
        int,
        AtStart(),
        Meta(
            ge=256 * 1024 * 1024,
            le=TIB,
            description="Private memory in bytes of one guests' process, all its sandboxes"
            " together.",
        ),
    ] = 2 * 1024 * 1024 * 1024
