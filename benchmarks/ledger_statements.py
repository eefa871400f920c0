"""The statements of recorded transactions alone: what recording costs where nothing is checked.

They are noted while transactions are recorded and rolled back, and executed later by the driver,
in transactions that share commits as those of recording do. What the database numbers itself is
numbered anew.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import Connection

from benchmarks.measure import BenchmarkError
from host.adapters.sqlite.database import driver_of
from host.database import prepared


class Statement(NamedTuple):
    """One that was executed; `number` is that of the row which it has added, if it asked for it."""

    text: str
    how: str
    values: Any
    number: int | None


class _RolledBackError(Exception):
    """Ends a transaction whose statements were noted."""


def statements_of(vaults: Any, record: Callable[[], object]) -> Sequence[Statement]:
    """The statements of the write transaction of `record`, which is rolled back.

    Raises:
        BenchmarkError: it wrote nothing.
    """
    noted: list[Statement] = []
    execute, transact = prepared._execute, vaults.transact  # noqa: SLF001  # it is watched

    def undone(node: Any, work: Callable[[Connection], object]) -> None:
        def noting(connection: Connection) -> None:
            def note(used: Connection, text: str, how: str, values: Any) -> Any:
                cursor = execute(used, text, how, values)
                if used is connection:  # not another database that it reads
                    noted.append(Statement(text, how, values, _added(connection, text)))
                return cursor

            with patch.object(prepared, "_execute", note):
                work(connection)
            raise _RolledBackError

        transact(node, noting)

    try:
        with patch.object(vaults, "transact", undone):
            record()
    except _RolledBackError:
        return noted
    raise BenchmarkError("nothing was recorded")


def execute_again(connection: Connection, statements: Sequence[Statement]) -> None:
    """Execute noted statements; a row that has another number now has it in those that follow."""
    driver = driver_of(connection)
    numbers: dict[Any, int] = {}
    for text, how, noted, number in statements:
        values = noted
        if numbers and how == "executemany":
            values = [_renumbered(each, numbers) for each in noted]
        elif numbers:
            values = _renumbered(noted, numbers)
        cursor = getattr(driver, how)(text, values)
        if number is not None:
            numbers[number] = cursor.fetchone()[0]
        cursor.close()


def _added(connection: Connection, text: str) -> int | None:
    if not (text.startswith("INSERT") and "RETURNING" in text):
        return None
    (number,) = driver_of(connection).execute("SELECT last_insert_rowid()").fetchone()
    return int(number)


def _renumbered(values: Sequence[Any], numbers: dict[Any, int]) -> list[Any]:
    return [numbers.get(each, each) if type(each) is int else each for each in values]


def signature_check() -> Callable[[], None]:
    """Verifies a signature of the curve P-256, as of a transaction with one signatory."""
    key, data = ec.generate_private_key(ec.SECP256R1()), bytes(500)
    signature, algorithm = key.sign(data, ec.ECDSA(SHA256())), ec.ECDSA(SHA256())
    return lambda: key.public_key().verify(signature, data, algorithm)
