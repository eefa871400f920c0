"""Adds entries to a log that acknowledge an examined cut; after that, the log verifies again.

Nothing is removed. The entry that reports the cut stays; the acknowledgement records who examined
it, when and why. `verify` counts both.
"""

from collections.abc import Sequence
from pathlib import Path

from host.domain.errors import ConflictError, InvalidInputError
from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.nodes.audit_log import chain
from host.nodes.audit_log.node_log import NodeLog
from host.nodes.audit_log.problems import Problem
from host.nodes.audit_log.segments import LOG_NAME
from host.nodes.audit_log.verification import read_entries, verify_log
from host.ports.clock import Clock

REASON_CHARACTERS_MAX = 500


class AuditNothingToAcknowledgeError(ConflictError):
    """The log reports no unacknowledged cut, or the given entry does not report one."""

    code = "audit-nothing-to-acknowledge"


class AuditReasonInvalidError(InvalidInputError):
    """An acknowledgement needs a reason: 1 to 500 printable characters."""

    code = "audit-reason-invalid"


def acknowledge_cuts(
    folder: Path, *, entry: int | None, user: str, reason: str, key: bytes, clock: Clock
) -> Sequence[Problem]:
    """Add entries that acknowledge cuts; a host may be adding to the log.

    Args:
        folder: the node's folder.
        entry: number of the entry that reports the cut; None for all that are not acknowledged.
        user: the person who examined it.
        reason: what was found.
        key: the host's key.
        clock: the time of the entries.

    Returns:
        What was acknowledged.

    Raises:
        AuditReasonInvalidError: the reason is empty, too long or not printable.
        AuditNothingToAcknowledgeError: there is no such cut.
        AuditLogUnreadableError: the log cannot be read.
        StorageError: it cannot be written.
    """
    if not 0 < len(reason) <= REASON_CHARACTERS_MAX or not reason.isprintable():
        raise AuditReasonInvalidError(
            f"a reason has 1 to {REASON_CHARACTERS_MAX} printable characters"
        )
    log = folder / LOG_NAME
    cuts = [cut for cut in verify_log(log, key=key).cuts if entry is None or cut.seq == entry]
    if not cuts:
        which = "no cut" if entry is None else f"no cut in entry {entry}"
        raise AuditNothingToAcknowledgeError(
            f"{log} tells of {which} that is not acknowledged", path=str(log)
        )
    wanted = {cut.seq for cut in cuts}
    hashes: dict[int, str] = {}
    holding: HoldingIdentity | None = None
    for each in read_entries(log):
        if holding is None and each["kind"] in {chain.GENESIS, chain.SEGMENT}:
            name = MemberX500Name.parse(str(each["x500Name"]))
            holding = HoldingIdentity(x500_name=name, group_id=str(each["groupId"]))
        if each["seq"] in wanted:
            hashes[each["seq"]] = str(each["hash"])
    assert holding is not None  # noqa: S101  # a log that verifies begins with it
    node_log = NodeLog(folder, holding, key)
    now = clock.now_ms()
    try:
        node_log.add(
            [
                chain.acknowledged(
                    of=cut.seq, of_hash=hashes[cut.seq], user=user, reason=reason, at=now
                )
                for cut in cuts
            ],
            now=now,
        )
        node_log.sync(now)
    finally:
        node_log.close()
    return cuts
