"""Reads a log from its start and names the first entry that is not as it was written."""

import fcntl
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from host.audit_log import chain
from host.audit_log.node_log import HEAD_NAME
from host.domain.errors import InvalidInputError
from host.domain.ids import HoldingIdentity
from host.domain.x500 import InvalidX500NameError, MemberX500Name


class AuditLogUnreadableError(InvalidInputError):
    """There is no audit log at the place, or it cannot be read."""

    code = "audit-log-unreadable"


class AuditProblemCode(StrEnum):
    """What can be wrong with a log."""

    ANCHOR_DIFFERS = "audit-anchor-differs"
    CHAIN_BROKEN = "audit-chain-broken"
    ENTRY_MALFORMED = "audit-entry-malformed"
    HASH_WRONG = "audit-hash-wrong"
    HEAD_DIFFERS = "audit-head-differs"
    HEAD_FORGED = "audit-head-forged"
    HEAD_MISSING = "audit-head-missing"
    HOLDING_WRONG = "audit-holding-wrong"
    LINE_TORN = "audit-line-torn"
    LOG_TRUNCATED = "audit-log-truncated"
    MAC_WRONG = "audit-mac-wrong"
    SEQUENCE_BROKEN = "audit-sequence-broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """An entry that was seen before: a log that does not hold it is not the same log."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The first thing found wrong. `seq` is the entry's place in the log, counted from 0."""

    seq: int
    code: AuditProblemCode
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What came of a verification.

    Attributes:
        entries: how many are good, up to the problem.
        holding: short hash of the node, as the log says.
        last: the last good entry, to be kept as an anchor; None for an empty log.
        recovered: entries that tell of a torn line.
        authenticated: whether the MACs were checked, which takes the host's key.
    """

    file: Path
    entries: int
    holding: str | None
    last: Anchor | None
    recovered: int
    authenticated: bool
    problem: Problem | None


Fault: TypeAlias = tuple[AuditProblemCode, str]


def verify_log(
    file: Path, *, key: bytes | None, node: str | None = None, anchor: Anchor | None = None
) -> Verification:
    """Verify the log in `file`, and its end by the head file beside it.

    Args:
        file: the log.
        key: the host's key; without it, only the chain is checked.
        node: short hash of the node whose log it should be.
        anchor: an entry that must be in it.

    Raises:
        AuditLogUnreadableError: it cannot be read.
    """
    head_file = file.with_name(HEAD_NAME)
    try:
        with _opened(file, head_file) as stream:
            # A host that is adding lines holds the lock for as long as one of them is incomplete.
            fcntl.flock(stream, fcntl.LOCK_SH)
            head = _head(head_file)
            reading = _Reading(key, node, anchor, head)
            reading.read(stream)
    except OSError as error:
        raise AuditLogUnreadableError(f"{file}: {error.strerror}") from error
    if reading.problem is None:
        reading.problem = reading.judge_end()
    last = Anchor(seq=reading.seq, hash=reading.hash) if reading.seq >= 0 else None
    return Verification(
        file=file,
        entries=reading.seq + 1,
        holding=reading.holding,
        last=last,
        recovered=reading.recovered,
        authenticated=key is not None,
        problem=reading.problem,
    )


def read_entries(file: Path) -> Iterator[dict[str, Any]]:
    """The entries of a log, unverified; lines that are none are left out.

    Raises:
        AuditLogUnreadableError: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            for line in _lines(stream):
                entry = chain.parse_line(line.rstrip(b"\n"))
                if entry is not None:
                    yield entry
    except OSError as error:
        raise AuditLogUnreadableError(f"{file}: {error.strerror}") from error


