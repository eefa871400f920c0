"""The whole check. It changes nothing, except that SQLite may checkpoint its write-ahead logs."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.data_directory import DataDirectoryLockedError
from host.adapters.files.identity import Finding, inspect, read_directory_id
from host.adapters.files.identity.errors import DataFileError
from host.adapters.files.identity.files import opened
from host.adapters.files.identity.marks import read_marks
from host.adapters.files.regular_files import read_regular
from host.adapters.sqlite.node_files import NODE_FILES, NodeFile
from host.adapters.sqlite.store_schema import FLOWS
from host.domain.errors import HostError, InvalidInputError, StorageError
from host.domain.ids import ShortHash
from host.nodes.audit_log.segments import HEAD_NAME
from host.nodes.audit_log.service import (
    KEY_BYTES,
    KEY_NAME,
    AuditKeyDamagedError,
    AuditKeyMissingError,
)
from host.ports.database import Schema
from host.runtime.wiring.administrative_reading import newest_act
from host.tools.data_check.codes import CheckCode, finding
from host.tools.data_check.databases import accounts, integrity, is_there, versions
from host.tools.data_check.ledgers import (
    BookFiles,
    compare_ledgers,
    has_open_flows,
    owners_of_keys,
)
from host.tools.data_check.nodes import Node, bad_logs, check_node, registered, vault_name
from host.tools.data_check.places import DIRECTORY, check_places
from host.tools.data_check.registers import administrative_log, keys, packages
from host.tools.data_check.tls_pair import tls_pair
from host.tools.data_check.transfer_key import transfer_key

_FLOWS, _CLUSTER = "flows.sqlite", "cluster.sqlite"
_AUDIT_KEY = f"secrets/{KEY_NAME}"
_HARMLESS = (
    CheckCode.ACCOUNT_DIFFERS,
    CheckCode.FILE_PERMISSIONS,
    CheckCode.PACKAGE_MISSING,
    CheckCode.KEY_UNUSABLE,
)
"""Codes of findings after which a database can still be read."""


class NoDataDirectoryError(InvalidInputError):
    """The path is not a host's data directory."""

    code = "data-directory-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        folder: the data directory.
        nodes: how many virtual nodes it has.
        findings: the problems; empty for a good directory.
    """

    folder: Path
    nodes: int
    findings: Sequence[Finding]


def check_directory(
    folder: Path,
    *,
    passphrase: str | None,
    cluster_schemas: Sequence[Schema],
    node_schemas: Mapping[NodeFile, Sequence[Schema]],
) -> Report:
    """Check every file of a data directory. No host can start on it meanwhile.

    Args:
        folder: the data directory.
        passphrase: the master passphrase, if keys are wrapped under one.
        cluster_schemas: the tables that the registers should have.
        node_schemas: those of each kind of node's database.

    Raises:
        NoDataDirectoryError: there is none.
        DataDirectoryLockedError: a host runs on it.
    """
    if not folder.is_dir():
        raise NoDataDirectoryError(f"{folder} is no directory", path=str(folder))
    with _held(folder):
        check = _Check(folder, cluster_schemas=cluster_schemas, node_schemas=node_schemas)
        check.run(passphrase)
    return Report(folder=folder, nodes=len(check.nodes), findings=check.findings)


def check_own_files(folder: Path) -> Sequence[Finding]:
    """Check what a host of a cluster keeps itself: its places, certificate and audit logs.

    Raises:
        NoDataDirectoryError: there is none.
        DataDirectoryLockedError: a host runs on it.
    """
    if not folder.is_dir():
        raise NoDataDirectoryError(f"{folder} is no directory", path=str(folder))
    with _held(folder):
        found = [*check_places(folder)]
        if not any(_would_block(each) for each in found):
            key = _audit_key(folder)
            found += [
                *tls_pair(folder),
                *transfer_key(folder),
                *_lost_audit_key(folder, key),
                *bad_logs(folder, key),
            ]
    return found


class _Check:
    """One check, step by step. An unreadable file is a finding, and the next step follows."""

    def __init__(
        self,
        folder: Path,
        *,
        cluster_schemas: Sequence[Schema],
        node_schemas: Mapping[NodeFile, Sequence[Schema]],
    ) -> None:
        self._folder = folder
        self._cluster_schemas = cluster_schemas
        self._node_schemas = node_schemas
        self._cluster_id = ""
        self._marks: Mapping[str, int] = {}
        self._owners: Mapping[str, ShortHash] = {}
        self.findings: list[Finding] = []
        self.nodes: Sequence[Node] = ()

    def run(self, passphrase: str | None) -> None:
        self._add(".", check_places(self._folder))
        if any(_would_block(each) for each in self.findings):
            return
        self._add("tls", tls_pair(self._folder))
        self._add("secrets", transfer_key(self._folder))
        self._check_id()
        if self._is_readable(_FLOWS):
            self._add(_FLOWS, self._flows())
        if self._is_readable(_CLUSTER):
            self._add(_CLUSTER, self._registers(passphrase))
            self._add(_CLUSTER, self._learn())
            self._check_nodes()
            if self._is_readable(_FLOWS) and self._is_readable(_CLUSTER):
                self._add(_CLUSTER, self._ledgers())

    def _check_id(self) -> None:
        try:
            self.findings += inspect(self._folder)
            known = read_directory_id(self._folder)
        except (DataFileError, StorageError) as exc:
            self.findings.append(
                finding(exc.code, "cordbox-id", exc.message, expected="an id", found="none")
            )
        else:
            self._cluster_id = "" if known is None else known.cluster_id
            with suppress(DataFileError):  # reported by `inspect`
                self._marks = read_marks(self._folder, self._cluster_id) or {}

    def _check_nodes(self) -> None:
        key = _audit_key(self._folder)
        if self._is_readable(_CLUSTER):
            self._add(_CLUSTER, administrative_log(self._folder, key))
        self._add(_CLUSTER, _lost_audit_key(self._folder, key))
        for node in self.nodes:
            found = check_node(
                self._folder,
                node,
                cluster_id=self._cluster_id,
                schemas=self._node_schemas,
                key=key,
                marks=self._marks,
            )
            self._add(vault_name(node.short_hash), found)
        self._add(_CLUSTER, _unregistered(self._folder, self.nodes))

    def _flows(self) -> Iterator[Finding]:
        with opened(self._folder / _FLOWS) as connection:
            found = [*integrity(connection, _FLOWS), *versions(connection, _FLOWS, (FLOWS,))]
            yield from found
            if not found:
                yield from accounts(connection, _FLOWS)

    def _registers(self, passphrase: str | None) -> Iterator[Finding]:
        with opened(self._folder / _CLUSTER) as connection:
            found = [
                *integrity(connection, _CLUSTER),
                *versions(connection, _CLUSTER, self._cluster_schemas),
            ]
            yield from found
            if not found:
                yield from packages(connection, self._folder)
                yield from keys(connection, self._folder, passphrase)

    def _learn(self) -> Iterator[Finding]:
        """Read the nodes and the owners of keys, as far as the registers are readable."""
        with opened(self._folder / _CLUSTER) as connection:
            self.nodes = registered(connection)
            self._owners = owners_of_keys(connection)
        yield from ()

    def _ledgers(self) -> Iterator[Finding]:
        # A vault with problems has been reported already, and is not compared with others.
        names = {node.short_hash: vault_name(node.short_hash) for node in self.nodes}
        good = [node for node, name in names.items() if self._is_readable(name)]
        if has_open_flows(self._folder):
            return iter(())
        return compare_ledgers(BookFiles(self._folder), good, self._owners, vault_name)

    def _is_readable(self, name: str) -> bool:
        """Whether a database has content and no problem was found in it."""
        return is_there(self._folder / name) and not any(
            each.file == name and each.code not in _HARMLESS for each in self.findings
        )

    def _add(self, name: str, found: Iterator[Finding]) -> None:
        try:
            self.findings += found
        except (sqlite3.Error, OSError, HostError, ValueError, TypeError, KeyError) as exc:
            self.findings.append(
                finding(
                    CheckCode.DATABASE_DAMAGED,
                    name,
                    f"cannot be read: {exc}",
                    expected="content",
                    found=type(exc).__name__,
                )
            )


def _would_block(found: Finding) -> bool:
    """Whether opening the file could block for ever, as with a pipe; the file is then not read."""
    return found.code == CheckCode.FILE_IRREGULAR and found.found != DIRECTORY


def _unregistered(folder: Path, nodes: Sequence[Node]) -> Iterator[Finding]:
    known = {node.short_hash for node in nodes}
    for file in NODE_FILES:
        for path in sorted(folder.glob(f"vnodes/*/{file.name}")):
            if path.parent.name not in known:
                yield finding(
                    CheckCode.VAULT_UNREGISTERED,
                    str(path.relative_to(folder)),
                    f"the registers know no virtual node {path.parent.name}",
                    expected="a virtual node",
                    found="none",
                )


def _audit_key(folder: Path) -> bytes | None:
    try:
        key = read_regular(folder / _AUDIT_KEY, KEY_BYTES)
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None


def _lost_audit_key(folder: Path, key: bytes | None) -> Iterator[Finding]:
    if key is None and (folder / _AUDIT_KEY).is_file():
        found = (folder / _AUDIT_KEY).stat().st_size
        yield finding(
            AuditKeyDamagedError.code,
            _AUDIT_KEY,
            "holds no key: nobody can tell who wrote the audit logs",
            expected=f"{KEY_BYTES} bytes",
            found=f"{found} bytes",
        )
    elif key is None and (
        newest_act(folder) is not None or any(folder.glob(f"vnodes/*/{HEAD_NAME}"))
    ):
        yield finding(
            AuditKeyMissingError.code,
            _AUDIT_KEY,
            "is missing: nobody can tell who wrote the audit logs",
            expected="a key",
            found="none",
        )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Prevent hosts from starting. A directory that no host has used has no lock file."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
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
