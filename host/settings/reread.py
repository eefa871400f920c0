"""Which reread settings a running host applies, and which wait for the next start. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host.settings.bootstrap import HostSettings
from host.settings.pins import Pin, Pins, pinned_values
from host.settings.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """The result of rereading settings.

    Attributes:
        settings: the settings to continue with; values that can change while a host runs are new.
        changed: names of settings that have a new value now.
        waiting: names of settings whose new value takes effect at the next start.
    """

    settings: HostSettings
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def take_over(
    running: HostSettings, wanted: HostSettings, sections: Mapping[str, Section[Any]]
) -> Reread:
    """Apply the live keys of `sections` from `wanted`.

    Raises:
        SettingsInvalidError: the applied values do not fit the unchanged ones.
    """
    names = [f.name for f in dataclasses.fields(HostSettings) if f.name != "pins"]
    waiting = [name for name in names if getattr(running, name) != getattr(wanted, name)]
    changed: list[str] = []
    pins: dict[str, Mapping[str, Pin]] = {}
    for section in sections.values():
        before = pinned_values(section, running.pins)
        after = pinned_values(section, wanted.pins)
        for key in section.keys.values():
            if before.get(key.name, key.default) != after.get(key.name, key.default):
                (changed if key.is_live else waiting).append(key.setting)
        pins[section.name] = _taken(section, running.pins, wanted.pins)
    settings = dataclasses.replace(running, pins={name: p for name, p in pins.items() if p})
    for section in sections.values():
        settings.section(section)
    return Reread(settings=settings, changed=tuple(changed), waiting=tuple(waiting))


def _taken(section: Section[Any], running: Pins, wanted: Pins) -> Mapping[str, Pin]:
    """The wanted pins of live keys, and the current pins of others."""
    return {
        name: pin
        for source, is_live in ((running, False), (wanted, True))
        for name, pin in source.get(section.name, {}).items()
        if section.keys[name].is_live is is_live
    }
