"""The catalogue of all settings of a host and its plugins. Pure."""

import dataclasses
import inspect
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Meta

from host.settings.bootstrap import HostSettings
from host.settings.errors import SettingsInvalidError
from host.settings.plugged import PluginSettings
from host.settings.section import Key, Section, is_own
from host.settings.sections import SECTIONS
from host.settings.wording import nearest

_NO_SETTINGS = frozenset({"plugged", "pins"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """A bootstrap setting: its type with limits, and its meaning.

    `default` is dataclasses.MISSING if the setting is required, and None if it depends on the
    machine.
    """

    name: str
    hint: object
    default: object
    meaning: str
    has_fixed_default: bool
    is_plugged: bool


class Catalogue:
    """The settings of a host with the declarations of its plugins.

    Attributes:
        bootstrap: by name.
        sections: by name.
        keys: section and key by the setting's name, such as `flow_workers`.

    Raises:
        SettingsInvalidError: a plugin's declaration is invalid, or a name exists already.
    """

    def __init__(self, plugged: Sequence[PluginSettings] = ()) -> None:
        self.bootstrap = _declared(HostSettings, is_plugged=False)
        self.sections: dict[str, Section[Any]] = dict(SECTIONS)
        for each in plugged:
            for section in each.sections:
                self._add_section(section)
            if each.bootstrap is not None:
                self._add_bootstrap(_declared(each.bootstrap, is_plugged=True))
        self.keys: dict[str, tuple[Section[Any], Key]] = {}
        for section in self.sections.values():
            for key in section.keys.values():
                if key.setting in self.keys or key.setting in self.bootstrap:
                    raise SettingsInvalidError(f"setting {key.setting!r} is declared twice")
                self.keys[key.setting] = (section, key)

    def names(self) -> Sequence[str]:
        """The names of all settings."""
        return (*self.bootstrap, *self.keys)

    def section(self, name: str) -> Section[Any]:
        """The section of this name.

        Raises:
            SettingsInvalidError: there is no such section.
        """
        found = self.sections.get(name)
        if found is None:
            raise SettingsInvalidError(
                f"unknown section {name!r:.80}{nearest(name, self.sections)}"
            )
        return found

    def _add_section(self, section: Section[Any]) -> None:
        if is_own(section.name):
            raise SettingsInvalidError(
                f"section {section.name} of a plugin has a name of Cordbox's"
            )
        for other in self.sections:
            if f"{other}.".startswith(f"{section.name}.") or section.name.startswith(f"{other}."):
                raise SettingsInvalidError(f"sections {other} and {section.name} collide")
        self.sections[section.name] = section

    def _add_bootstrap(self, declared: Mapping[str, Bootstrap]) -> None:
        for name in declared:
            if name in self.bootstrap or name in _NO_SETTINGS:
                raise SettingsInvalidError(f"setting {name!r} is declared twice")
        self.bootstrap = {**self.bootstrap, **declared}


def _declared(kind: type[Any], *, is_plugged: bool) -> Mapping[str, Bootstrap]:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    found = {}
    for name in inspect.get_annotations(kind):
        if name in _NO_SETTINGS:
            continue
        metas = [meta for meta in typing.get_args(hints[name]) if isinstance(meta, Meta)]
        meaning = next((meta.description for meta in reversed(metas) if meta.description), None)
        if meaning is None:
            raise SettingsInvalidError(f"setting {name!r} is declared without its meaning")
        has_factory = fields[name].default_factory is not dataclasses.MISSING
        found[name] = Bootstrap(
            name=name,
            hint=hints[name],
            default=None if has_factory else fields[name].default,
            meaning=meaning,
            has_fixed_default=not has_factory,
            is_plugged=is_plugged,
        )
    return found
