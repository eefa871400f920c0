"""Keys of sections that a host's own settings give: they win over what is stored. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host.settings.section import Section


@dataclass(frozen=True, slots=True)
class Pin:
    """A key that cannot be changed while it is given.

    Attributes:
        value: as JSON has it, checked.
        source: where it was given, in words.
    """

    value: Any
    source: str


Pins = Mapping[str, Mapping[str, Pin]]
"""Section -> key -> pin."""


def pinned_values(section: Section[Any], pins: Pins) -> Mapping[str, object]:
    """The pinned keys of a section with their values.

    Raises:
        SettingsInvalidError: one does not fit, since another release has pinned it.
    """
    return {
        name: section.checked(name, pin.value, strict=True)
        for name, pin in pins.get(section.name, {}).items()
    }
