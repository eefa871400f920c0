"""Registration requests of dynamic networks, of members and at MGMs, as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update

from host.database.prepared import Prepared
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.json import canonical_json
from host.network.membership import mgm_side
from host.network.membership.network_tables import NETWORK_REGISTRATION
from host.network.membership.outbox import TTL_MS
from host.network.membership.registration import RegistrationStatus
from host.network.values.contexts import Context, read_context

MEMBER_SIDE, MGM_SIDE = "member", "mgm"
COLUMNS = NETWORK_REGISTRATION.c
TOLD_MS = TTL_MS
"""An applicant that was declined can be told for this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRegistration:
    """One request; `short_hash` is of the node that stores it: the member, or the MGM."""

    short_hash: ShortHash
    registration_id: str
    side: str
    name: str
    status: RegistrationStatus
    reason: str | None
    user_reason: str | None
    serial: int | None
    member_context: bytes
    member_signature: bytes
    registration_context: bytes
    sent_at: EpochMs
    updated_at: EpochMs

    @property
    def member(self) -> Context:
        return read_context(self.member_context)

    @property
    def registration(self) -> Context:
        return read_context(self.registration_context)


_OLDEST_FIRST = (COLUMNS.sent_at, COLUMNS.registration_id)
_AT_ONCE = 100
_ALL = select(NETWORK_REGISTRATION)
_FIND = Prepared(
    _ALL.where(
        COLUMNS.short_hash == bindparam("node"),
        COLUMNS.registration_id == bindparam("id"),
        COLUMNS.side == bindparam("of_side"),
    )
)
_DUE = Prepared(
    _ALL.where(COLUMNS.due_at <= bindparam("now"), COLUMNS.side == bindparam("of_side"))
    .order_by(*_OLDEST_FIRST)
    .limit(_AT_ONCE)
)
_OF_STATUS = Prepared(
    _ALL.where(
        COLUMNS.short_hash == bindparam("node"),
        COLUMNS.side == MGM_SIDE,
        COLUMNS.status == bindparam("of_status"),
    )
    .order_by(*_OLDEST_FIRST)
    .limit(_AT_ONCE)
)
_OF_NAME = Prepared(
    _ALL.where(
        COLUMNS.short_hash == bindparam("node"),
        COLUMNS.side == MGM_SIDE,
        COLUMNS.name == bindparam("of_name"),
        or_(
            *(COLUMNS.status == status.value for status in sorted(mgm_side.STARTED)),
            (COLUMNS.status == RegistrationStatus.DECLINED.value)
            & (COLUMNS.updated_at > bindparam("declined_after")),
        ),
    ).order_by(*_OLDEST_FIRST)
)
_NAMES_OF_KEY = Prepared(
    select(COLUMNS.name)
    .where(
        COLUMNS.short_hash == bindparam("node"),
        COLUMNS.session_key == bindparam("of_key"),
        COLUMNS.side == MGM_SIDE,
    )
    .distinct()
)


def registrations_where(
    connection: Connection, *conditions: Any, limit: int | None = None
) -> Sequence[NetworkRegistration]:
    """Requests that meet conditions on `COLUMNS`, the oldest first."""
    query = _ALL.where(*conditions).order_by(*_OLDEST_FIRST)
    if limit is not None:
        query = query.limit(limit)
    return [registration_of(row) for row in connection.execute(query)]


def find_registration(
    connection: Connection, short_hash: ShortHash, registration_id: str, side: str
) -> NetworkRegistration | None:
    """One request of a node."""
    row = _FIND.first(connection, {"node": short_hash, "id": registration_id, "of_side": side})
    return None if row is None else registration_of(row)


def due_registrations(
    connection: Connection, side: str, now: EpochMs
) -> Sequence[NetworkRegistration]:
    """Requests of one side of which something is due, some of them."""
    rows = _DUE.all(connection, {"of_side": side, "now": now})
    return [registration_of(row) for row in rows]


