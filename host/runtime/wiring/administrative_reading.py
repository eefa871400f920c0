"""The administrative log of a data directory, whether or not a host runs on it."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from host.adapters.os.system import SystemClock, SystemEntropy
from host.adapters.sqlite.database import Database
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.domain.json import JsonValue
from host.nodes.audit_log.administrative.acts import ActView
from host.nodes.audit_log.administrative.errors import AdministrativeLogUnreadableError
from host.nodes.audit_log.administrative.register import AdministrativeRegister
from host.nodes.audit_log.administrative.shared_key import load_shared_key
from host.nodes.audit_log.administrative.tables import ENTRIES, SCHEMA
from host.ports.storage import DatabaseUpkeep

_DATABASE = "cluster.sqlite"


def newest_act(data_dir: Path) -> str | None:
    """The newest entry of the administrative log of a data directory; None if there is none."""
    uri = f"{(data_dir / _DATABASE).absolute().as_uri()}?mode=ro"
    sql = f"SELECT entry FROM {ENTRIES.name} ORDER BY seq DESC LIMIT 1"  # noqa: S608  # ours
    try:
        with closing(sqlite3.connect(uri, uri=True)) as found:
            row = found.execute(sql).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


@contextmanager
def register_of(data_dir: Path) -> Iterator[AdministrativeRegister]:
    """The log of a data directory, to be read only.

    Raises:
        AdministrativeLogUnreadableError: there is no log.
    """
    file = data_dir / _DATABASE
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as found:
            found.execute(f"SELECT 1 FROM {ENTRIES.name} LIMIT 1").fetchall()  # noqa: S608  # ours
        database = Database.open(file, (SCHEMA,), has_revision=False)
    except (sqlite3.Error, StorageError) as error:
        raise AdministrativeLogUnreadableError(
            f"{file} holds no administrative log: {error}"
        ) from error
    with database:
        yield AdministrativeRegister(database, key=b"", clock=SystemClock())


@contextmanager
def shared_register(
    upkeep: DatabaseUpkeep,
) -> Iterator[tuple[AdministrativeRegister, bytes | None]]:
    """The log of a cluster, to be read only, and its key if there is one.

    Raises:
        StorageError: the database cannot be used.
    """
    storage = upkeep.storage()
    shared = storage.shared_audit_key(SystemEntropy())
    with closing(storage.open_database((SCHEMA,))) as database:
        register = AdministrativeRegister(database, key=b"", clock=SystemClock())
        yield register, None if shared is None else shared.get()


def keep_shared_key(upkeep: DatabaseUpkeep, key: bytes | None) -> None:
    """See to it that the database of a cluster has a key of its administrative log.

    Args:
        upkeep: of the database, whose tables are there.
        key: the one to keep if there is none; None makes one, for a log without entries.

    Raises:
        AuditKeyMissingError: the log has entries, there is no key, and none is given.
        StorageError: the database cannot be used.
    """
    storage, entropy = upkeep.storage(), SystemEntropy()
    shared = storage.shared_audit_key(entropy)
    if shared is None:
        return
    if key is not None:
        shared.keep(key)
    else:
        with closing(storage.open_database((SCHEMA,))) as database:
            load_shared_key(shared, database, entropy)


def act_json(view: ActView) -> Mapping[str, JsonValue]:
    """An act in the form of the REST interface."""
    act = view.act
    return {
        "sequence": view.seq,
        "hash": view.hash,
        "timestamp": _instant(view.at),
        "source": act.source,
        "user": act.user,
        "address": act.address,
        "requestId": act.request_id,
        "method": act.method,
        "path": act.path,
        "operation": act.operation,
        "parameters": dict(act.parameters),
        "refused": view.is_refusal,
        "count": view.count,
        "result": dict(view.result),
        "status": view.status,
        "code": view.code,
        "endedTimestamp": None if view.ended_at is None else _instant(view.ended_at),
    }


def _instant(at: EpochMs) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).isoformat().replace("+00:00", "Z")
