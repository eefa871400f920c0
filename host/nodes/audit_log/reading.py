"""Reads the files of a log in order, and finds the first entry that is not valid."""

import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from host.adapters.files.regular_files import read_regular
from host.domain.ids import HoldingIdentity
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.nodes.audit_log import chain, refusals
from host.nodes.audit_log.head import NEWEST, Head, HeadLine, is_genuine
from host.nodes.audit_log.problems import Anchor, AuditProblemCode, Problem, cut_of
from host.nodes.audit_log.segments import HEAD_NAME, REPEATS_NAME

Fault: TypeAlias = tuple[AuditProblemCode, str]


class Reading:
    """The reader's state: how far the log is valid."""

    def __init__(
        self, key: bytes | None, node: str | None, anchor: Anchor | None, head: Head | None
    ) -> None:
        self._key = key
        self._node = node
        self._anchor = anchor
        self._seq, self._hash = -1, chain.NO_HASH
        self._first: int | None = None
        self._before_first = chain.NO_HASH
        self._archived: list[dict[str, Any]] = []
        self._is_at_start = True
        self.entries = 0
        self.holding: str | None = None
        self.recovered = self.counted = 0
        self.cuts: list[Problem] = []
        self.acknowledged: list[Problem] = []
        self.origins: list[Anchor] = []
        self._hashes_of_cuts: dict[int, str] = {}
        self.problem: Problem | None = None
        self._head = head
        self._hash_at_head = chain.NO_HASH

    @property
    def last(self) -> Anchor | None:
        return Anchor(seq=self._seq, hash=self._hash) if self.entries else None

    def read_part(self, stream: BinaryIO, first: int | None) -> None:
        """Read a file of the log. `first` is the number of its first entry; None for the newest."""
        self._is_at_start = True
        for line in lines_of(stream):
            if self._is_at_start and not self.entries and self.problem is None:
                self._begin(first or _segment_number(line))
            if self.problem is None:
                found = self._fault(line)
                if found is not None:
                    self.problem = self._at_end(*found)

    def _begin(self, first: int) -> None:
        """Continue after the older parts that are missing: entries must account for them."""
        if first > 0:
            self._first, self._seq = first, first - 1

    def judge_end(self) -> None:
        """Check the end and the beginning of a log whose entries are valid."""
        if self.problem is None:
            self.problem = self._end() or self._beginning()

    def judge_counts(self, file: Path) -> None:
        """Read the counts of refusals that are kept beside the log."""
        try:
            page = read_regular(file, refusals.PAGE_BYTES)[: refusals.PAGE_BYTES]
        except FileNotFoundError:
            return
        if self._key is None or not page:
            return
        runs = refusals.parse_page(page, self._key)
        if runs is not None:
            self.counted = sum(run.count for run in runs.runs)
        elif self.problem is None:
            message = f"{REPEATS_NAME} was not made by this host"
            self.problem = self._at_end(AuditProblemCode.COUNTS_FORGED, message)

    def _end(self) -> Problem | None:
        if self._anchor is not None and self._anchor.seq > self._seq:
            return self._ends_early(self._anchor.seq, "the anchor")
        if self._head is not None and self._head.is_empty and self._seq <= 0:
            return None  # a log that was opened, and has no entry but its first
        head = None if self._head is None else self._head.newest
        if head is None:
            return self._at_end(AuditProblemCode.HEAD_MISSING, f"{HEAD_NAME} is missing or damaged")
        return self._end_by(head)

    def _end_by(self, head: HeadLine) -> Problem | None:
        if self._key is not None and not is_genuine(head, NEWEST, self._key):
            return self._at_end(
                AuditProblemCode.HEAD_FORGED, f"{HEAD_NAME} was not made by this host"
            )
        if head.seq > self._seq:
            return self._ends_early(head.seq, HEAD_NAME)
        is_here = self._first is None or head.seq >= self._first
        if is_here and self._hash_at_head != head.hash:
            return self._at_end(AuditProblemCode.HEAD_DIFFERS, f"{HEAD_NAME} names another entry")
        return None

    def _beginning(self) -> Problem | None:
        """What is wrong with a log whose first files are missing here."""
        if self._first is None:
            return None
        known, digest = 0, chain.NO_HASH
        for entry in self._archived:
            if entry.get("firstSeq") == known and isinstance(entry.get("lastSeq"), int):
                known, digest = entry["lastSeq"] + 1, str(entry.get("lastHash"))
            if known == self._first and digest == self._before_first:
                return None
        return Problem(
            seq=0,
            code=AuditProblemCode.PART_MISSING,
            message=f"the log begins with entry {self._first}, and no entry says that those before"
            " it were archived",
        )

    def _ends_early(self, seq: int, witness: str) -> Problem:
        return self._at_end(
            AuditProblemCode.LOG_TRUNCATED,
            f"the log ends at entry {self._seq}, {witness} knows entry {seq}",
        )

    def _at_end(self, code: AuditProblemCode, message: str) -> Problem:
        return Problem(seq=self._seq + 1, code=code, message=message)

    def _fault(self, line: bytes) -> Fault | None:
        """Code and message of what is wrong with the next line; a valid line updates the state."""
        if not line.endswith(b"\n"):
            return (
                AuditProblemCode.LINE_TORN,
                "the last line is incomplete; the host cuts it off and says so",
            )
        entry = chain.parse_line(line[:-1])
        if entry is None or entry.get("v") not in chain.VERSIONS:
            return AuditProblemCode.ENTRY_MALFORMED, "the line is no entry in canonical form"
        if entry.get("seq") != self._seq + 1:
            return (
                AuditProblemCode.SEQUENCE_BROKEN,
                f"expected entry {self._seq + 1}, found {str(entry.get('seq'))[:32]}",
            )
        return self._seal_fault(entry) or self._place_fault(entry) or self._take(entry)

    def _seal_fault(self, entry: dict[str, Any]) -> Fault | None:
        if self._first == entry["seq"]:
            self._before_first = str(entry.get("previous"))
        elif entry.get("previous") != self._hash:
            return AuditProblemCode.CHAIN_BROKEN, "`previous` is not the hash of the entry before"
        digest = chain.hash_of(entry)
        if entry.get("hash") != digest:
            return AuditProblemCode.HASH_WRONG, "the entry was changed: its hash is another"
        if self._key is not None and not hmac.compare_digest(
            chain.mac_of(self._key, digest).encode(), str(entry.get("mac")).encode()
        ):
            return AuditProblemCode.MAC_WRONG, "the entry was not made by this host"
        return None

    def _place_fault(self, entry: dict[str, Any]) -> Fault | None:
        """The first entry of a file, and no other one, names the node of the log."""
        begins = chain.GENESIS if entry["seq"] == 0 else chain.SEGMENT
        is_beginning = entry.get("kind") in {chain.GENESIS, chain.SEGMENT}
        if self._is_at_start != is_beginning or (is_beginning and entry.get("kind") != begins):
            return (
                AuditProblemCode.ENTRY_MALFORMED,
                "only the first entry of a file, and it alone, tells whose log it is",
            )
        self._is_at_start = False
        if not is_beginning:
            return None
        holding = _identity(entry)
        if holding is None:
            return AuditProblemCode.HOLDING_WRONG, "the first entry names no holding identity"
        expected = self._node or self.holding or holding
        if holding != expected:
            return (
                AuditProblemCode.HOLDING_WRONG,
                f"expected the log of virtual node {expected}, found that of {holding}",
            )
        self.holding = holding
        return None

    def _take(self, entry: dict[str, Any]) -> Fault | None:
        digest = str(entry["hash"])
        if self._anchor == Anchor(seq=entry["seq"], hash=digest):
            self._anchor = None
        elif self._anchor is not None and self._anchor.seq == entry["seq"]:
            return AuditProblemCode.ANCHOR_DIFFERS, "the entry is another than the anchor"
        self._seq, self._hash = entry["seq"], digest
        self.entries += 1
        newest = None if self._head is None else self._head.newest
        if newest is not None and newest.seq == self._seq:
            self._hash_at_head = digest
        if entry.get("kind") == chain.ARCHIVED:
            self._archived.append(entry)
        elif entry.get("kind") == chain.RECOVERY:
            cut = cut_of(entry)
            self.recovered += cut is None
            if cut is not None:
                self.cuts.append(cut)
                self._hashes_of_cuts[cut.seq] = digest
        elif entry.get("kind") == chain.ACKNOWLEDGED:
            self._acknowledge(entry)
        elif entry.get("kind") == chain.ARRIVED and isinstance(entry.get("of"), int):
            self.origins.append(Anchor(seq=entry["of"], hash=str(entry.get("ofHash"))))
        return None

    def _acknowledge(self, entry: dict[str, Any]) -> None:
        """Mark a cut as examined: an entry of the host names the entry that reports it."""
        number = entry.get("of")
        if self._hashes_of_cuts.get(number) == entry.get("ofHash"):  # type: ignore[arg-type]
            self.acknowledged += [cut for cut in self.cuts if cut.seq == number]
            self.cuts = [cut for cut in self.cuts if cut.seq != number]


def _identity(entry: dict[str, Any]) -> str | None:
    """Short hash of the identity that a first entry names, if it is consistent."""
    try:
        name = MemberX500Name.parse(str(entry.get("x500Name")))
    except InvalidX500NameError:
        return None
    holding = HoldingIdentity(x500_name=name, group_id=str(entry.get("groupId")))
    return holding.short_hash if entry.get("holding") == holding.full_hash else None


def _segment_number(line: bytes) -> int:
    """Number of an entry that begins a later part of a log; 0 for any other line."""
    entry = chain.parse_line(line.removesuffix(b"\n")) or {}
    number = entry.get("seq") if entry.get("kind") == chain.SEGMENT else 0
    return number if isinstance(number, int) else 0


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Lines with their line ends; a line longer than the limit is returned in pieces."""
    while line := stream.readline(chain.LINE_BYTES_MAX):
        yield line
