"""Checks each node's databases and audit log against each other and against the registers."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.identity import Finding
from host.adapters.files.identity.files import file_state, opened
from host.adapters.files.identity.table import FileIdentity
from host.adapters.sqlite.node_files import UNIQUENESS, VAULT, NodeFile
from host.adapters.sqlite.node_identity import UNCOUNTED, check_commits, check_identity
from host.domain.errors import StorageError
from host.domain.ids import ShortHash
from host.nodes.audit_log.chain import CALL
from host.nodes.audit_log.problems import Anchor
from host.nodes.audit_log.segments import LOG_NAME, segments
from host.nodes.audit_log.verification import AuditLogUnreadableError, read_entries, verify_log
from host.ports.audit_log import SUCCEEDED
from host.ports.database import Schema
from host.tools.data_check.codes import CheckCode, finding
from host.tools.data_check.databases import integrity, is_there, versions
from sandbox.host_api import stores

_SELECT = "SELECT short_hash, vault_made_at IS NOT NULL FROM virtual_node ORDER BY 1"
_SELECT_NOTED = "SELECT short_hash, generation FROM vault_note"
_SELECT_NOTARIES = (
    "SELECT short_hash, made_at IS NOT NULL, generation FROM notary_database ORDER BY 1"
)
_SELECT_ENDS = "SELECT short_hash, seq, hash FROM audit_end WHERE host = ''"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A node's database according to the registers.

    Attributes:
        is_made: whether it was created.
        noted: the last recorded number of effects in it.
    """

    is_made: bool = False
    noted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A virtual node according to the registers.

    Attributes:
        short_hash: its identifier.
        vault: its vault.
        uniqueness: its database of spent states, if it is a notary.
        log_end: a recorded entry of its audit log.
    """

    short_hash: ShortHash
    vault: Made
    uniqueness: Made
    log_end: Anchor | None = None


def registered(connection: sqlite3.Connection) -> Sequence[Node]:
    """All virtual nodes."""
    noted: dict[str, int] = dict(connection.execute(_SELECT_NOTED))
    ends = {
        node: Anchor(seq=seq, hash=digest) for node, seq, digest in connection.execute(_SELECT_ENDS)
    }
    notaries = {
        node: Made(is_made=bool(made), noted=generation)
        for node, made, generation in connection.execute(_SELECT_NOTARIES)
    }
    return [
        Node(
            short_hash=ShortHash(node),
            vault=Made(is_made=bool(made), noted=noted.get(node, 0)),
            uniqueness=notaries.get(node, Made()),
            log_end=ends.get(node),
        )
        for node, made in connection.execute(_SELECT)
    ]


def vault_name(node: ShortHash) -> str:
    """A vault's file, relative to the data directory."""
    return file_name(VAULT, node)


def file_name(file: NodeFile, node: ShortHash) -> str:
    """A node's database, relative to the data directory."""
    return f"vnodes/{node}/{file.name}"


def check_node(
    folder: Path,
    node: Node,
    *,
    cluster_id: str,
    schemas: Mapping[NodeFile, Sequence[Schema]],
    key: bytes | None,
    marks: Mapping[str, int],
) -> Iterator[Finding]:
    """The problems of one node's files.

    Args:
        folder: the data directory.
        node: the node.
        cluster_id: the cluster's.
        schemas: those of each kind of database.
        key: of the audit logs, None if it is missing.
        marks: the newest known commit numbers of databases.
    """
    check = _DatabaseCheck(folder, node.short_hash, cluster_id, marks)
    yield from check.findings(UNIQUENESS, node.uniqueness, schemas[UNIQUENESS])
    yield from check.findings(VAULT, node.vault, schemas[VAULT])
    if not check.is_damaged:
        yield from _log(folder, node, check.identity, key)


