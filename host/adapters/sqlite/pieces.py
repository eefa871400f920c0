"""Values of large units in SQLite: written before the unit in portions, deleted in portions.

A transaction that writes or frees megabytes holds the one writer for tens of milliseconds, 40 for 4
MiB and more on a busy disk, and every other commit waits. So the values of a large unit are stored
in pieces by transactions of their own (`stage`), between which others commit. The unit itself then
only refers to them. Whatever deletes a row that refers to pieces lists them as forgotten; separate
transactions delete them, and those that were staged for a unit that never came.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from host.domain.errors import StorageError
from host.ports.units import Unit

STAGED_BYTES = 256 * 1024
"""Units of this size or more are staged."""
PORTION_BYTES = 128 * 1024
"""Bytes that one transaction stages: about as long on the disk as the smallest commit."""
VALUE_BYTES_MIN = 4 * 1024
"""Smaller values are written with their unit: their rows cost more than their bytes."""
STALE_MS = 3_600_000
"""Pieces that were staged so long ago belong to no unit that will come."""
_PIECES_AT_ONCE = 8
"""Pieces that one transaction deletes: about 6 ms."""

_Write = Callable[[Callable[[sqlite3.Connection], object], int], None]
"""Executes and commits a write of so many bytes; may execute it more than once."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a value: the value's place among those of its unit, and its own in the value."""

    value: int
    number: int
    data: bytes


def portions(values: Iterator[bytes]) -> Iterator[Sequence[Part]]:
    """Cut values into parts for transactions of `PORTION_BYTES` each; small values are left out."""
    portion, room = list[Part](), PORTION_BYTES
    for place, value in enumerate(values):
        if len(value) < VALUE_BYTES_MIN:
            continue
        at, number = 0, 0
        while at < len(value):
            data = value[at : at + room]
            portion.append(Part(place, number, data))
            at, number, room = at + len(data), number + 1, room - len(data)
            if not room:
                yield portion
                portion, room = [], PORTION_BYTES
    if portion:
        yield portion


def stage(unit: Unit, write: _Write, now_ms: int) -> Mapping[int, int]:
    """Store the values of a large unit before it.

    Args:
        unit: will be written with the result, or its pieces are forgotten.
        write: commits each portion.
        now_ms: steady time.

    Returns:
        References to the pieces, by the places of their values in `unit.values()`.

    Raises:
        StorageError: the file cannot be written; what was staged is forgotten.
    """
    owners: dict[int, int] = {}
    if unit.size < STAGED_BYTES:
        return owners
    try:
        for portion in portions(unit.values()):
            put = _Put(portion, owners, now_ms)
            write(put, sum(len(part.data) for part in portion))
            owners |= put.begun
    except BaseException:
        forget_staged(owners, write)
        raise
    return owners


class _Put:
    """Writes a portion; `begun` then has the references of the values that begin in it."""

    def __init__(self, portion: Sequence[Part], owners: Mapping[int, int], now_ms: int) -> None:
        self._portion = portion
        self._owners = owners
        self._now_ms = now_ms
        self.begun: dict[int, int] = {}

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.begun = {}
        for part in self._portion:
            if part.number == 0:
                ((self.begun[part.value],),) = connection.execute(
                    "INSERT INTO large (is_forgotten, staged_at) VALUES (0, ?) RETURNING owner",
                    (self._now_ms,),
                ).fetchall()
            owner = self.begun.get(part.value) or self._owners[part.value]
            values = (owner, part.number, part.data)
            connection.execute("INSERT INTO pieces VALUES (?, ?, ?)", values)


def forget_staged(owners: Mapping[int, int], write: _Write) -> None:
    """Schedule staged values for deletion, since their unit is not written."""
    if not owners:
        return

    def forget(connection: sqlite3.Connection) -> None:
        for owner in owners.values():
            forget_pieces(connection, owner)

    with suppress(StorageError):  # they are stale some time
        write(forget, 0)


def claim(connection: sqlite3.Connection, owner: int) -> None:
    """A row of the caller's transaction refers to a staged value from now on.

    Raises:
        StorageError: it was deleted, since it was staged too long ago.
    """
    claimed = connection.execute(
        "UPDATE large SET staged_at = NULL WHERE owner = ? AND staged_at IS NOT NULL", (owner,)
    ).rowcount
    if claimed != 1:
        raise StorageError(f"the value {owner} that was stored for a unit is no longer there")


def forget_pieces(connection: sqlite3.Connection, owner: int) -> None:
    """Schedule a value for deletion, within the caller's transaction."""
    connection.execute(
        "UPDATE large SET is_forgotten = 1, staged_at = NULL WHERE owner = ?", (owner,)
    )


def forget_stale(connection: sqlite3.Connection, now_ms: int) -> None:
    """Schedule values for deletion whose unit will not come: its process was killed.

    Args:
        connection: within the caller's transaction.
        now_ms: steady time; what was staged later was so before the machine was started.
    """
    connection.execute(
        "UPDATE large SET is_forgotten = 1, staged_at = NULL"
        " WHERE staged_at < ?1 - ?2 OR staged_at > ?1",
        (now_ms, STALE_MS),
    )


def sweep_pieces(connection: sqlite3.Connection) -> bool:
    """Delete some forgotten pieces, within the caller's transaction.

    Returns:
        Whether there is more.
    """
    found = connection.execute("SELECT owner FROM large WHERE is_forgotten LIMIT 1").fetchone()
    if found is None:
        return False
    deleted = connection.execute(
        "DELETE FROM pieces WHERE owner = ?1"
        " AND number > (SELECT max(number) FROM pieces WHERE owner = ?1) - ?2",
        (*found, _PIECES_AT_ONCE),
    ).rowcount
    if deleted < _PIECES_AT_ONCE:
        connection.execute("DELETE FROM large WHERE owner = ?", found)
    return True


def whole(table: str) -> str:
    """SQL of the value of a row of `table`, with the values of its pieces if it has any."""
    return (
        f"CASE WHEN {table}.pieces IS NULL THEN {table}.value ELSE (SELECT joined(value) FROM"  # noqa: S608  # constants
        f" (SELECT value FROM pieces WHERE owner = {table}.pieces ORDER BY number)) END"
    )


class Joined:
    """The aggregate `joined` of SQL: the bytes of all rows together."""

    def __init__(self) -> None:
        self._found: list[bytes] = []

    def step(self, *values: bytes) -> None:
        self._found += values

    def finalize(self) -> bytes:
        return b"".join(self._found)
