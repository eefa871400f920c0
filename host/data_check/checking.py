"""The whole check. Nothing is changed, but that SQLite takes its own logs into its files."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.audit_log.service import KEY_NAME
from host.data_check.codes import CheckCode, finding
from host.data_check.databases import flow_version, integrity, versions
from host.data_check.ledgers import compare_ledgers, owners_of_keys
from host.data_check.nodes import Node, check_node, registered, vault_name
from host.data_check.places import check_places
from host.data_check.registers import keys, packages
from host.data_directory import DataDirectoryLockedError
from host.db import Schema
from host.domain.errors import InvalidInputError, StorageError
from host.identity import Finding, inspect, read_directory_id
from host.identity.errors import DataFileError
from host.identity.files import opened

_FLOWS, _CLUSTER = "flows.sqlite", "cluster.sqlite"


class NoDataDirectoryError(InvalidInputError):
    """There is no data directory of a host at the place."""

    code = "data-directory-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        folder: the data directory.
        nodes: how many virtual nodes it has.
        findings: what is wrong, nothing in a good directory.
    """

    folder: Path
    nodes: int
    findings: Sequence[Finding]


def check_directory(
    folder: Path,
    *,
    passphrase: str | None,
    cluster_schemas: Sequence[Schema],
    vault_schemas: Sequence[Schema],
) -> Report:
    """Check every file of a data directory. No host can start on it meanwhile.

    Args:
        folder: the data directory.
        passphrase: the master passphrase, if keys are wrapped under one.
        cluster_schemas: the tables that the registers should have.
        vault_schemas: those of vaults.

    Raises:
        NoDataDirectoryError: there is none.
        DataDirectoryLockedError: a host runs on it.
    """
    if not folder.is_dir():
        raise NoDataDirectoryError(f"{folder} is no directory", path=str(folder))
    with _held(folder):
        nodes: list[Node] = []
        findings = list(check_places(folder))
        try:
            stores = list(inspect(folder))
            known = read_directory_id(folder)
        except DataFileError as exc:
            stores = [finding(exc.code, "cordbox-id", exc.message, expected="an id", found="none")]
            known = None
        findings += stores
        broken = {each.file for each in stores}
        if _has(folder, _FLOWS) and _FLOWS not in broken:
            with opened(folder / _FLOWS) as connection:
                findings += [*integrity(connection, _FLOWS), *flow_version(connection, _FLOWS)]
        if _has(folder, _CLUSTER) and _CLUSTER not in broken:
            with opened(folder / _CLUSTER) as connection:
                findings += _registers(connection, folder, passphrase, cluster_schemas)
                try:
                    nodes = list(registered(connection))
                    owners = owners_of_keys(connection)
                except sqlite3.Error as exc:
                    findings.append(_unreadable(exc))
                    nodes, owners = [], {}
            cluster_id = "" if known is None else known.cluster_id
            key = _audit_key(folder)
            for node in nodes:
                findings += check_node(
                    folder, node, cluster_id=cluster_id, schemas=vault_schemas, key=key
                )
            findings += _unregistered(folder, nodes)
            if not broken:
                # What is wrong with a vault by itself has been told: it is compared with none.
                bad = {each.file for each in findings if each.code != CheckCode.FILE_PERMISSIONS}
                good = [n.short_hash for n in nodes if vault_name(n.short_hash) not in bad]
                findings += compare_ledgers(folder, good, owners)
    return Report(folder=folder, nodes=len(nodes), findings=findings)


def _registers(
    connection: sqlite3.Connection,
    folder: Path,
    passphrase: str | None,
    schemas: Sequence[Schema],
) -> list[Finding]:
    found = [*integrity(connection, _CLUSTER), *versions(connection, _CLUSTER, schemas)]
    if found:
        return found
    return [*packages(connection, folder), *keys(connection, folder, passphrase)]


def _unreadable(exc: sqlite3.Error) -> Finding:
    return finding(
        CheckCode.DATABASE_DAMAGED, _CLUSTER, str(exc), expected="virtual nodes", found="none"
    )


def _unregistered(folder: Path, nodes: Sequence[Node]) -> Iterator[Finding]:
    known = {node.short_hash for node in nodes}
    for vault in sorted(folder.glob("vnodes/*/vault.sqlite")):
        if vault.parent.name not in known:
            yield finding(
                CheckCode.VAULT_UNREGISTERED,
                str(vault.relative_to(folder)),
                f"the registers know no virtual node {vault.parent.name}",
                expected="a virtual node",
                found="none",
            )


def _audit_key(folder: Path) -> bytes | None:
    try:
        return (folder / "secrets" / KEY_NAME).read_bytes()
    except OSError:
        return None


def _has(folder: Path, name: str) -> bool:
    path = folder / name
    return path.is_file() and path.stat().st_size > 0


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep hosts from starting. A directory that no host has used has no lock to hold."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    except OSError as exc:
        raise StorageError(f"{folder}: {exc.strerror}", path=str(folder)) from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DataDirectoryLockedError(
                f"a host runs on {folder}: check a backup of it, or stop it first",
                path=str(folder),
            ) from exc
        yield
    finally:
        os.close(lock)
