"""Evidence outside a node's folder: a log entry that is known to have been synced to disk.

If log and head are lost or restored to an older state together, they do not show it; the registers
still hold the newer entry. Pure.
"""

from host.domain.ids import EpochMs
from host.domain.json import JsonValue
from host.nodes.audit_log.chain import RECOVERY, Cause
from host.nodes.audit_log.head import NONE
from host.nodes.audit_log.problems import Anchor


def recovered(cause: Cause, end: Anchor, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the entry for a log that lacks an entry which the registers name.

    A power failure cannot be the cause: the entry was synced to disk.
    """
    content: dict[str, JsonValue] = {"kind": RECOVERY, "at": at, "cause": cause.value}
    content |= {"headSeq": end.seq, "headHash": end.hash}
    return content | ({"explanation": NONE} if cause is Cause.LOG_CUT else {})
