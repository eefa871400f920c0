"""Byte accounts in SQLite, updated in the transactions that change what they count.

An account has a row for the total (`peer` is empty) and one for each peer that caused a part. A
state counts with its key and value; the bytes of a journal are in its row of `journals`.

The writer of units sums their changes (`Changes`): most changes of a unit cancel out, since it
deletes a record and adds another one. Records of logs are deleted in bulk and counted by triggers.
`recount` verifies both.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from host.domain.accounts import NOTHING, Account, Balance, Charge, Discrepancy
from host.domain.ids import ShortHash

WHOLE = ""
"""Value of `peer` in the row of the total."""


class Changes:
    """The changes of one unit to accounts; written by one call, a row for each net change."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str | None], tuple[int, int, int]] = {}

    def add(
        self,
        owner: tuple[str | None, str | None, str | None],
        size: int,
        things: int = 0,
        lasting: int = 0,
    ) -> None:
        """Add bytes to an owner: node, account, and peer or None; negative values subtract.

        Without a node or an account nothing is counted.
        """
        node, account, peer = owner
        if not node or account is None:
            return
        held = self._sums.get((node, account, peer))
        if held is not None:
            size, things, lasting = size + held[0], things + held[1], lasting + held[2]
        self._sums[node, account, peer] = (size, things, lasting)

    def write(self, connection: sqlite3.Connection) -> None:
        """Update the accounts, within the transaction of the unit."""
        rows = list[tuple[str, str, str, int, int, int]]()
        for (node, account, peer), change in self._sums.items():
            if change == _SAME:
                continue
            rows.append((node, account, WHOLE, *change))
            if peer is not None:
                rows.append((node, account, peer, *change))
        if rows:
            connection.executemany(_CHANGE, rows)


_SAME = (0, 0, 0)
_CHANGE = (
    "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes,"
    " things = things + excluded.things, lasting = lasting + excluded.lasting"
)
SIZE = "length(CAST(key AS BLOB)) + length(value) + large_bytes"
"""SQL of the charged bytes of a record or state; those of a staged value are in `large_bytes`."""
_JOURNAL_SIZE = "sum(length(value) + large_bytes)"


def _of_row(row: str) -> str:
    return (
        SIZE.replace("key", f"{row}.key")
        .replace("value", f"{row}.value")
        .replace("large_bytes", f"{row}.large_bytes")
    )


