"""Where settings come from, and how they reach the worker processes of a host."""

import inspect
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Meta

from host.settings.errors import SettingsInvalidError
from host.settings.host import HostSettings

_ENVIRONMENT_PREFIX = "CORDBOX_"
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

    Raises:
        SettingsInvalidError: unknown setting, or a value of a wrong type or out of range.
    """
    from_options = {name: value for name, value in options.items() if value is not None}
    merged = {**_from_file(file), **_from_environment(environment), **from_options}
    try:
        return msgspec.convert(merged, HostSettings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, SettingsInvalidError):
            raise error.__cause__ from None
        raise SettingsInvalidError(f"settings: {error}") from error


def _from_file(file: Path | None) -> Mapping[str, object]:
    if file is None:
        return {}
    try:
        data = file.read_bytes()
        if len(data) > _FILE_BYTES_MAX:
            raise SettingsInvalidError(f"{file}: larger than {_FILE_BYTES_MAX} bytes")
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise SettingsInvalidError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalidError(f"{file}: {error}") from error
    unknown = sorted(set(values) - set(described_settings()))
    if unknown:
        raise SettingsInvalidError(f"{file}: unknown setting {unknown[0]!r}")
    return values


def _from_environment(environment: Mapping[str, str]) -> Mapping[str, object]:
    hints = typing.get_type_hints(HostSettings)
    values: dict[str, object] = {}
    for name in described_settings():
        text = environment.get(_ENVIRONMENT_PREFIX + name.upper())
        if text is None:
            continue
        is_list = typing.get_origin(hints[name]) is tuple
        values[name] = (
            [part.strip() for part in text.split(",") if part.strip()] if is_list else text
        )
    return values


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    raise TypeError(f"expected a path, found {value!r:.64}")


def _absolute(path: object) -> str:
    """The other process may be in another working directory."""
    assert isinstance(path, Path), path  # noqa: S101  # nothing else is no JSON
    return str(path.absolute())