class _Reading:
    """How far the log is good."""

    def __init__(
        self,
        key: bytes | None,
        node: str | None,
        anchor: Anchor | None,
        head: chain.Head | None,
    ) -> None:
        self._key = key
        self._node = node
        self._anchor = anchor
        self.seq, self.hash = -1, chain.NO_HASH
        self.holding: str | None = None
        self.recovered = 0
        self.problem: Problem | None = None
        self._head = head
        self._hash_at_head = chain.NO_HASH

    def read(self, stream: BinaryIO) -> None:
        for line in _lines(stream):
            found = self._fault(line)
            if found is not None:
                self.problem = Problem(seq=self.seq + 1, code=found[0], message=found[1])
                return

    def judge_end(self) -> Problem | None:
        """What is wrong with the end of a log whose entries are good."""
        if self._anchor is not None and self._anchor.seq > self.seq:
            return self._ends_early(self._anchor.seq, "the anchor")
        head = self._head
        if head is None or head.v != chain.VERSION:
            return self._at_end(AuditProblemCode.HEAD_MISSING, f"{HEAD_NAME} is missing or damaged")
        if self._key is not None and not chain.is_genuine(head, self._key):
            return self._at_end(
                AuditProblemCode.HEAD_FORGED, f"{HEAD_NAME} was not made by this host"
            )
        if head.seq > self.seq:
            return self._ends_early(head.seq, HEAD_NAME)
        if self._hash_at_head != head.hash:
            return self._at_end(AuditProblemCode.HEAD_DIFFERS, f"{HEAD_NAME} names another entry")
        return None

    def _ends_early(self, seq: int, witness: str) -> Problem:
        return self._at_end(
            AuditProblemCode.LOG_TRUNCATED,
            f"the log ends at entry {self.seq}, {witness} knows entry {seq}",
        )

    def _at_end(self, code: AuditProblemCode, message: str) -> Problem:
        return Problem(seq=self.seq + 1, code=code, message=message)

    def _fault(self, line: bytes) -> Fault | None:
        """Code and message of what is wrong with the next line; takes it in if nothing is."""
        if not line.endswith(b"\n"):
            return (
                AuditProblemCode.LINE_TORN,
                "the last line is incomplete; the host cuts it off and says so",
            )
        entry = chain.parse_line(line[:-1])
        if entry is None or entry.get("v") != chain.VERSION:
            return AuditProblemCode.ENTRY_MALFORMED, "the line is no entry in canonical form"
        if entry.get("seq") != self.seq + 1:
            return (
                AuditProblemCode.SEQUENCE_BROKEN,
                f"expected entry {self.seq + 1}, found {str(entry.get('seq'))[:32]}",
            )
        return self._seal_fault(entry) or self._take(entry)

    def _seal_fault(self, entry: dict[str, Any]) -> Fault | None:
        if entry.get("previous") != self.hash:
            return AuditProblemCode.CHAIN_BROKEN, "`previous` is not the hash of the entry before"
        digest = chain.hash_of(entry)
        if entry.get("hash") != digest:
            return AuditProblemCode.HASH_WRONG, "the entry was changed: its hash is another"
        if self._key is not None and not hmac.compare_digest(
            chain.mac_of(self._key, digest).encode(), str(entry.get("mac")).encode()
        ):
            return AuditProblemCode.MAC_WRONG, "the entry was not made by this host"
        return None

    def _take(self, entry: dict[str, Any]) -> Fault | None:
        digest = str(entry["hash"])
        if (entry["seq"] == 0) != (entry.get("kind") == chain.GENESIS):
            return (
                AuditProblemCode.ENTRY_MALFORMED,
                "only the first entry, and it alone, begins a log",
            )
        if entry["seq"] == 0:
            self.holding = _identity(entry)
            if self.holding is None:
                return AuditProblemCode.HOLDING_WRONG, "the first entry names no holding identity"
            if self._node is not None and self.holding != self._node:
                return (
                    AuditProblemCode.HOLDING_WRONG,
                    f"expected the log of virtual node {self._node}, found that of {self.holding}",
                )
        if self._anchor == Anchor(seq=entry["seq"], hash=digest):
            self._anchor = None
        elif self._anchor is not None and self._anchor.seq == entry["seq"]:
            return AuditProblemCode.ANCHOR_DIFFERS, "the entry is another than the anchor"
        self.seq, self.hash = entry["seq"], digest
        if self._head is not None and self._head.seq == self.seq:
            self._hash_at_head = digest
        self.recovered += entry.get("kind") == chain.RECOVERY
        return None


def _identity(entry: dict[str, Any]) -> str | None:
    """Short hash of the identity that a first entry names, if it is consistent."""
    try:
        name = MemberX500Name.parse(str(entry.get("x500Name")))
    except InvalidX500NameError:
        return None
    holding = HoldingIdentity(x500_name=name, group_id=str(entry.get("groupId")))
    return holding.short_hash if entry.get("holding") == holding.full_hash else None


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines with their ends, none longer than allowed: a longer one comes in pieces."""
    while line := stream.readline(chain.LINE_BYTES_MAX):
        yield line


def _opened(file: Path, head_file: Path) -> BinaryIO:
    """The log; a log that is gone while its head is there is read as an empty one."""
    if not file.exists() and head_file.exists():
        return Path(os.devnull).open("rb")
    return file.open("rb")


def _head(file: Path) -> chain.Head | None:
    """The head beside a log; None when it is missing or damaged."""
    try:
        with file.open("rb") as stream:
            return chain.parse_head(stream.read(chain.LINE_BYTES_MAX))
    except FileNotFoundError:
        return None
