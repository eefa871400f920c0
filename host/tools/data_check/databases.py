"""Checks each database separately: SQLite's integrity check, and the versions of its schemas."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from host.adapters.files.identity import Finding
from host.adapters.sqlite.accounts import recount
from host.adapters.sqlite.store_schema import FLOWS
from host.database.schema_versions import SELECT_VERSIONS, SchemaTooNewError
from host.domain.accounts import Balance, Discrepancy
from host.ports.database import Schema
from host.tools.data_check.codes import CheckCode, finding

_PROBLEMS_MAX = 5


def integrity(connection: sqlite3.Connection, name: str) -> Iterator[Finding]:
    """The problems that SQLite's integrity check finds in a file."""
    try:
        rows = connection.execute(f"PRAGMA integrity_check({_PROBLEMS_MAX})").fetchall()
        rows += [
            (f"row {row} of {table} refers to none in {parent}",)
            for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(
                _PROBLEMS_MAX
            )
        ]
    except sqlite3.Error as exc:
        rows = [(str(exc),)]
    for (problem,) in rows:
        if problem != "ok":
            yield finding(
                CheckCode.DATABASE_DAMAGED, name, str(problem), expected="ok", found=problem
            )


def versions(
    connection: sqlite3.Connection, name: str, schemas: Sequence[Schema]
) -> Iterator[Finding]:
    """Schemas that are missing or newer than this release; older ones are upgraded by a host."""
    found = _named_versions(connection)
    for schema in schemas:
        version = found.get(schema.name)
        if version is None:
            yield finding(
                CheckCode.SCHEMA_UNKNOWN,
                name,
                f"has no schema {schema.name}",
                expected=f"{schema.name} {schema.version}",
                found="none",
            )
        elif version > schema.version:
            yield too_new(name, schema.name, schema.version, version)


def accounts(connection: sqlite3.Connection, name: str) -> Iterator[Finding]:
    """Nodes' accounts of bytes that differ from the sums of their rows.

    A file of an older version is skipped: its upgrade may recount.
    """
    if _named_versions(connection).get(FLOWS.name) != FLOWS.version:
        return
    yield from differing_accounts(recount(connection), name)


def differing_accounts(found: Iterable[Discrepancy], name: str) -> Iterator[Finding]:
    """Nodes' accounts that differ from the sums of their rows, as findings in `name`."""
    for each in found:
        caused = "" if each.peer is None else f", caused by {each.peer}"
        yield finding(
            CheckCode.ACCOUNT_DIFFERS,
            name,
            f"account {each.account} of node {each.node}{caused} says {_held(each.kept)},"
            f" its rows hold {_held(each.counted)}",
            expected=_held(each.counted),
            found=_held(each.kept),
        )


def _held(balance: Balance) -> str:
    return f"{balance.bytes} bytes in {balance.rows} rows, {balance.lasting} of them lasting"


def _named_versions(connection: sqlite3.Connection) -> Mapping[str, int]:
    try:
        return dict(connection.execute(SELECT_VERSIONS).fetchall())
    except sqlite3.Error:
        return {}


def too_new(name: str, schema: str, known: int, found: int) -> Finding:
    """A schema that a newer release has written."""
    return finding(
        SchemaTooNewError.code,
        name,
        f"schema {schema} has version {found}, this release knows versions up to {known}",
        expected=known,
        found=found,
    )


def is_there(path: Path) -> bool:
    """Whether the file has content; missing and empty files are reported elsewhere."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
