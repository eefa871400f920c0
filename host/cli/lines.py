"""Lines of commands: columns of a list, and JSON, both safe for a terminal."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

import click


def tell(words: Iterable[object]) -> None:
    """Print words, two spaces between them; what a terminal would interpret is escaped."""
    from host.domain.printable import printable

    click.echo(printable("  ".join(str(word) for word in words)))


def tell_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows below their headings in columns as wide as needed; without rows, the headings."""
    texts = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(headings) - 1)]
    for row in texts:
        tell([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])


def tell_json(value: object) -> None:
    """Print a JSON value on several lines, as `json_text` writes it."""
    click.echo(json_text(value, indent=2))


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
