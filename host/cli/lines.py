"""Lines of commands: columns of a list, and JSON, both safe for a terminal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import TypeVar

import click

from host.cli.values import COUNT

T = TypeVar("T")
M = TypeVar("M", bound=Mapping[str, object])

_COLOURS: Mapping[str, str] = {
    **dict.fromkeys(("OK", "ACTIVE", "COMPLETED", "APPROVED", "VERIFIED", "READY"), "green"),
    **dict.fromkeys(("FAILED", "KILLED", "DECLINED", "INVALID", "UNAVAILABLE"), "red"),
    **dict.fromkeys(("PAUSED", "MAINTENANCE", "INACTIVE", "SUSPENDED", "UNVERIFIED"), "yellow"),
    **dict.fromkeys(("RUNNING", "START_REQUESTED"), "blue"),
}
"""Colours of states: of flows, nodes, members, transactions and the host."""


def tell(words: Iterable[object]) -> None:
    """Print words, two spaces between them; what a terminal would interpret is escaped."""
    from host.domain.printable import printable

    click.echo(printable("  ".join(str(word) for word in words)))


def tell_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows below their headings in columns as wide as needed; without rows, the headings."""
    from host.domain.printable import printable

    texts = [[printable(str(cell)) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(headings) - 1)]
    for number, row in enumerate(texts):
        look = painted if number else heading
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        click.echo("  ".join(look(cell) for cell in (*cells, row[-1])))


limit_option = click.option(
    "--limit", type=COUNT, default=1000, show_default=True, help="So many at most."
)


def some(items: Iterable[T], limit: int, what: str) -> list[T]:
    """The first items of a list; says on stderr if there are more."""
    following = iter(items)
    found = list(islice(following, limit))
    if next(following, None) is not None:
        click.echo(f"There are more than {limit} {what}: see --limit.", err=True)
    return found


def newer(items: Iterable[M], member: str, since: datetime | None) -> Iterable[M]:
    """Of a list with the newest first, those whose instant `member` is `since` or later."""
    if since is None:
        return items
    return takewhile(lambda item: _moment(str(item.get(member))) >= since, items)


def _moment(instant: str) -> datetime:
    """An instant of a host; of another text, the earliest there is."""
    try:
        moment = datetime.fromisoformat(instant)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def heading(text: str) -> str:
    """The heading of a column, bold on a terminal that has colours."""
    return click.style(text, bold=True)


def painted(cell: str) -> str:
    """A cell in the colour of the state that it names; any other as it is.

    The cell is printable already. `click.echo` takes the colours off where there is no terminal.
    """
    colour = _COLOURS.get(cell.strip().upper())
    return cell if colour is None else click.style(cell, fg=colour)


def tell_json(value: object) -> None:
    """Print a JSON value on several lines, as `json_text` writes it."""
    click.echo(json_text(value, indent=2))


def tell_done(output: str, text: str, **facts: object) -> None:
    """Print what was done: a line of text, or with `--output json` the facts of it."""
    if output == "json":
        tell_json(facts)
    else:
        tell((text,))


def tell_json_line(value: object) -> None:
    """Print a JSON value on one line, at once."""
    click.echo(json_text(value))


def json_text(value: object, *, indent: int | None = None) -> str:
    """A JSON value in which text beyond ASCII stays as it is where it is printable.

    All else is escaped as JSON allows: halves of characters have no UTF-8, and the controls of
    U+0080 to U+009F and those of text direction would act on a terminal.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    if text.isascii():
        return text  # the encoder escapes the controls of ASCII
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def fixed_width(instant: str) -> str:
    """An instant for a table, with microseconds: REST leaves them out where they are 0."""
    try:
        moment = datetime.fromisoformat(instant)
    except ValueError:
        return instant  # a host may answer anything
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
