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
    """Print a JSON value; text beyond ASCII stays as it is."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def fixed_width(instant: str) -> str:
    """An instant for a table, with microseconds: REST leaves them out where they are 0."""
    try:
        moment = datetime.fromisoformat(instant)
    except ValueError:
        return instant  # a host may answer anything
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