RECORD_TRIGGERS = tuple(
    f"CREATE TRIGGER records_{name}_whole AFTER {event} ON records WHEN {row}.node IS NOT NULL"  # noqa: S608  # constants
    f" BEGIN INSERT INTO accounts VALUES ({row}.node, 'bus', '', {sign}({size}), {sign}1, 0)"
    " ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes,"
    " things = things + excluded.things; END"
    for name, event, row, sign, size in (
        ("in", "INSERT", "NEW", "", _of_row("NEW")),
        ("out", "DELETE", "OLD", "-", _of_row("OLD")),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A table with charged rows: SQL for a row `t`: whether it counts, its account, its size."""

    table: str
    when: str
    account: str
    size: str
    lasting: str = "0"
    things: str = "1"
    peer: str = "t.peer"


_COUNTING = (
    _Counted(
        table="states",
        when="t.account IS NOT NULL",
        account="t.account",
        size=SIZE,
        lasting="(t.due_at IS NULL)",
    ),
    _Counted(table="work", when="t.node != ''", account="'bus'", size=SIZE),
    _Counted(table="records", when="t.node IS NOT NULL", account="'bus'", size=SIZE, peer="NULL"),
    _Counted(
        table="journals",
        when="1",
        account="t.account",
        # Their own sums are the values to verify.
        size=f"coalesce((SELECT {_JOURNAL_SIZE} FROM journal WHERE flow_id = t.flow_id), 0)",  # noqa: S608  # constants
        things="0",
    ),
)


def _select(of: _Counted) -> str:
    return (
        f"SELECT t.node AS node, {of.account} AS name, {of.peer} AS peer, {of.size} AS bytes,"  # noqa: S608
        f" {of.things} AS things, {of.lasting} AS lasting FROM {of.table} t WHERE {of.when}"
    )


_KEPT = "SELECT node, name, peer, bytes, things, lasting FROM accounts"
_COUNT = (
    "WITH held AS ({})"
    " SELECT node, name, '', sum(bytes), sum(things), sum(lasting) FROM held GROUP BY 1, 2"
    " UNION ALL SELECT node, name, peer, sum(bytes), sum(things), sum(lasting) FROM held"
    " WHERE peer IS NOT NULL GROUP BY 1, 2, 3"
)
_COUNTED = _COUNT.format(" UNION ALL ".join(map(_select, _COUNTING)))
_Rows: TypeAlias = Mapping[tuple[str, str, str], Balance]


def share(connection: sqlite3.Connection, charge: Charge) -> Balance:
    """See `Accounts.share`."""
    row = connection.execute(
        "SELECT bytes, things, lasting FROM accounts WHERE node = ? AND name = ? AND peer = ?",
        (charge.node, charge.account, charge.peer or WHOLE),
    ).fetchone()
    return NOTHING if row is None else _balance(row)


def whole_and_share(connection: sqlite3.Connection, charge: Charge) -> tuple[Balance, Balance]:
    """See `Accounts.whole_and_share`."""
    rows = connection.execute(
        "SELECT peer, bytes, things, lasting FROM accounts WHERE node = ? AND name = ?"
        " AND peer IN ('', ?)",
        (charge.node, charge.account, charge.peer or WHOLE),
    )
    found = {peer: _balance(row) for peer, *row in rows}
    return found.get(WHOLE, NOTHING), found.get(charge.peer or WHOLE, NOTHING)


def balances(connection: sqlite3.Connection, node: ShortHash) -> Mapping[Account, Balance]:
    """See `Accounts.balances`."""
    rows = connection.execute(
        "SELECT name, bytes, things, lasting FROM accounts WHERE node = ? AND peer = ''", (node,)
    )
    return {Account(name): _balance(row) for name, *row in rows}


def shares(
    connection: sqlite3.Connection, node: ShortHash, account: Account
) -> Mapping[ShortHash, Balance]:
    """See `Accounts.shares`."""
    rows = connection.execute(
        "SELECT peer, bytes, things, lasting FROM accounts WHERE node = ? AND name = ?"
        " AND peer != ''",
        (node, account),
    )
    return {peer: _balance(row) for peer, *row in rows}


def total(connection: sqlite3.Connection, account: Account) -> Balance:
    """See `Accounts.total`."""
    row = connection.execute(
        "SELECT coalesce(sum(bytes), 0), coalesce(sum(things), 0), coalesce(sum(lasting), 0)"
        " FROM accounts WHERE name = ? AND peer = ''",
        (account,),
    ).fetchone()
    return _balance(row)


def recount(connection: sqlite3.Connection) -> Sequence[Discrepancy]:
    """Every account that differs from the sum of its rows. The caller holds a transaction."""
    kept, counted = _rows(connection, _KEPT), _rows(connection, _COUNTED)
    return [
        Discrepancy(
            node=ShortHash(key[0]),
            account=Account(key[1]),
            peer=ShortHash(key[2]) if key[2] else None,
            kept=kept.get(key, NOTHING),
            counted=counted.get(key, NOTHING),
        )
        for key in sorted(kept.keys() | counted.keys())
        if kept.get(key, NOTHING) != counted.get(key, NOTHING)
    ]


def repair(connection: sqlite3.Connection, found: Sequence[Discrepancy]) -> None:
    """Correct accounts, within the caller's write transaction."""
    connection.execute(
        f"UPDATE journals SET bytes = coalesce((SELECT {_JOURNAL_SIZE} FROM journal WHERE"  # noqa: S608  # constants
        " journal.flow_id = journals.flow_id), 0)"
    )
    connection.executemany(
        "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                one.node,
                one.account,
                one.peer or WHOLE,
                one.counted.bytes,
                one.counted.rows,
                one.counted.lasting,
            )
            for one in found
        ],
    )


def _balance(row: Sequence[int]) -> Balance:
    size, things, lasting = row
    return Balance(bytes=size, rows=things, lasting=lasting)


def _rows(connection: sqlite3.Connection, sql: str) -> _Rows:
    return {(node, name, peer): _balance(row) for node, name, peer, *row in connection.execute(sql)}
