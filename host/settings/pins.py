"""Keys of sections given by a host's own settings: they override stored values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host.settings.section import Section


@dataclass(frozen=True, slots=True)
class Pin:
    """A key that cannot be changed while it is given.

    Attributes:
        value: in its JSON form, checked.
        source: where it was given, in words.
    """

    value: Any
    source: str


Pins = Mapping[str, Mapping[str, Pin]]
"""Section -> key -> pin."""


def pinned_values(section: Section[Any], pins: Pins) -> Mapping[str, object]:
    """The pinned keys of a section with their values.

    Raises:
        SettingsInvalidError: a value does not fit, since another release has pinned it.
    """
    return {
        name: section.checked(name, pin.value, strict=True)
        for name, pin in pins.get(section.name, {}).items()
    }
