"""The sources of settings, and their transfer to the worker processes of a host."""

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from host.adapters.files.regular_files import read_regular
from host.domain.toml_text import TomlRefusedError, parse_toml
from host.settings.bootstrap import HostSettings
from host.settings.catalogue import Catalogue
from host.settings.errors import SettingsInvalidError
from host.settings.pins import Pin
from host.settings.plugged import PluginSettings, read_path
from host.settings.section import Key, Section
from host.settings.variables import PREFIX, refuse_unknown
from host.settings.wording import expected, nearest, refused

_FILE_BYTES_MAX = 1 << 20

Declare = Callable[[Sequence[str], bool], Sequence[PluginSettings]]
"""Returns the declarations of plugins, given their names and whether entry points may be loaded."""


def no_plugins(_names: Sequence[str], _with_entry_points: bool) -> Sequence[PluginSettings]:  # noqa: FBT001  # the type is `Declare`
    """`Declare` for callers that need no settings of plugins."""
    return ()


def encode_settings(settings: HostSettings) -> bytes:
    """Settings as another process of the same host reads them by `decode_settings`."""
    return msgspec.json.encode(settings, enc_hook=_absolute)


def decode_settings(data: bytes) -> HostSettings:
    """Settings that `encode_settings` wrote.

    Raises:
        SettingsInvalidError: they were not written by this release.
    """
    try:
        return msgspec.json.decode(data, type=HostSettings, dec_hook=read_path)
    except msgspec.MsgspecError as error:
        raise SettingsInvalidError(f"settings of the running host: {error}") from error


def load_settings(
    *,
    options: Mapping[str, object],
    file: Path | None,
    environment: Mapping[str, str],
    declare: Declare = no_plugins,
) -> HostSettings:
    """Merge settings: first `options` that are not None, then the environment, then `file`.

    An error names the setting, the expected and the found value, and its source.

    Args:
        options: by names of settings.
        file: TOML; bootstrap settings by name, keys of sections in tables.
        environment: variables; those of settings are names in upper case after `CORDBOX_`.
        declare: returns the declarations of the requested plugins.

    Raises:
        SettingsInvalidError: unknown setting or variable, or a value of a wrong type
            or out of range.
    """
    sources = _Sources(
        options={name: value for name, value in options.items() if value is not None},
        environment=environment,
        file=file,
        table={} if file is None else _read(file),
    )
    own = Catalogue()
    plugins, with_entry_points = (
        _early(sources, own, name) for name in ("plugins", "plugin_entry_points")
    )
    catalogue = Catalogue(declare(plugins, with_entry_points))
    latest = {
        each.name: each
        for each in (
            *_from_file(sources, catalogue),
            *_from_environment(environment, catalogue),
            *_from_options(sources.options, catalogue),
        )
    }
    return _settings(latest, catalogue)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """All sources of settings; `table` is the content of the file."""

    options: Mapping[str, object]
    environment: Mapping[str, str]
    file: Path | None
    table: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Given:
    """A setting as it was given; `source` names where."""

    name: str
    value: object
    source: str


def _settings(latest: Mapping[str, _Given], catalogue: Catalogue) -> HostSettings:
    if "data_dir" not in latest:
        raise SettingsInvalidError(
            "data_dir is not set: give --data-dir, CORDBOX_DATA_DIR, or data_dir in cordbox.toml"
        )
    values: dict[str, Any] = {}
    plugged: dict[str, Any] = {}
    pins: dict[str, dict[str, Pin]] = {}
    for name, each in latest.items():
        if name in catalogue.keys:
            section, key = catalogue.keys[name]
            pins.setdefault(section.name, {})[key.name] = _pin(section, key, each)
        elif catalogue.bootstrap[name].is_plugged:
            plugged[name] = msgspec.to_builtins(_converted(each, catalogue), enc_hook=_absolute)
        else:
            values[name] = _converted(each, catalogue)
    try:
        settings = HostSettings(**values, plugged=plugged, pins=pins)
        for section_name in pins:
            settings.section(catalogue.sections[section_name])
    except SettingsInvalidError as wrong:
        named = wrong.message.partition(":")[0]
        sources = [s for name, s in _sources(latest, catalogue) if name == named]
        raise SettingsInvalidError(
            wrong.message + (f" ({sources[0]})" if sources else "")
        ) from None
    return settings


