"""The problems that a log can have, and how its entries report them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from host.nodes.audit_log.chain import Cause
from host.nodes.audit_log.head import POWER_FAILURE
from host.nodes.audit_log.segments import HEAD_NAME


class AuditProblemCode(StrEnum):
    """What can be wrong with a log."""

    ANCHOR_DIFFERS = "audit-anchor-differs"
    CHAIN_BROKEN = "audit-chain-broken"
    COUNTS_FORGED = "audit-counts-forged"
    ENTRY_MALFORMED = "audit-entry-malformed"
    HASH_WRONG = "audit-hash-wrong"
    HEAD_DIFFERS = "audit-head-differs"
    HEAD_FORGED = "audit-head-forged"
    HEAD_MISSING = "audit-head-missing"
    HOLDING_WRONG = "audit-holding-wrong"
    LINE_TORN = "audit-line-torn"
    LOG_CUT = "audit-log-cut"
    LOG_REPLACED = "audit-log-replaced"
    LOG_TRUNCATED = "audit-log-truncated"
    MAC_WRONG = "audit-mac-wrong"
    PART_MISSING = "audit-part-missing"
    SEQUENCE_BROKEN = "audit-sequence-broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """An entry that was seen before: a log without it is not the same log."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The first thing found wrong. `seq` is the entry's place in the log, counted from 0."""

    seq: int
    code: AuditProblemCode
    message: str


def cut_of(entry: Mapping[str, Any]) -> Problem | None:
    """What an entry reports as missing; None for the entry of a torn line."""
    seq, cause = entry["seq"], entry.get("cause")
    known = f"{HEAD_NAME} knew entry {entry.get('headSeq')} ({entry.get('headHash')})"
    if cause == Cause.LOG_CUT:
        is_explained = entry.get("explanation") == POWER_FAILURE
        reason = (
            "a power failure explains it: the machine was started anew, and what is missing had not"
            " been brought to the disk"
            if is_explained
            else "no power failure explains it"
        )
        code, message = AuditProblemCode.LOG_CUT, f"the log was cut before this entry, {known}"
        return Problem(seq=seq, code=code, message=f"{message}; {reason}")
    if cause == Cause.LOG_REPLACED:
        message = f"the log was replaced before this entry by another, {known}"
        return Problem(seq=seq, code=AuditProblemCode.LOG_REPLACED, message=message)
    if cause == Cause.HEAD_MISSING:
        message = f"before this entry {HEAD_NAME} was missing: whether the log was cut is not known"
        return Problem(seq=seq, code=AuditProblemCode.HEAD_MISSING, message=message)
    if cause == Cause.HEAD_FORGED:
        message = f"before this entry {HEAD_NAME} was damaged or not made by this host"
        return Problem(seq=seq, code=AuditProblemCode.HEAD_FORGED, message=message)
    return None
