"""What others know of a log: an entry that was on the disk, noted outside the node's folder.

Log and head that are lost, or set back, together know nothing of it; the registers do. Pure.
"""

from host.domain.ids import EpochMs
from host.domain.json import JsonValue
from host.nodes.audit_log.chain import RECOVERY, Cause
from host.nodes.audit_log.head import NONE
from host.nodes.audit_log.problems import Anchor


def recovered(cause: Cause, end: Anchor, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the entry for a log that lacks an entry which is known elsewhere.

    No power failure explains it: the entry was known to be on the disk.
    """
    content: dict[str, JsonValue] = {"kind": RECOVERY, "at": at, "cause": cause.value}
    content |= {"headSeq": end.seq, "headHash": end.hash}
    return content | ({"explanation": NONE} if cause is Cause.LOG_CUT else {})
