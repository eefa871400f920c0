"""The first entry of a node's audit log after a restore: names the backup and its time."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from host.adapters.files.identity.files import opened
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.nodes.audit_log.chain import restored
from host.nodes.audit_log.node_log import NodeLog
from host.nodes.audit_log.segments import LOG_NAME
from host.nodes.audit_log.service import KEY_NAME
from host.nodes.audit_log.verification import read_entries

_SELECT_NODES = "SELECT short_hash, x500_name, group_id FROM virtual_node ORDER BY short_hash"


def add_restored_entries(
    folder: Path, *, of: EpochMs, store_id: str, backup: str, now: EpochMs
) -> int:
    """Add the entry to every log of a data directory that no host runs on.

    Args:
        folder: the data directory.
        of: the time of the backup's cut.
        store_id: the new one of the restored cluster.
        backup: digest that names the backup.
        now: the time.

    Returns:
        How many logs there are.

    Raises:
        StorageError: a log, or the key of the logs, cannot be read or written.
    """
    logs = {log.parent.name: log.parent for log in folder.glob(f"vnodes/*/{LOG_NAME}")}
    if not logs:
        return 0
    key = _key(folder / "secrets" / KEY_NAME)
    entry = restored(of=of, store_id=store_id, backup=backup, at=now)
    registers = folder / "cluster.sqlite"
    nodes = _nodes(registers) if registers.exists() else _nodes_of(logs)
    for short_hash, holding in nodes.items():
        if short_hash in logs:
            log = NodeLog(logs[short_hash], holding, key)
            try:
                log.add([entry], now=now)
            finally:
                log.close()
    return len(logs)


def _key(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise StorageError(
            f"the audit logs' key {file} cannot be read: {exc.strerror}", path=str(file)
        ) from exc


def _nodes(registers: Path) -> dict[str, HoldingIdentity]:
    try:
        with opened(registers) as connection:
            rows = connection.execute(_SELECT_NODES).fetchall()
    except sqlite3.Error as exc:
        raise StorageError(f"database {registers}: {exc}", path=str(registers)) from exc
    return _holdings(rows)


def _nodes_of(logs: Mapping[str, Path]) -> dict[str, HoldingIdentity]:
    """The nodes as their logs name them: a host of a cluster has no registers."""
    rows = []
    for short_hash, folder in logs.items():
        entries = read_entries(folder / LOG_NAME)
        first = next((entry for entry in entries if "x500Name" in entry), None)
        if first is not None:
            rows.append((short_hash, str(first["x500Name"]), str(first["groupId"])))
    return _holdings(rows)


def _holdings(rows: Iterable[tuple[str, str, str]]) -> dict[str, HoldingIdentity]:
    holdings = {}
    for short_hash, name, group_id in rows:
        with suppress(InvalidX500NameError):  # not reached by its host either
            found = MemberX500Name.parse(name)
            holdings[short_hash] = HoldingIdentity(x500_name=found, group_id=group_id)
    return holdings