def _sources(latest: Mapping[str, _Given], catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    for name, each in latest.items():
        section, key = catalogue.keys.get(name, (None, None))
        yield (
            name if section is None or key is None else f"{section.name}.{key.name}",
            each.source,
        )


def _pin(section: Section[Any], key: Key, given: _Given) -> Pin:
    try:
        value = section.checked(key.name, given.value, strict=False)
    except SettingsInvalidError as wrong:
        raise SettingsInvalidError(f"{wrong.message} ({given.source})") from None
    return Pin(msgspec.json.decode(msgspec.json.encode(value)), given.source)


def _converted(given: _Given, catalogue: Catalogue) -> Any:
    hint = catalogue.bootstrap[given.name].hint
    try:
        return msgspec.convert(given.value, hint, strict=False, dec_hook=read_path)
    except msgspec.ValidationError:
        raise SettingsInvalidError(
            f"{refused(given.name, expected(hint), given.value)} ({given.source})"
        ) from None


def _early(sources: _Sources, catalogue: Catalogue, name: str) -> Any:
    """A setting that determines which others exist."""
    table, options = sources.table, sources.options
    found = [_Given(name, table[name], f"{sources.file}, {name}")] if name in table else []
    found += _variable(sources.environment, catalogue, name)
    found += [_Given(name, options[name], _option(name))] if name in options else []
    return _converted(found[-1], catalogue) if found else catalogue.bootstrap[name].default


def _read(file: Path) -> Mapping[str, object]:
    try:
        data = read_regular(file, _FILE_BYTES_MAX, follow=True)
        return parse_toml(data, bytes_max=_FILE_BYTES_MAX)
    except OSError as error:
        raise SettingsInvalidError(f"{file}: {error.strerror}") from error
    except TomlRefusedError as error:
        raise SettingsInvalidError(f"{file} is no TOML: {error}") from error


def _from_file(sources: _Sources, catalogue: Catalogue) -> Iterator[_Given]:
    file = sources.file or Path()
    for name, value in sources.table.items():
        if isinstance(value, dict):
            yield from _from_table(file, name, value, catalogue)
        elif name in catalogue.keys:
            section, key = catalogue.keys[name]
            raise SettingsInvalidError(
                f"{file}: {name} is the key {key.name} of a section: write it under"
                f" [{section.name}]"
            )
        elif name in catalogue.bootstrap:
            yield _Given(name, value, f"{file}, {name}")
        else:
            raise SettingsInvalidError(
                f"{file}: unknown setting {name!r:.64}{nearest(name, catalogue.bootstrap)}"
            )


def _from_table(
    file: Path, path: str, table: Mapping[str, object], catalogue: Catalogue
) -> Iterator[_Given]:
    """The keys of the sections that begin with `path`."""
    section = catalogue.sections.get(path)
    if section is not None:
        yield from _from_section(file, section, "", table)
        return
    for name, value in table.items():
        inner = f"{path}.{name}"
        if inner in catalogue.sections and not isinstance(value, dict):
            raise SettingsInvalidError(f"{file}: section {inner} is no table of keys")
        if not isinstance(value, dict) or not any(
            f"{known}.".startswith(f"{inner}.") for known in catalogue.sections
        ):
            raise SettingsInvalidError(
                f"{file}: unknown section {inner!r:.80}{nearest(inner, catalogue.sections)}"
            )
        yield from _from_table(file, inner, value, catalogue)


def _from_section(
    file: Path, section: Section[Any], path: str, table: Mapping[str, object]
) -> Iterator[_Given]:
    for name, value in table.items():
        inner = f"{path}{name}"
        key = section.keys.get(inner)
        if key is not None:
            yield _Given(key.setting, value, f"{file}, [{section.name}] {inner}")
        elif isinstance(value, dict) and any(k.startswith(f"{inner}.") for k in section.keys):
            yield from _from_section(file, section, f"{inner}.", value)
        else:
            raise SettingsInvalidError(
                f"{file}: unknown key {inner!r:.80} of section {section.name}"
                f"{nearest(inner, section.keys)}"
            )


def _from_environment(environment: Mapping[str, str], catalogue: Catalogue) -> Iterator[_Given]:
    refuse_unknown(environment, catalogue.names())
    for name in catalogue.names():
        yield from _variable(environment, catalogue, name)


def _variable(environment: Mapping[str, str], catalogue: Catalogue, name: str) -> Sequence[_Given]:
    variable = PREFIX + name.upper()
    text = environment.get(variable)
    if text is None:
        return ()
    in_section = catalogue.keys.get(name)
    hint = catalogue.bootstrap[name].hint if in_section is None else in_section[1].hint
    is_list = typing.get_origin(typing.get_args(hint)[0]) is tuple
    value = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    return (_Given(name, value, f"environment variable {variable}"),)


def _from_options(options: Mapping[str, object], catalogue: Catalogue) -> Iterator[_Given]:
    for name, value in options.items():
        if name not in catalogue.bootstrap and name not in catalogue.keys:
            raise SettingsInvalidError(f"unknown setting {name!r:.64} ({_option(name)})")
        yield _Given(name, value, _option(name))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _absolute(path: object) -> str:
    """The other process may have another working directory."""
    assert isinstance(path, Path), path  # noqa: S101  # all other types have a JSON form
    return str(path.absolute())
