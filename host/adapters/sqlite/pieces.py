"""Large values of states in SQLite: stored in separate rows, deleted in small portions.

SQLite visits every page that it frees, which blocks other commits: 25 ms for 4 MiB. So a large
value is stored in pieces beside its state. The transaction that deletes or replaces the state only
lists them as forgotten; separate transactions delete the pieces.
"""

import sqlite3

LARGE_BYTES = 256 * 1024
"""A larger value is stored in pieces."""
PIECE_BYTES = 1024 * 1024
"""Size of one piece: about 6 ms to delete."""


def put_pieces(connection: sqlite3.Connection, value: bytes) -> int:
    """Store a large value within the caller's transaction; returns the reference for its state."""
    ((owner,),) = connection.execute(
        "INSERT INTO large (is_forgotten) VALUES (0) RETURNING owner"
    ).fetchall()
    connection.executemany(
        "INSERT INTO pieces VALUES (?, ?, ?)",
        (
            (owner, number, value[start : start + PIECE_BYTES])
            for number, start in enumerate(range(0, len(value), PIECE_BYTES))
        ),
    )
    return int(owner)


def read_pieces(connection: sqlite3.Connection, owner: int) -> bytes:
    """The whole value; the caller holds a transaction in which a state refers to it."""
    rows = connection.execute("SELECT value FROM pieces WHERE owner = ? ORDER BY number", (owner,))
    return b"".join(value for (value,) in rows)


def forget_pieces(connection: sqlite3.Connection, owner: int) -> None:
    """Schedule a value for deletion, within the caller's transaction."""
    connection.execute("UPDATE large SET is_forgotten = 1 WHERE owner = ?", (owner,))


def sweep_pieces(connection: sqlite3.Connection) -> bool:
    """Delete one forgotten piece, within the caller's transaction.

    Returns:
        Whether there is more.
    """
    found = connection.execute("SELECT owner FROM large WHERE is_forgotten LIMIT 1").fetchone()
    if found is None:
        return False
    deleted = connection.execute(
        "DELETE FROM pieces WHERE owner = ?1"
        " AND number = (SELECT max(number) FROM pieces WHERE owner = ?1)",
        found,
    ).rowcount
    if not deleted:
        connection.execute("DELETE FROM large WHERE owner = ?", found)
    return True
