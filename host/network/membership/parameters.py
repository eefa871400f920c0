"""The versions of group parameters, in the cluster's database: stored by hash, never deleted."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from host.database.prepared import Prepared, PreparedRow
from host.database.sql import Upsert
from host.domain.group_parameters import SignedGroupParameters, realm_of
from host.domain.ids import EpochMs
from host.network.membership.tables import GROUP_PARAMETERS, GROUP_REALM

_KEEP = Prepared(Upsert(table=GROUP_PARAMETERS, keep=True))
_KEEP_REALM = Prepared(Upsert(table=GROUP_REALM, keep=True))
_COLUMNS = GROUP_PARAMETERS.c
_NEWEST_FIRST = select(GROUP_PARAMETERS).order_by(_COLUMNS.epoch.desc(), _COLUMNS.hash)


def realm_key(connection: Connection, group_id: str) -> str | None:
    """The key of the MGM of the realm of a group's members on this host; None if there are none."""
    query = select(GROUP_REALM.c.mgm_key).where(GROUP_REALM.c.group_id == group_id)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else str(found)


def newest_parameters(connection: Connection, group_id: str) -> SignedGroupParameters | None:
    """The parameters of the highest epoch."""
    query = _NEWEST_FIRST.where(_COLUMNS.realm.in_(_realm(group_id))).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else signed_parameters(row)


def parameters_of_hash(
    connection: Connection, group_id: str, wanted: str
) -> SignedGroupParameters | None:
    """The parameters with this hash."""
    query = select(GROUP_PARAMETERS).where(
        _COLUMNS.realm.in_(_realm(group_id)), _COLUMNS.hash == wanted
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else signed_parameters(row)


def parameters_before(
    connection: Connection, group_id: str, before: int | None, limit: int
) -> Sequence[SignedGroupParameters]:
    """The parameters of epochs before one, the newest first, at most `limit`."""
    return _before(connection, _COLUMNS.realm.in_(_realm(group_id)), before, limit)


def parameters_in_realm(
    connection: Connection, realm: str, before: int | None, limit: int
) -> Sequence[SignedGroupParameters]:
    """Those of a realm, of epochs before one, the newest first, at most `limit`."""
    return _before(connection, _COLUMNS.realm == realm, before, limit)


def _before(
    connection: Connection, where: ColumnElement[bool], before: int | None, limit: int
) -> Sequence[SignedGroupParameters]:
    query = _NEWEST_FIRST.where(where).limit(limit)
    if before is not None:
        query = query.where(_COLUMNS.epoch < before)
    return [signed_parameters(row) for row in connection.execute(query)]


def keep_signed(connection: Connection, signed: SignedGroupParameters) -> None:
    """Store parameters whose signature was checked; existing ones are not changed."""
    group_id = signed.parameters.group_id
    realm = realm_of(group_id, signed.signer_key)
    _KEEP_REALM.run(
        connection, {"group_id": group_id, "realm": realm, "mgm_key": signed.signer_key}
    )
    keep_in_realm(connection, realm, signed)


def keep_in_realm(connection: Connection, realm: str, signed: SignedGroupParameters) -> None:
    """Store parameters of a realm whose signature was checked; existing ones are not changed."""
    _KEEP.run(
        connection,
        {
            "realm": realm,
            "hash": signed.hash,
            "epoch": signed.parameters.epoch,
            "bytes": signed.content,
            "signature": signed.signature,
            "signer_key": signed.signer_key,
            "spec": signed.spec,
            "at": signed.at,
        },
    )


def _realm(group_id: str) -> Any:
    return select(GROUP_REALM.c.realm).where(GROUP_REALM.c.group_id == group_id)


def signed_parameters(row: Row[Any] | PreparedRow) -> SignedGroupParameters:
    """Parameters as a row has them."""
    return SignedGroupParameters(
        content=bytes(row.bytes),
        signature=bytes(row.signature),
        signer_key=row.signer_key,
        spec=row.spec,
        at=EpochMs(row.at),
    )
