"""Where settings come from, and how they reach the worker processes of a host."""

import difflib
import inspect
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Meta

from host.settings.errors import SettingsInvalidError
from host.settings.host import HostSettings
from host.settings.variables import PREFIX, refuse_unknown
from host.settings.wording import expected

_FILE_BYTES_MAX = 1 << 20


def described_settings() -> Mapping[str, str]:
    """Name and meaning of every setting, area by area."""
    hints = typing.get_type_hints(HostSettings, include_extras=True)
    return {
        name: next(
            meta.description
            for meta in reversed(typing.get_args(hints[name]))
            if isinstance(meta, Meta) and meta.description
        )
        for area in HostSettings.__mro__
        for name in inspect.get_annotations(area)
    }


def encode_settings(settings: HostSettings) -> bytes:
    """Settings as another process of the same host reads them by `decode_settings`."""
    return msgspec.json.encode(settings, enc_hook=_absolute)


def decode_settings(data: bytes) -> HostSettings:
    """Settings that `encode_settings` wrote.

    Raises:
        SettingsInvalidError: this release would not have written them.
    """
    try:
        return msgspec.json.decode(data, type=HostSettings, dec_hook=_decode)
    except msgspec.MsgspecError as error:
        raise SettingsInvalidError(f"settings of the running host: {error}") from error


def load_settings(
    *, options: Mapping[str, object], file: Path | None, environment: Mapping[str, str]
) -> HostSettings:
    """Put settings together: `options` that are not None win, then environment, then `file`.

    A refusal names the setting, what is expected and found, and where that stands.

    Raises:
        SettingsInvalidError: unknown setting or variable, or a value of a wrong type
            or out of range.
    """
    given = [
        *_from_file(file),
        *_from_environment(environment),
        *(
            _Given(name, value, f"--{name.replace('_', '-')}")
            for name, value in options.items()
            if value is not None
        ),
    ]
    latest = {setting.name: setting for setting in given}
    if "data_dir" not in latest:
        raise SettingsInvalidError(
            "data_dir is not set: give --data-dir, CORDBOX_DATA_DIR, or data_dir in cordbox.toml"
        )
    values = {name: _converted(setting) for name, setting in latest.items()}
    try:
        return HostSettings(**values)
    except SettingsInvalidError as refused:
        named = latest.get(refused.message.partition(":")[0])
        where = "" if named is None else f" ({named.source})"
        raise SettingsInvalidError(refused.message + where) from None


@dataclass(frozen=True, slots=True)
class _Given:
    """A setting as somebody gave it; `source` is where."""

    name: str
    value: object
    source: str


def _converted(given: _Given) -> Any:
    hint = typing.get_type_hints(HostSettings, include_extras=True)[given.name]
    try:
        return msgspec.convert(given.value, hint, strict=False, dec_hook=_decode)
    except msgspec.ValidationError:
        raise SettingsInvalidError(
            f"{given.name}: expected {expected(hint)}, found {given.value!r:.64} ({given.source})"
        ) from None


def _from_file(file: Path | None) -> Sequence[_Given]:
    if file is None:
        return ()
    try:
        data = file.read_bytes()
        if len(data) > _FILE_BYTES_MAX:
            raise SettingsInvalidError(f"{file}: larger than {_FILE_BYTES_MAX} bytes")
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise SettingsInvalidError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalidError(f"{file} is no TOML: {error}") from error
    known = described_settings()
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise SettingsInvalidError(f"{file}: unknown setting {name!r:.64}{hint}")
    return [_Given(name, value, f"{file}, {name}") for name, value in values.items()]


def _from_environment(environment: Mapping[str, str]) -> Sequence[_Given]:
    hints = typing.get_type_hints(HostSettings)
    names = described_settings()
    refuse_unknown(environment, names)
    found = []
    for name in names:
        variable = PREFIX + name.upper()
        text = environment.get(variable)
        if text is None:
            continue
        is_list = typing.get_origin(hints[name]) is tuple
        value = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
        found.append(_Given(name, value, f"environment variable {variable}"))
    return found


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    raise TypeError(f"expected a path, found {value!r:.64}")


def _absolute(path: object) -> str:
    """The other process may be in another working directory."""
    assert isinstance(path, Path), path  # noqa: S101  # nothing else is no JSON
    return str(path.absolute())
