"""Accounts of bytes in SQLite: triggers keep them, so that no statement can forget to.

An account has a row for the whole (`peer` is empty) and one for each peer that caused a part. A
state counts with its key and value; a journal has a row in `journals` that bears its bytes.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from host.domain.accounts import NOTHING, Account, Balance, Charge, Discrepancy
from host.domain.ids import ShortHash

WHOLE = ""
"""Stands for no peer."""

_TABLES = """
CREATE TABLE accounts (
  node TEXT NOT NULL, name TEXT NOT NULL, peer TEXT NOT NULL, bytes INTEGER NOT NULL,
  things INTEGER NOT NULL, lasting INTEGER NOT NULL,
  PRIMARY KEY (node, name, peer)) WITHOUT ROWID;
CREATE INDEX accounts_whole ON accounts (name) WHERE peer = '';
CREATE TABLE journals (
  flow_id TEXT PRIMARY KEY, node TEXT NOT NULL, account TEXT NOT NULL, peer TEXT,
  bytes INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE states ADD COLUMN node TEXT;
ALTER TABLE states ADD COLUMN account TEXT;
ALTER TABLE states ADD COLUMN peer TEXT;
ALTER TABLE work ADD COLUMN peer TEXT;
ALTER TABLE records ADD COLUMN node TEXT;
UPDATE states SET node = substr(key, 8, 12), account = 'status' WHERE key GLOB 'status/*';
UPDATE states SET node = substr(key, 11, 12), account = 'status' WHERE key GLOB 'responder/*';
CREATE INDEX states_ended ON states (node, account, peer, due_at) WHERE due_at IS NOT NULL
  AND account IN ('status', 'history')"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A table whose rows count: SQL of a row `{r}` for whether it does, for what, and how much."""

    table: str
    when: str
    account: str
    size: str
    lasting: str = "0"
    things: str = "0"
    has_peer: bool = True


_KEYED = "length(CAST({r}.key AS BLOB)) + length({r}.value)"
_COUNTING = (
    _Counted(
        table="states",
        when="{r}.account IS NOT NULL",
        account="{r}.account",
        size=_KEYED,
        lasting="({r}.due_at IS NULL)",
        things="1",
    ),
    _Counted(table="work", when="{r}.node != ''", account="'bus'", size=_KEYED, things="1"),
    _Counted(
        table="records",
        when="{r}.node IS NOT NULL",
        account="'bus'",
        size=_KEYED,
        things="1",
        has_peer=False,
    ),
    _Counted(table="journals", when="1", account="{r}.account", size="{r}.bytes"),
)


def _triggers(of: _Counted) -> Iterator[str]:
    for kind in ("whole", "peer") if of.has_peer else ("whole",):
        peer = "''" if kind == "whole" else "{r}.peer"
        when = of.when if kind == "whole" else of.when + " AND {r}.peer IS NOT NULL"
        same = " AND ".join(
            f"{part.format(r='NEW')} IS {part.format(r='OLD')}"
            for part in ("{r}.node", of.account, peer)
        )
        new, old = when.format(r="NEW"), when.format(r="OLD")
        for name, event, condition, action in (
            ("in", "INSERT", new, _add(of, peer, "NEW", "")),
            ("out", "DELETE", old, _add(of, peer, "OLD", "-")),
            ("grown", "UPDATE", f"{new} AND {same}", _change(of, peer)),
            ("from", "UPDATE", f"{old} AND NOT ({same})", _add(of, peer, "OLD", "-")),
            ("to", "UPDATE", f"{new} AND NOT ({same})", _add(of, peer, "NEW", "")),
        ):
            yield (
                f"CREATE TRIGGER {of.table}_{name}_{kind} AFTER {event} ON {of.table}"
                f" WHEN {condition} BEGIN {action}; END"
            )


def _add(of: _Counted, peer: str, row: str, sign: str) -> str:
    parts = ("{r}.node", of.account, peer, *(f"{sign}({s})" for s in _sums(of)))
    return (
        f"INSERT INTO accounts VALUES ({', '.join(p.format(r=row) for p in parts)})"  # noqa: S608
        " ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes,"
        " things = things + excluded.things, lasting = lasting + excluded.lasting"
    )


def _change(of: _Counted, peer: str) -> str:
    changes = (
        f"{column} = {column} + ({sql.format(r='NEW')}) - ({sql.format(r='OLD')})"
        for column, sql in zip(("bytes", "things", "lasting"), _sums(of), strict=True)
    )
    return (
        f"UPDATE accounts SET {', '.join(changes)} WHERE node = NEW.node"  # noqa: S608  # constants
        f" AND name = {of.account.format(r='NEW')} AND peer = {peer.format(r='NEW')}"
    )


def _sums(of: _Counted) -> tuple[str, str, str]:
    return of.size, of.things, of.lasting


def _select(of: _Counted) -> str:
    size = of.size
    if of.table == "journals":  # their own sums are what is proved
        size = "coalesce((SELECT sum(length(value)) FROM journal WHERE flow_id = t.flow_id), 0)"
    peer = "t.peer" if of.has_peer else "NULL"
    return (
        f"SELECT t.node AS node, {of.account} AS name, {peer} AS peer, {size} AS bytes,"  # noqa: S608
        f" {of.things} AS things, {of.lasting} AS lasting FROM {of.table} t WHERE {of.when}"
    ).format(r="t")


_KEPT = "SELECT node, name, peer, bytes, things, lasting FROM accounts"
_COUNTED = (
    f"WITH held AS ({' UNION ALL '.join(map(_select, _COUNTING))})"  # noqa: S608  # constants
    " SELECT node, name, '', sum(bytes), sum(things), sum(lasting) FROM held GROUP BY 1, 2"
    " UNION ALL SELECT node, name, peer, sum(bytes), sum(things), sum(lasting) FROM held"
    " WHERE peer IS NOT NULL GROUP BY 1, 2, 3"
)

STATEMENTS: Sequence[str] = (
    *_TABLES.strip().split(";\n"),
    f"INSERT INTO accounts {_COUNTED}",
    *(trigger for counted in _COUNTING for trigger in _triggers(counted)),
)
"""What brings accounts into a file. Of an older one, open flows count from their next write."""

_Rows: TypeAlias = Mapping[tuple[str, str, str], Balance]


def share(connection: sqlite3.Connection, charge: Charge) -> Balance:
    """See `Accounts.share`."""
    row = connection.execute(
        "SELECT bytes, things, lasting FROM accounts WHERE node = ? AND name = ? AND peer = ?",
        (charge.node, charge.account, charge.peer or WHOLE),
    ).fetchone()
    return NOTHING if row is None else _balance(row)


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
    """Set accounts right, within the caller's write transaction."""
    connection.execute(
        "UPDATE journals SET bytes = coalesce((SELECT sum(length(value)) FROM journal WHERE"
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
