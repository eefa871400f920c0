"""The group as its members see it: the `Members` port over the cluster's database.

All members of a static network live on one host, so they share one list.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, insert, select

from host.db.sql import Upsert
from host.domain.ids import HoldingIdentity
from host.domain.membership import GroupParameters, MemberInfo, MemberStatus
from host.domain.x500 import MemberX500Name
from host.membership.errors import GroupParametersUnknownError
from host.membership.tables import GROUP_PARAMETERS, MEMBER, MEMBER_KEY
from host.ports.database import SqlDatabase
from host.ports.public_keys import PublicKeys

_SELECT_MEMBERS = select(MEMBER.c.info).order_by(MEMBER.c.name)
_SELECT_PARAMETERS = select(GROUP_PARAMETERS.c.parameters)
_SELECT_KEY = select(MEMBER_KEY.c.name)
_PUT_PARAMETERS = Upsert(table=GROUP_PARAMETERS, replace=("epoch", "parameters"))


class MemberDirectory:
    """The `Members` port. A viewer sees active members, and itself whatever its status."""

    def __init__(self, database: SqlDatabase, *, public_keys: PublicKeys) -> None:
        self._database = database
        self._public_keys = public_keys

    def lookup(self, viewer: HoldingIdentity, name: MemberX500Name) -> MemberInfo | None:
        with self._database.read() as connection:
            return _visible(viewer, find_member(connection, viewer.group_id, str(name)))

    def lookup_key(self, viewer: HoldingIdentity, ledger_key: str) -> MemberInfo | None:
        """The member that holds `ledger_key`.

        Raises:
            InvalidInputError: `ledger_key` is no public key.
        """
        canonical = self._public_keys.canonical(ledger_key)
        with self._database.read() as connection:
            name = connection.execute(
                _SELECT_KEY.where(
                    MEMBER_KEY.c.group_id == viewer.group_id, MEMBER_KEY.c.public_key == canonical
                )
            ).scalar_one_or_none()
            if name is None:
                return None
            return _visible(viewer, find_member(connection, viewer.group_id, name))

    def active(
        self, viewer: HoldingIdentity, *, after: str = "", limit: int | None = None
    ) -> Sequence[MemberInfo]:
        query = _SELECT_MEMBERS.where(
            MEMBER.c.group_id == viewer.group_id,
            MEMBER.c.status == MemberStatus.ACTIVE.value,
            MEMBER.c.name > after,
        ).limit(limit)
        with self._database.read() as connection:
            return [_decoded(row.info) for row in connection.execute(query)]

    def group_parameters(self, viewer: HoldingIdentity) -> GroupParameters:
        """The group's current parameters.

        Raises:
            GroupParametersUnknownError: no member has registered yet.
        """
        with self._database.read() as connection:
            parameters = find_parameters(connection, viewer.group_id)
        if parameters is None:
            raise GroupParametersUnknownError(
                f"group {viewer.group_id} has no parameters: no member has registered"
            )
        return parameters


def find_member(connection: Connection, group_id: str, name: str) -> MemberInfo | None:
    info = connection.execute(
        _SELECT_MEMBERS.where(MEMBER.c.group_id == group_id, MEMBER.c.name == name)
    ).scalar_one_or_none()
    return None if info is None else _decoded(info)


def add_member(connection: Connection, member: MemberInfo) -> None:
    """Add a member and its ledger keys."""
    name = str(member.name)
    connection.execute(
        insert(MEMBER),
        {
            "group_id": member.group_id,
            "name": name,
            "status": member.status.value,
            "info": msgspec.json.encode(member).decode(),
        },
    )
    connection.execute(
        insert(MEMBER_KEY),
        [
            {"group_id": member.group_id, "public_key": key, "name": name}
            for key in member.ledger_keys
        ],
    )


def find_parameters(connection: Connection, group_id: str) -> GroupParameters | None:
    text = connection.execute(
        _SELECT_PARAMETERS.where(GROUP_PARAMETERS.c.group_id == group_id)
    ).scalar_one_or_none()
    return None if text is None else msgspec.json.decode(text, type=GroupParameters)


def put_parameters(connection: Connection, parameters: GroupParameters) -> None:
    """Store parameters in place of the group's older ones."""
    _PUT_PARAMETERS.run(
        connection,
        {
            "group_id": parameters.group_id,
            "epoch": parameters.epoch,
            "parameters": msgspec.json.encode(parameters).decode(),
        },
    )


def _decoded(info: str) -> MemberInfo:
    return msgspec.json.decode(info, type=MemberInfo)


def _visible(viewer: HoldingIdentity, member: MemberInfo | None) -> MemberInfo | None:
    if member is None or member.status is MemberStatus.ACTIVE:
        return member
    return member if member.name == viewer.x500_name else None