def registrations_of_status(
    connection: Connection, mgm: ShortHash, status: RegistrationStatus
) -> Sequence[NetworkRegistration]:
    """Requests at an MGM that have a status, some of them, the oldest first."""
    rows = _OF_STATUS.all(connection, {"node": mgm, "of_status": status.value})
    return [registration_of(row) for row in rows]


def applicant(
    connection: Connection, mgm: ShortHash, *, name: str, now: EpochMs
) -> NetworkRegistration | None:
    """The request by which an MGM knows a name that is not listed yet.

    It is the one that is worked on, or the last one if that was declined within the time in which
    the member must be told.
    """
    values = {"node": mgm, "of_name": name, "declined_after": now - TOLD_MS}
    found = [registration_of(row) for row in _OF_NAME.all(connection, values)]
    started = [each for each in found if each.status in mgm_side.STARTED]
    declined = sorted(found, key=lambda each: each.updated_at)
    return next(iter(started or declined[-1:]), None)


def names_of_applicants(connection: Connection, mgm: ShortHash, session_key: str) -> Sequence[str]:
    """Names whose requests at an MGM were signed by a key, `SHA-256:HEX`."""
    rows = _NAMES_OF_KEY.all(connection, {"node": mgm, "of_key": session_key})
    return [row.name for row in rows]


def refused_row(
    holding: HoldingIdentity, registration_id: str, given: Context, reason: str, now: EpochMs
) -> Mapping[str, object]:
    """The row of a request of a node here that is INVALID."""
    return {
        "short_hash": holding.short_hash,
        "registration_id": registration_id,
        "side": MEMBER_SIDE,
        "name": str(holding.x500_name),
        "status": RegistrationStatus.INVALID.value,
        "reason": reason,
        "member_context": canonical_json(dict(given)),
        "member_signature": b"",
        "registration_context": b"{}",
        "sent_at": now,
        "updated_at": now,
    }


def set_registration(
    connection: Connection,
    request: NetworkRegistration,
    status: RegistrationStatus,
    *,
    now: EpochMs,
    due_at: EpochMs | None = None,
    **values: object,
) -> bool:
    """Change a request's status; False if it has changed since it was read."""
    return _change(
        connection, request, status=status.value, updated_at=now, due_at=due_at, **values
    )


def postpone_registration(
    connection: Connection, request: NetworkRegistration, due_at: EpochMs | None
) -> bool:
    """Change when something is due of a request; False if its status has changed since."""
    return _change(connection, request, due_at=due_at)


def touch_registration(connection: Connection, request: NetworkRegistration, now: EpochMs) -> bool:
    """Note that a request was of use now; False if its status has changed since."""
    return _change(connection, request, updated_at=now)


def _change(connection: Connection, request: NetworkRegistration, **values: object) -> bool:
    new = {f"new_{name}": value for name, value in values.items()}
    changed = _changing(tuple(values)).change(
        connection,
        {
            "node": request.short_hash,
            "request": request.registration_id,
            "of_status": request.status.value,
            **new,
        },
    )
    return changed == 1


@cache
def _changing(names: tuple[str, ...]) -> Prepared:
    """The statement that changes these columns of a request that has a status."""
    return Prepared(
        update(NETWORK_REGISTRATION)
        .where(
            COLUMNS.short_hash == bindparam("node"),
            COLUMNS.registration_id == bindparam("request"),
            COLUMNS.status == bindparam("of_status"),
        )
        .values({name: bindparam(f"new_{name}") for name in names})
    )


def registration_of(row: Any) -> NetworkRegistration:
    """The request that a row holds."""
    return NetworkRegistration(
        short_hash=ShortHash(row.short_hash),
        registration_id=row.registration_id,
        side=row.side,
        name=row.name,
        status=RegistrationStatus(row.status),
        reason=row.reason,
        user_reason=row.user_reason,
        serial=row.serial,
        member_context=bytes(row.member_context),
        member_signature=bytes(row.member_signature),
        registration_context=bytes(row.registration_context),
        sent_at=EpochMs(row.sent_at),
        updated_at=EpochMs(row.updated_at),
    )
