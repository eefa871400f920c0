"""Settings of plugins: bootstrap settings and sections of their own. Pure."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from host.settings.errors import SettingsInvalidError
from host.settings.section import Section

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSettings:
    """What a plugin declares by the hook `register_settings`.

    Attributes:
        bootstrap: a frozen dataclass whose fields are settings that the plugin needs at its start:
            `Annotated` with a type and a `msgspec.Meta` with limits and meaning. None if it has
            none.
        sections: sections of its own, which may change while the host runs.
    """

    bootstrap: type[Any] | None = None
    sections: Sequence[Section[Any]] = ()


def read_values(kind: type[T], values: Mapping[str, Any]) -> T:
    """An instance of `kind` from `values`; missing fields have their defaults.

    Raises:
        SettingsInvalidError: a value does not fit, or a required one is missing.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    names = {field.name for field in dataclasses.fields(typing.cast("Any", kind))}
    try:
        given = {
            name: msgspec.convert(values[name], hints[name], dec_hook=read_path)
            for name in names & values.keys()
        }
        return kind(**given)
    except (msgspec.ValidationError, TypeError) as error:
        raise SettingsInvalidError(f"settings of {kind.__name__}: {error}") from error


def read_path(kind: type, value: object) -> object:
    """Converts to paths, which JSON and TOML do not have; for msgspec's `dec_hook`."""
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    raise TypeError(f"expected a path, found {value!r:.64}")
