"""When the next work of membership is due, over all nodes of the cluster."""

from sqlalchemy import Connection, func, or_, select

from host.database.prepared import Prepared
from host.domain.ids import EpochMs
from host.domain.membership import MemberStatus
from host.network.membership.network_tables import (
    GROUP_HEAD,
    MEMBER_VIEW,
    MGM_GROUP,
    MGM_RECIPIENT,
    NETWORK_REGISTRATION,
)
from host.network.membership.registration import RegistrationStatus
from host.ports.database import SqlDatabase

_VIEWS = Prepared(
    select(func.min(MEMBER_VIEW.c.due_at).label("at")).where(
        MEMBER_VIEW.c.fork_at.is_(None),
        # An MGM asks nobody for its own list.
        MEMBER_VIEW.c.short_hash.not_in(select(MGM_GROUP.c.short_hash)),
    )
)
_REGISTRATIONS = Prepared(select(func.min(NETWORK_REGISTRATION.c.due_at).label("at")))
_WAITING = Prepared(
    select(NETWORK_REGISTRATION.c.registration_id)
    .where(NETWORK_REGISTRATION.c.status == RegistrationStatus.PENDING_AUTO_APPROVAL.value)
    .limit(1)
)
_NEWEST = (
    select(func.max(GROUP_HEAD.c.version))
    .where(GROUP_HEAD.c.realm == MGM_GROUP.c.realm)
    .scalar_subquery()
)
_IS_ACTIVE = MGM_RECIPIENT.c.status == MemberStatus.ACTIVE.value
_RECIPIENTS = Prepared(
    select(func.min(MGM_RECIPIENT.c.due_at).label("at"))
    .join(MGM_GROUP, MGM_GROUP.c.short_hash == MGM_RECIPIENT.c.short_hash)
    .where(
        or_(
            _IS_ACTIVE & (MGM_RECIPIENT.c.acked_version < _NEWEST),
            ~_IS_ACTIVE & (MGM_RECIPIENT.c.acked_serial < MGM_RECIPIENT.c.serial),
        )
    )
)


def next_due(database: SqlDatabase) -> EpochMs | None:
    """When something is due next; 0 for now, None if nothing ever is."""
    with database.read() as connection:
        return _next_due(connection)


def _next_due(connection: Connection) -> EpochMs | None:
    if _WAITING.first(connection, {}) is not None:
        return EpochMs(0)
    found = [each.value(connection, {}) for each in (_VIEWS, _REGISTRATIONS, _RECIPIENTS)]
    return min((EpochMs(at) for at in found if at is not None), default=None)
