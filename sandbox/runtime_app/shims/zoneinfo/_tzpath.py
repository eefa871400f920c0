"""`zoneinfo._tzpath` of a sandbox: no folders are searched; the data set is in the runtime."""

import posixpath

TZPATH: tuple[str, ...] = ()


class InvalidTZPathWarning(RuntimeWarning):
    """A search path that cannot be used."""


def find_tzfile(key: str) -> None:
    """None, so that the data set is asked.

    Raises:
        ValueError: the key is no relative path in its shortest form.
    """
    if posixpath.isabs(key):
        raise ValueError(f"ZoneInfo keys may not be absolute paths, got: {key}")
    if len(posixpath.normpath(key)) != len(key):
        raise ValueError(f"ZoneInfo keys must be normalized relative paths, got: {key}")
    if key.startswith(".."):
        raise ValueError(f"ZoneInfo keys must refer to subdirectories of TZPATH, got: {key}")


def available_timezones() -> set[str]:
    """The names of all zones; the runtime puts those of its data set in this place."""
    return set()


def reset_tzpath(to: object = None) -> None:
    """Refused: a sandbox has the zones of its runtime.

    Raises:
        OSError: always.
    """
    del to
    raise OSError("a sandbox has no files: its time zones are those of the data set in the runtime")
