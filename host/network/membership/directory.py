"""A static network as its members see it: the `Members` port over the cluster's database.

All members of a static network are on one cluster, so they share one list. Visibility for the
viewer is decided at each look-up.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, or_, select

from host.domain.group_parameters import (
    GroupParametersInvalidError,
    SignedGroupParameters,
    signed_bytes,
)
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberInfo, MemberStatus
from host.domain.paging import LIMIT_DEFAULT
from host.domain.x500 import MemberX500Name
from host.network.membership.errors import GroupParametersUnknownError
from host.network.membership.parameters import (
    keep_signed,
    newest_parameters,
    parameters_before,
    parameters_of_hash,
    realm_key,
)
from host.network.membership.tables import MEMBER, MEMBER_KEY
from host.ports.database import SqlDatabase
from host.ports.public_keys import PublicKeys

_SELECT_MEMBERS = select(MEMBER.c.info).order_by(MEMBER.c.name)
_SELECT_KEY = select(MEMBER_KEY.c.name)
_PARAMETERS_KEPT_MAX = 64
"""Parameters that are kept in memory, of all groups."""


class MemberDirectory:
    """The `Members` port. A viewer sees active members, and itself whatever its status."""

    def __init__(self, database: SqlDatabase, *, public_keys: PublicKeys) -> None:
        self._database = database
        self._public_keys = public_keys
        self._parameters: OrderedDict[tuple[str, str], SignedGroupParameters] = OrderedDict()

    def lookup(self, viewer: HoldingIdentity, name: MemberX500Name) -> MemberInfo | None:
        with self._database.read() as connection:
            return _visible(viewer, find_member(connection, viewer.group_id, str(name)))

    def lookup_key(self, viewer: HoldingIdentity, ledger_key: str) -> MemberInfo | None:
        """The member that holds `ledger_key`.

        Raises:
            InvalidInputError: `ledger_key` is not a public key.
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
        self, viewer: HoldingIdentity, *, after: str = "", limit: int = LIMIT_DEFAULT
    ) -> Sequence[MemberInfo]:
        return self.listed(viewer, (MemberStatus.ACTIVE,), after=after, limit=limit)

    def listed(
        self,
        viewer: HoldingIdentity,
        statuses: Collection[MemberStatus],
        *,
        after: str = "",
        limit: int = LIMIT_DEFAULT,
    ) -> Sequence[MemberInfo]:
        name = str(viewer.x500_name)
        return self._select(
            MEMBER.c.group_id == viewer.group_id,
            MEMBER.c.status.in_([status.value for status in statuses]),
            or_(MEMBER.c.status == MemberStatus.ACTIVE.value, MEMBER.c.name == name),
            MEMBER.c.name > after,
            limit=limit,
        )

    def parameters(
        self,
        viewer: HoldingIdentity,
        hash: str | None = None,  # noqa: A002  # the field's word
    ) -> SignedGroupParameters:
        group_id = viewer.group_id
        if hash is None:
            with self._database.read() as connection:
                found = newest_parameters(connection, group_id)
        else:
            found = self._parameters_of(group_id, hash)
        if found is None:
            raise unknown_parameters(group_id, hash)
        return found

    def _parameters_of(self, group_id: str, wanted: str) -> SignedGroupParameters | None:
        """Those of a hash, which are never changed or deleted: each transaction names some."""
        known = self._parameters.get((group_id, wanted))
        if known is not None:
            return known
        with self._database.read() as connection:
            found = parameters_of_hash(connection, group_id, wanted)
        if found is not None:
            self._parameters[group_id, wanted] = found
            while len(self._parameters) > _PARAMETERS_KEPT_MAX:
                with suppress(KeyError):  # another thread was first
                    self._parameters.popitem(last=False)
        return found

    def parameters_history(
        self, viewer: HoldingIdentity, *, before: int | None = None, limit: int = LIMIT_DEFAULT
    ) -> Sequence[SignedGroupParameters]:
        with self._database.read() as connection:
            return parameters_before(connection, viewer.group_id, before, limit)

    def keep_parameters(self, viewer: HoldingIdentity, signed: SignedGroupParameters) -> None:
        check_group(viewer, signed)
        with self._database.read() as connection:
            expected = realm_key(connection, viewer.group_id)
        checked = checked_parameters(signed, expected, self._public_keys)
        self._database.transact(lambda connection: keep_signed(connection, checked))

    def _select(self, *conditions: ColumnElement[bool], limit: int) -> Sequence[MemberInfo]:
        query = _SELECT_MEMBERS.where(*conditions).limit(limit)
        with self._database.read() as connection:
            return [_decoded(row.info) for row in connection.execute(query)]


def unknown_parameters(group_id: str, hash: str | None) -> GroupParametersUnknownError:  # noqa: A002
    """No parameters of a group are here, or none of a hash."""
    which = "no parameters" if hash is None else f"no parameters {hash[:80]}"
    return GroupParametersUnknownError(
        f"group {group_id} has {which} here", kind="group parameters", named=group_id
    )


def check_group(viewer: HoldingIdentity, signed: SignedGroupParameters) -> None:
    """Refuse parameters of another group than a node's.

    Raises:
        GroupParametersInvalidError: they are.
    """
    group_id = signed.parameters.group_id
    if group_id != viewer.group_id:
        raise GroupParametersInvalidError(
            f"group parameters are of group {group_id[:64]}, expected {viewer.group_id}"
        )


def checked_parameters(
    signed: SignedGroupParameters, mgm_key: str | None, public_keys: PublicKeys
) -> SignedGroupParameters:
    """Group parameters, with the signer's key in canonical form, if the MGM has signed them.

    Raises:
        GroupParametersInvalidError: the MGM, whose key `mgm_key` is, has not.
        InvalidInputError: the key or the signature spec is invalid.
    """
    signer = public_keys.canonical(signed.signer_key)
    if mgm_key is None or signer != mgm_key:
        raise GroupParametersInvalidError(
            f"group parameters {signed.hash} are not signed by the key of the group's MGM"
        )
    if not public_keys.verify(signer, signed_bytes(signed.content), signed.signature, signed.spec):
        raise GroupParametersInvalidError(
            f"the signature of group parameters {signed.hash} is wrong"
        )
    return replace(signed, signer_key=signer)


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


def _decoded(info: str) -> MemberInfo:
    return msgspec.json.decode(info, type=MemberInfo)


def _visible(viewer: HoldingIdentity, member: MemberInfo | None) -> MemberInfo | None:
    if member is None or member.status is MemberStatus.ACTIVE:
        return member
    return member if member.name == viewer.x500_name else None
