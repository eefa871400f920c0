"""Verifies the chain of the administrative log, across the gaps that its entries record."""

import hmac
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from host.nodes.audit_log import chain
from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.reading import Reading
from host.nodes.audit_log.administrative.register import AdministrativeRegister
from host.nodes.audit_log.head import NEWEST, HeadLine, is_genuine


class AdministrativeProblemCode(StrEnum):
    """What can be wrong with the administrative log."""

    ANCHOR_DIFFERS = "administrative-anchor-differs"
    CHAIN_BROKEN = "administrative-chain-broken"
    ENTRY_CHANGED = "administrative-entry-changed"
    ENTRY_MISSING = "administrative-entry-missing"
    HEAD_WRONG = "administrative-head-wrong"
    LOG_CUT = "administrative-log-cut"
    MAC_WRONG = "administrative-mac-wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrativeProblem:
    """The first thing found wrong, at entry `seq`."""

    seq: int
    code: AdministrativeProblemCode
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrativeVerification:
    """The result of a verification.

    Attributes:
        entries: how many are valid, up to the problem.
        pruned: how many were deleted, as the log records.
        unfinished: numbers of acts without an outcome: they still run, or the host died during
            them.
        last: number and hash of the last valid entry, to be kept as an anchor.
        authenticated: whether the MACs were checked, which needs the host's key.
    """

    entries: int
    pruned: int
    unfinished: tuple[int, ...]
    last: tuple[int, str] | None
    authenticated: bool
    problem: AdministrativeProblem | None


def verify_administrative_log(
    register: AdministrativeRegister, *, key: bytes | None, anchor: tuple[int, str] | None = None
) -> AdministrativeVerification:
    """Verify all entries.

    Args:
        register: the log.
        key: the host's; without it, only the chain is checked.
        anchor: number and hash of an entry that must exist, unless it was deleted since.

    Raises:
        StorageError: the registers cannot be read.
    """
    with register.reading() as reading:
        walk = _Walk(key, anchor, _gaps(reading))
        for seq, text in reading.entries():
            if not walk.take(seq, text):
                break
        if walk.problem is None:
            walk.judge_end(reading.head())
    return AdministrativeVerification(
        entries=walk.entries,
        pruned=walk.pruned,
        unfinished=tuple(sorted(walk.open)),
        last=(walk.seq, walk.hash) if walk.entries else None,
        authenticated=key is not None,
        problem=walk.problem or walk.cut,
    )


def _gaps(reading: Reading) -> dict[int, tuple[int, str]]:
    """Last number and hash of each deleted range that an entry records, by its first number.

    They count only if the chain continues after them.
    """
    gaps: dict[int, tuple[int, str]] = {}
    for _, text in reading.entries():
        if f'"kind":"{acts.PRUNED}"' not in text:
            continue
        try:
            recorded = json.loads(json.loads(text)["gaps"])
            gaps |= {int(first): (int(last), str(digest)) for first, last, digest in recorded}
        except (ValueError, KeyError, TypeError):
            continue
    return gaps


class _Walk:
    """The verifier's state: how far the chain is valid."""

    def __init__(
        self,
        key: bytes | None,
        anchor: tuple[int, str] | None,
        gaps: dict[int, tuple[int, str]],
    ) -> None:
        self._key = key
        self._anchor = anchor
        self._gaps = gaps
        self.seq, self.hash = -1, chain.NO_HASH
        self.entries = self.pruned = 0
        self.open: set[int] = set()
        self.problem: AdministrativeProblem | None = None
        self.cut: AdministrativeProblem | None = None

    def take(self, seq: int, text: str) -> bool:
        """Process the next entry; False if it is not valid."""
        found = self._skip_to(seq) or self._fault(seq, text)
        if found is not None:
            code, message = found
            self.problem = AdministrativeProblem(seq=self.seq + 1, code=code, message=message)
        return found is None

    def judge_end(self, head: HeadLine | None) -> None:
        """Compare the end of the log with the head and the anchor."""
        code, message = AdministrativeProblemCode.HEAD_WRONG, ""
        if head is None:
            message = "" if self.seq < 0 else "the log has no head"
        elif self._key is not None and not is_genuine(head, NEWEST, self._key):
            message = "the head was not made by this host"
        elif (head.seq, head.hash) != (self.seq, self.hash):
            message = f"the log ends at entry {self.seq}, the head knows entry {head.seq}"
        elif self._anchor is not None and self._anchor[0] > self.seq:
            code = AdministrativeProblemCode.ANCHOR_DIFFERS
            message = f"the log ends at entry {self.seq}, the anchor knows {self._anchor[0]}"
        if message:
            self.problem = AdministrativeProblem(seq=self.seq + 1, code=code, message=message)

    def _skip_to(self, seq: int) -> tuple[AdministrativeProblemCode, str] | None:
        """Follow the chain over deleted entries."""
        while self.seq + 1 < seq and (gap := self._gaps.get(self.seq + 1)) is not None:
            last, digest = gap
            if not self.seq < last < seq:
                break
            self.pruned += last - self.seq
            self.seq, self.hash = last, digest
        if self.seq + 1 != seq:
            return (
                AdministrativeProblemCode.ENTRY_MISSING,
                f"expected entry {self.seq + 1}, found {seq}; none tells that others were deleted",
            )
        return None

    def _fault(self, seq: int, text: str) -> tuple[AdministrativeProblemCode, str] | None:
        entry = chain.parse_line(text.encode(errors="replace"))
        codes = AdministrativeProblemCode
        if entry is None or entry.get("seq") != seq or entry.get("hash") != chain.hash_of(entry):
            return codes.ENTRY_CHANGED, "the entry was changed: its hash is another"
        digest = str(entry["hash"])
        if entry.get("previous") != self.hash:
            return codes.CHAIN_BROKEN, "`previous` is not the hash of the entry before"
        if self._key is not None and not hmac.compare_digest(
            chain.mac_of(self._key, digest).encode(), str(entry.get("mac")).encode()
        ):
            return codes.MAC_WRONG, "the entry was not made by this host"
        if self._anchor is not None and self._anchor[0] == seq and self._anchor[1] != digest:
            return codes.ANCHOR_DIFFERS, "the entry is another than the anchor"
        self._note(entry, digest)
        return None

    def _note(self, entry: dict[str, Any], digest: str) -> None:
        self.seq, self.hash = entry["seq"], digest
        self.entries += 1
        if entry["kind"] == acts.INTENT:
            self.open.add(self.seq)
        elif entry["kind"] == acts.OUTCOME:
            self.open.discard(entry["of"])
        elif entry["kind"] == acts.RECOVERY and self.cut is None:
            message = f"the log was cut before this entry: its head knew entry {entry['headSeq']}"
            self.cut = AdministrativeProblem(
                seq=self.seq, code=AdministrativeProblemCode.LOG_CUT, message=message
            )