class _DatabaseCheck:
    """The check of a node's databases.

    Attributes:
        identity: of the file that was checked last; None if it has none.
        is_damaged: that file cannot be read, or not as it was left.
    """

    def __init__(
        self, folder: Path, node: ShortHash, cluster_id: str, marks: Mapping[str, int]
    ) -> None:
        self._folder = folder
        self._node = node
        self._cluster_id = cluster_id
        self._marks = marks
        self.identity: FileIdentity | None = None
        self.is_damaged = False

    def findings(self, file: NodeFile, made: Made, schemas: Sequence[Schema]) -> Iterator[Finding]:
        """The problems of one file."""
        self.identity, self.is_damaged = None, False
        name = file_name(file, self._node)
        path = self._folder / name
        if is_there(path):
            yield from self._content(file, made, path, name, schemas)
        elif made.is_made:
            is_empty = path.exists()
            kind = file.empty if is_empty else file.missing
            yield finding(
                kind.code,
                name,
                "has no content" if is_empty else "is missing",
                expected=f"a {file.called}",
                found="0 bytes" if is_empty else "none",
            )

    def _content(
        self, file: NodeFile, made: Made, path: Path, name: str, schemas: Sequence[Schema]
    ) -> Iterator[Finding]:
        look = file_state(path)
        self.identity = look.identity
        if look.problem is not None:
            self.is_damaged = True
            yield finding(
                CheckCode.DATABASE_DAMAGED,
                name,
                look.problem,
                expected=f"a {file.called}",
                found="none",
            )
            return
        known = self._marks.get(name)
        try:
            check_commits(file, path, self._node, look, known)
        except StorageError as exc:
            yield finding(
                exc.code,
                name,
                exc.message,
                expected=f"commit {known or 0} or later",
                found=f"commit {look.commits}",
            )
            if look.lacks is not None:
                self.is_damaged = True
                return
        else:
            yield from self._identity(file, made, path, name)
        with opened(path) as connection:
            yield from integrity(connection, name)
            yield from versions(connection, name, schemas)

    def _identity(self, file: NodeFile, made: Made, path: Path, name: str) -> Iterator[Finding]:
        found = self.identity
        if found is None:
            if made.noted:
                yield finding(
                    file.foreign.code,
                    name,
                    "carries no cluster's id",
                    expected=self._cluster_id,
                    found="none",
                )
            return
        try:
            check_identity(
                file,
                path,
                found,
                cluster_id=self._cluster_id,
                node=self._node,
                noted=made.noted,
            )
        except StorageError as exc:
            yield finding(
                exc.code,
                name,
                exc.message,
                expected=f"{self._node}, generation {made.noted} or later",
                found=f"{found.node}, generation {found.generation}",
            )


def _log(
    folder: Path, node: Node, identity: FileIdentity | None, key: bytes | None
) -> Iterator[Finding]:
    name = f"vnodes/{node.short_hash}/{LOG_NAME}"
    log = folder / name
    effects = 0 if identity is None else identity.generation
    if not log.exists() and not log.with_name("audit.head").exists():
        if 0 < effects < UNCOUNTED or node.log_end is not None:
            yield finding(
                CheckCode.AUDIT_LOG_MISSING,
                name,
                f"is missing: the node's vault has had {effects} effects"
                if node.log_end is None
                else f"is missing: the registers know its entry {node.log_end.seq}",
                expected="a log",
                found="none",
            )
        return
    bad = [*_bad_log(log, name, node.short_hash, node.log_end, key)]
    yield from bad
    if any(each.code == AuditLogUnreadableError.code for each in bad):
        return
    logged = _logged_effects(log)
    if identity is not None and logged > effects:
        yield finding(
            CheckCode.VAULT_BEHIND_LOG,
            vault_name(node.short_hash),
            f"has had {effects} effects, the audit log tells of {logged}",
            expected=f"{logged} or more",
            found=effects,
        )


def bad_logs(folder: Path, key: bytes | None) -> Iterator[Finding]:
    """The audit logs of a directory that are not as the host wrote them."""
    for log in sorted(folder.glob(f"vnodes/*/{LOG_NAME}")):
        yield from _bad_log(log, str(log.relative_to(folder)), log.parent.name, None, key)


def _bad_log(
    log: Path, name: str, node: str, end: Anchor | None, key: bytes | None
) -> Iterator[Finding]:
    try:
        verified = verify_log(log, key=key, node=node, anchor=end)
    except AuditLogUnreadableError as exc:
        yield finding(exc.code, name, exc.message, expected="a log", found="none")
        return
    if verified.problem is not None:
        problem = verified.problem
        yield finding(
            problem.code,
            name,
            f"entry {problem.seq}: {problem.message}",
            expected="a log that verifies",
            found=f"{verified.entries} good entries",
        )


def _logged_effects(log: Path) -> int:
    """Calls with an effect in the log, each counted once even if it was repeated."""
    files = [*(segment.path for segment in segments(log.parent)), log]
    calls: set[tuple[str, int]] = set()
    for file in files:
        if file.exists():
            calls.update(_effects(read_entries(file)))
    return len(calls)


def _effects(entries: Iterator[Mapping[str, object]]) -> Iterator[tuple[str, int]]:
    for entry in entries:
        call = entry.get("call")
        if (
            isinstance(call, int)
            and entry.get("kind") == CALL
            and entry.get("outcome") == SUCCEEDED
            and stores(entry.get("function"), entry.get("operation"))
        ):
            yield str(entry.get("flow")), call
