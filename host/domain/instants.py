"""Instants in the format of the host API: `2026-11-21T05:00:00.000000Z`."""

import re
from datetime import UTC, datetime

from host.domain.ids import EpochMs

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z")


def instant_text(at: EpochMs) -> str:
    seconds, millis = divmod(at, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03}000Z"


def instant_ms(text: str) -> EpochMs:
    """The milliseconds of an instant; fractions of a millisecond are truncated.

    Raises:
        ValueError: the text is not an instant.
    """
    if not is_instant(text):
        raise ValueError(f"{text[:40]!r} is no instant")
    whole = datetime.fromisoformat(text).replace(microsecond=0)
    return EpochMs(int(whole.timestamp()) * 1000 + int(text[20:23]))


def instant_micros(text: str) -> int:
    """The microseconds of an instant since 1970.

    Raises:
        ValueError: the text is not an instant.
    """
    return instant_ms(text) * 1000 + int(text[23:26])


def is_instant(text: str) -> bool:
    """Whether `text` is a valid instant; such texts sort in the order of the instants."""
    if not _INSTANT.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
