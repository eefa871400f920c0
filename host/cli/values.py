"""Values of the command line: texts, numbers, durations and times, each within limits."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
from click.types import StringParamType

COUNT = click.IntRange(1, 1_000_000_000)
"""How many, at least one."""
POSITION = click.IntRange(0, 2**53 - 1)
"""A place in something that is counted from 0."""
SEED = click.IntRange(-(2**63), 2**63 - 1)
_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SECONDS_MAX = 7 * 24 * 3600


class Text(StringParamType):
    """A text. Python gives bytes that are no UTF-8 as halves of characters: they are refused."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Check the text.

        Raises:
            click.BadParameter: it is not UTF-8, or holds U+0000.
        """
        text = super().convert(value, param, ctx)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail("the value is not UTF-8", param, ctx)
        if "\0" in text:
            self.fail("the value has the character U+0000", param, ctx)
        return text


class Seconds(click.FloatRange):
    """A duration in seconds, by default at most a week; not NaN, which no range excludes."""

    def __init__(self, least: float = 0, most: float = _SECONDS_MAX) -> None:
        super().__init__(least, most)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the number.

        Raises:
            click.BadParameter: it is none, or out of range.
        """
        seconds = float(super().convert(value, param, ctx))  # type: ignore[arg-type]  # any value
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


class Moment(click.ParamType[datetime]):
    """An instant, such as 2026-11-29 or 2026-11-29T13:00:00Z; without a zone, UTC.

    A span such as 30m or 2h (s, m, h, d) means so long ago.
    """

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse the text.

        Raises:
            click.BadParameter: the text is no time.
        """
        if isinstance(value, datetime):
            return value
        ago = _AGO.fullmatch(str(value))
        if ago is not None:
            return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-29T13:00:00Z or 30m", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_TEXT = Text()


def check_texts(command: click.Command) -> None:
    """Have a command, and those below it, check their texts."""
    for each in _commands(command):
        for parameter in each.params:
            if type(parameter.type) is StringParamType:
                parameter.type = _TEXT


def _commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _commands(inner)
