"""Records by which membership learns of messages that arrived, and of the fate of its own."""

from host.domain.ids import HoldingIdentity
from host.network.values.messages import (
    MEMBERSHIP_IN_TOPIC,
    MembershipIn,
    MembershipOutcome,
    MembershipRecord,
    encode_record,
)
from host.ports.bus import NewRecord


def arrived(
    source: HoldingIdentity | None, target: HoldingIdentity, message_id: str, payload: bytes
) -> NewRecord:
    """A message to a node here; `source` is None, and `payload` encrypted, for registrations."""
    record = MembershipIn(
        group_id=target.group_id,
        source=None if source is None else str(source.x500_name),
        target=str(target.x500_name),
        message_id=message_id,
        payload=payload,
    )
    return _record(target, record)


def outcome(
    source: HoldingIdentity, target: HoldingIdentity, message_id: str, code: str | None
) -> NewRecord:
    """What became of a message of a node here: `code` is why it was not delivered.

    Not delivered means not acknowledged: the target may have it.
    """
    record = MembershipOutcome(
        group_id=source.group_id,
        source=str(source.x500_name),
        target=str(target.x500_name),
        message_id=message_id,
        code=code,
    )
    return _record(source, record)


def _record(node: HoldingIdentity, record: MembershipRecord) -> NewRecord:
    return NewRecord(
        topic=MEMBERSHIP_IN_TOPIC,
        key=node.short_hash,
        value=encode_record(record),
        node=node.short_hash,
    )
