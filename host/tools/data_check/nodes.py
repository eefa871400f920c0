"""Checks each node's vault and audit log against each other and against the registers."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.identity import Finding
from host.adapters.files.identity.files import file_state, opened
from host.adapters.files.identity.table import FileIdentity
from host.adapters.sqlite.errors import VaultEmptyError, VaultMissingError, VaultOlderError
from host.adapters.sqlite.vault_identity import UNCOUNTED, check_commits, check_vault
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
from sandbox.host_api import WRITING

_SELECT = "SELECT short_hash, vault_made_at IS NOT NULL FROM virtual_node ORDER BY 1"
_SELECT_NOTED = "SELECT short_hash, generation FROM vault_note"
_SELECT_ENDS = (
    "SELECT short_hash, audit_seq, audit_hash FROM vault_note WHERE audit_seq IS NOT NULL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A virtual node according to the registers.

    Attributes:
        short_hash: its identifier.
        has_vault: whether its vault was created.
        noted: the last recorded number of effects in the vault.
        log_end: a recorded entry of its audit log.
    """

    short_hash: ShortHash
    has_vault: bool
    noted: int
    log_end: Anchor | None = None


def registered(connection: sqlite3.Connection) -> Sequence[Node]:
    """All virtual nodes."""
    noted: dict[str, int] = dict(connection.execute(_SELECT_NOTED))
    ends = {
        node: Anchor(seq=seq, hash=digest) for node, seq, digest in connection.execute(_SELECT_ENDS)
    }
    return [
        Node(
            short_hash=ShortHash(node),
            has_vault=bool(made),
            noted=noted.get(node, 0),
            log_end=ends.get(node),
        )
        for node, made in connection.execute(_SELECT)
    ]


def vault_name(node: ShortHash) -> str:
    """A vault's file, relative to the data directory."""
    return f"vnodes/{node}/vault.sqlite"


def check_node(
    folder: Path,
    node: Node,
    *,
    cluster_id: str,
    schemas: Sequence[Schema],
    key: bytes | None,
    marks: Mapping[str, int],
) -> Iterator[Finding]:
    """The problems of one node's files.

    Args:
        folder: the data directory.
        node: the node.
        cluster_id: the cluster's.
        schemas: those of vaults.
        key: of the audit logs, None if it is missing.
        marks: the newest known commit numbers of vaults.
    """
    name = vault_name(node.short_hash)
    vault = folder / name
    identity: FileIdentity | None = None
    if is_there(vault):
        look = file_state(vault)
        identity = look.identity
        if look.problem is not None:
            yield finding(
                CheckCode.DATABASE_DAMAGED, name, look.problem, expected="a vault", found="none"
            )
            return
        try:
            check_commits(vault, node.short_hash, look, marks.get(name))
        except VaultOlderError as exc:
            yield finding(
                exc.code,
                name,
                exc.message,
                expected=f"commit {marks.get(name, 0)} or later",
                found=f"commit {look.commits}",
            )
            if look.lacks is not None:
                return
        else:
            yield from _identity(vault, name, identity, cluster_id, node)
        with opened(vault) as connection:
            yield from integrity(connection, name)
            yield from versions(connection, name, schemas)
    elif node.has_vault:
        is_empty = vault.exists()
        kind = VaultEmptyError if is_empty else VaultMissingError
        yield finding(
            kind.code,
            name,
            "has no content" if is_empty else "is missing",
            expected="a vault",
            found="0 bytes" if is_empty else "none",
        )
    yield from _log(folder, node, identity, key)


def _identity(
    vault: Path, name: str, identity: FileIdentity | None, cluster_id: str, node: Node
) -> Iterator[Finding]:
    if identity is None:
        if node.noted:
            yield finding(
                "vault-foreign",
                name,
                "carries no cluster's id",
                expected=cluster_id,
                found="none",
            )
        return
    try:
        check_vault(vault, identity, cluster_id, node.short_hash, node.noted)
    except StorageError as exc:
        yield finding(
            exc.code,
            name,
            exc.message,
            expected=f"{node.short_hash}, generation {node.noted} or later",
            found=f"{identity.node}, generation {identity.generation}",
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
    try:
        verified = verify_log(log, key=key, node=node.short_hash, anchor=node.log_end)
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
    logged = _logged_effects(log)
    if identity is not None and logged > effects:
        yield finding(
            CheckCode.VAULT_BEHIND_LOG,
            vault_name(node.short_hash),
            f"has had {effects} effects, the audit log tells of {logged}",
            expected=f"{logged} or more",
            found=effects,
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
            and entry.get("function") in WRITING
        ):
            yield str(entry.get("flow")), call
