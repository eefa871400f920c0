"""How registrations and member lists stand on this host: numbers for metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from host.domain.membership import MemberStatus
from host.network.membership.network_tables import (
    GROUP_HEAD,
    MEMBER_VIEW,
    MGM_GROUP,
    MGM_RECIPIENT,
    NETWORK_REGISTRATION,
)
from host.ports.database import SqlDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipFigures:
    """Of all nodes of this cluster.

    Attributes:
        registrations: numbers by side and status.
        recipients_behind: active members without the newest list of an MGM here.
        lag_versions: of the slowest of them.
        synced_at: when the member here that has heard least recently from its MGM has done so.
        forks: members here whose MGM signed two lists for one version.
        not_after: when the first certificate of a network setup ends; None: there is none.
    """

    registrations: Mapping[tuple[str, str], int]
    recipients_behind: int
    lag_versions: int
    synced_at: int | None
    forks: int
    not_after: int | None


def figures(database: SqlDatabase, not_after: int | None) -> MembershipFigures:
    """Read the figures; `not_after` is told by who reads certificates.

    Raises:
        StorageError: the database cannot be read.
    """
    with database.read() as connection:
        behind, lag = _lag(connection)
        views = connection.execute(_VIEWS).one()
        found = {(row.side, row.status): row.number for row in connection.execute(_REGISTRATIONS)}
    return MembershipFigures(
        registrations=found,
        recipients_behind=behind,
        lag_versions=lag,
        synced_at=views.synced_at,
        forks=views.forks or 0,
        not_after=not_after,
    )


_REGISTRATIONS = select(
    NETWORK_REGISTRATION.c.side,
    NETWORK_REGISTRATION.c.status,
    func.count().label("number"),
).group_by(NETWORK_REGISTRATION.c.side, NETWORK_REGISTRATION.c.status)
_VIEWS = select(
    func.min(MEMBER_VIEW.c.synced_at).label("synced_at"),
    func.sum(case((MEMBER_VIEW.c.fork_at.is_(None), 0), else_=1)).label("forks"),
).where(
    # An MGM asks nobody for its own list.
    MEMBER_VIEW.c.short_hash.not_in(select(MGM_GROUP.c.short_hash))
)
_HEADS = (
    select(GROUP_HEAD.c.realm, func.max(GROUP_HEAD.c.version).label("newest"))
    .group_by(GROUP_HEAD.c.realm)
    .subquery()
)
_BEHIND = (
    select(
        func.count().label("number"),
        func.max(_HEADS.c.newest - MGM_RECIPIENT.c.acked_version).label("lag"),
    )
    .select_from(MGM_RECIPIENT)
    .join(MGM_GROUP, MGM_GROUP.c.short_hash == MGM_RECIPIENT.c.short_hash)
    .join(_HEADS, _HEADS.c.realm == MGM_GROUP.c.realm)
    .where(
        MGM_RECIPIENT.c.status == MemberStatus.ACTIVE.value,
        MGM_RECIPIENT.c.acked_version < _HEADS.c.newest,
    )
)


def _lag(connection: Connection) -> tuple[int, int]:
    row = connection.execute(_BEHIND).one()
    return row.number, row.lag or 0
