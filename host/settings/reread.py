"""What a running host takes over of settings that are read again, and what waits. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host.settings.bootstrap import HostSettings
from host.settings.pins import Pin, Pins, pinned_values
from host.settings.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """What came of reading settings again.

    Attributes:
        settings: those to go on with: what can change while a host runs is new.
        changed: names of settings that have another value now.
        waiting: names of settings that have another value, and take effect at the next start.
    """

    settings: HostSettings
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def take_over(
    running: HostSettings, wanted: HostSettings, sections: Mapping[str, Section[Any]]
) -> Reread:
    """Take over from `wanted` what can be taken over: keys of `sections` that are live.

    Raises:
        SettingsInvalidError: what is taken over does not fit what stays.
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
    """The pins of live keys as they are wanted, of others as they are."""
    return {
        name: pin
        for source, is_live in ((running, False), (wanted, True))
        for name, pin in source.get(section.name, {}).items()
        if section.keys[name].is_live is is_live
    }
