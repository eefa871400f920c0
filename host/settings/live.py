"""Which settings a running host takes over, and which wait for its next start. Pure."""

import dataclasses
from dataclasses import dataclass

from host.settings.host import HostSettings

LIVE = frozenset(
    {
        "log_level",
        "rest_connections_max",
        "rest_connections_per_address_max",
        "rest_bytes_per_second_min",
        "rest_transfer_seconds_max",
    }
)
"""Settings that take effect while a host runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """What came of reading settings again.

    Attributes:
        settings: those to go on with: the live ones are new.
        changed: live settings that have another value now.
        waiting: settings that have another value, and take effect at the next start.
    """

    settings: HostSettings
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def take_over(running: HostSettings, wanted: HostSettings) -> Reread:
    """Take over from `wanted` what can be taken over."""
    names = [field.name for field in dataclasses.fields(HostSettings)]
    differ = [name for name in names if getattr(running, name) != getattr(wanted, name)]
    changed = tuple(name for name in differ if name in LIVE)
    return Reread(
        settings=dataclasses.replace(running, **{name: getattr(wanted, name) for name in changed}),
        changed=changed,
        waiting=tuple(name for name in differ if name not in LIVE),
    )
