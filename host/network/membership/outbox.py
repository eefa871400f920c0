"""Messages to other members: written with the change that causes them, relayed to `p2p.out`."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, delete, insert, select

from host.database.prepared import Prepared
from host.domain.ids import HoldingIdentity
from host.network.membership.network_tables import OUTBOX
from host.network.values.messages import MembershipMessage, encode_message
from host.network.values.p2p_out import P2P_OUT_TOPIC, Filter, P2pOut, Subsystem, encode, read
from host.network.values.pair import pair_of
from host.ports.bus import NewRecord
from host.ports.database import SqlDatabase

TTL_MS = 30 * 60_000
"""Lifetime of messages of membership."""
_RELAYED_AT_ONCE = 100
_FIRST = Prepared(select(OUTBOX).order_by(OUTBOX.c.id).limit(_RELAYED_AT_ONCE))
_ADD = Prepared(insert(OUTBOX))
_DELETE = Prepared(delete(OUTBOX).where(OUTBOX.c.id == bindparam("relayed")))


def post(
    connection: Connection,
    source: HoldingIdentity,
    target: HoldingIdentity,
    message: MembershipMessage,
    message_id: str,
    *,
    to: Filter = Filter.ACTIVE_OR_SUSPENDED_IF_PRESENT_OR_PENDING,
    ttl_ms: int = TTL_MS,
    is_for_other: bool = False,
) -> None:
    """Send a message when the transaction commits; it expires `ttl_ms` later.

    `is_for_other` sends it to the target's copy on another cluster, even if one is here.
    """
    sent = _message(source, target, encode_message(message), message_id, to=to, is_sealed=False)
    _add(connection, replace(sent, ttl_ms=ttl_ms, is_for_other=is_for_other))


def post_sealed(
    connection: Connection,
    source: HoldingIdentity,
    target: HoldingIdentity,
    sealed: bytes,
    message_id: str,
) -> None:
    """Send a registration, encrypted to the MGM."""
    to = Filter.ACTIVE_OR_SUSPENDED_IF_PRESENT_OR_PENDING
    _add(connection, _message(source, target, sealed, message_id, to=to, is_sealed=True))


class OutboxRelay:
    """Moves messages to `p2p.out`.

    Args:
        database: the cluster's.
        publish: writes records, all or none; a crash after it publishes them again.
    """

    def __init__(
        self, database: SqlDatabase, publish: Callable[[Sequence[NewRecord]], None]
    ) -> None:
        self._database = database
        self._publish = publish

    def relay(self) -> int:
        """Publish messages in their order; returns their number, 0 when none is left."""
        with self._database.read() as connection:
            rows = _FIRST.all(connection, {})
        if not rows:
            return 0
        self._publish([_record(bytes(row.message)) for row in rows])
        relayed = [{"relayed": row.id} for row in rows]
        self._database.transact(lambda connection: _DELETE.run(connection, relayed))
        return len(rows)


def _message(
    source: HoldingIdentity,
    target: HoldingIdentity,
    payload: bytes,
    message_id: str,
    *,
    to: Filter,
    is_sealed: bool,
) -> P2pOut:
    return P2pOut(
        group_id=source.group_id,
        source=str(source.x500_name),
        target=str(target.x500_name),
        subsystem=Subsystem.MEMBERSHIP,
        filter=to,
        ttl_ms=TTL_MS,
        message_id=message_id,
        payload=payload,
        sealed_for_mgm=is_sealed,
    )


def _add(connection: Connection, message: P2pOut) -> None:
    _ADD.run(connection, {"message": encode(message)})


def _record(value: bytes) -> NewRecord:
    message = read(value)
    source = message.source_holding()
    return NewRecord(
        topic=P2P_OUT_TOPIC,
        key=pair_of(source, message.target_holding()),
        value=value,
        node=source.short_hash,
    )
