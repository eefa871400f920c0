"""What a static group is made of, as part of the file of each of its members.

All members of a static group are on one cluster, whose registers are their network. So each file
brings the whole group: its key, all its parameters, and the list of its members; the first that is
loaded makes the group, the others find it the same.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, delete, select

from host.domain.errors import ConflictError, HostError
from host.domain.group_parameters import SignedGroupParameters, realm_of
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberInfo
from host.network.membership.directory import add_member, checked_parameters, find_member
from host.network.membership.joining import JoinChecks
from host.network.membership.parameters import (
    keep_signed,
    newest_parameters,
    parameters_before,
    realm_key,
)
from host.network.membership.static_mgm import TENANT, alias_of_group
from host.network.membership.tables import (
    GROUP_PARAMETERS,
    GROUP_REALM,
    MEMBER,
    MEMBER_KEY,
)
from host.ports.database import SqlDatabase
from host.ports.keys import KeyMaterial, KeyStore
from host.ports.node_contents import NodeItemInvalidError
from host.ports.public_keys import PublicKeys

_PARAMETERS_MAX = 10_000
_MEMBERS_MAX = 100_000
_AT_MAX = 2**53


class StaticGroupExistsError(ConflictError):
    """A static group of this id is here already, and is another one."""

    code = "static-group-exists"


class _Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`members` are the JSON of `MemberInfo`, by name."""

    key: KeyMaterial
    parameters: Annotated[tuple[SignedGroupParameters, ...], Meta(max_length=_PARAMETERS_MAX)]
    members: Annotated[tuple[str, ...], Meta(max_length=_MEMBERS_MAX)]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Group)


def members_of_group(connection: Connection, group_id: str) -> Sequence[MemberInfo]:
    """All members of a static group, whatever their status, by name; none of a dynamic one."""
    query = select(MEMBER.c.info).where(MEMBER.c.group_id == group_id).order_by(MEMBER.c.name)
    found = connection.execute(query).scalars()
    return [msgspec.json.decode(info, type=MemberInfo) for info in found]


def notaries_of_group(connection: Connection, group_id: str) -> Sequence[str]:
    """The names of the notary services of a static group."""
    newest = newest_parameters(connection, group_id)
    return [] if newest is None else [str(each.name) for each in newest.parameters.notaries]


class StaticGroup:
    """`NodeContents` of a member's static group; a member of a dynamic one has none.

    Args:
        database: the cluster's.
        keys: have the key of the group.
        public_keys: check what it has signed.
        is_needed: whether another node of the group is here, for a node that is erased.
        works: whether another node of the group works here, for a node that arrives.
        checks: know whom the group's founders admit.
    """

    name = "group"
    version = 1

    def __init__(
        self,
        database: SqlDatabase,
        keys: KeyStore,
        public_keys: PublicKeys,
        *,
        is_needed: Callable[[HoldingIdentity], bool],
        works: Callable[[HoldingIdentity], bool],
        checks: JoinChecks,
    ) -> None:
        self._works = works
        self._checks = checks
        self._database = database
        self._keys = keys
        self._public_keys = public_keys
        self._is_needed = is_needed

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        group_id = holding.group_id
        with self._database.read() as connection:
            if find_member(connection, group_id, str(holding.x500_name)) is None:
                return
            members = members_of_group(connection, group_id)
            parameters = parameters_before(connection, group_id, None, _PARAMETERS_MAX)
        (key,) = self._keys.export_keys(TENANT, alias_of_group(group_id))
        infos = tuple(msgspec.json.encode(each).decode() for each in members)
        yield _encoder.encode(_Group(key=key, parameters=tuple(parameters), members=infos))

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        """See `NodeContents.load`.

        Raises:
            NodeItemInvalidError: it is malformed, or not the group of the node.
            StaticGroupExistsError: another group of its id is here.
        """
        del version  # there is one
        for item in items:
            self._load(holding, item)

    def _load(self, holding: HoldingIdentity, item: bytes) -> None:
        group_id = holding.group_id
        try:
            group = _decoder.decode(item)
            members = [msgspec.json.decode(text, type=MemberInfo) for text in group.members]
            signer = self._public_keys.canonical(group.key.public_key)
            parameters = [
                checked_parameters(each, signer, self._public_keys) for each in group.parameters
            ]
            is_its = all(
                each.parameters.group_id == group_id and 0 <= each.at <= _AT_MAX
                for each in parameters
            )
        except (ValueError, RecursionError, HostError) as exc:
            raise NodeItemInvalidError(
                f"the static group of the file cannot be used: {exc}"
            ) from exc
        is_its = is_its and all(each.group_id == group_id for each in members)
        has_node = any(each.name == holding.x500_name for each in members)
        if not is_its or not has_node or group.key.alias != alias_of_group(group_id):
            raise NodeItemInvalidError("the static group of the file is not that of its node")

        with self._database.read() as connection:
            known = realm_key(connection, group_id)
        _check_key(group_id, known, signer)
        if self._works(holding):
            raise StaticGroupExistsError(f"virtual nodes of group {group_id} work on this cluster")
        self._checks.check_founders_list(group_id, [each.name for each in members])
        if known is None:  # a key that is left of a registration that came too late is of no group
            self._keys.erase(TENANT, alias_of_group(group_id))
        # The private key first: who has it alone may say who the group's members are.
        self._keys.import_keys(TENANT, [group.key])
        self._database.transact(lambda connection: _store(connection, signer, parameters, members))

    def erase(self, holding: HoldingIdentity) -> None:
        """See `NodeContents.erase`; the group goes with the last of its nodes."""
        group_id = holding.group_id
        with self._database.read() as connection:
            key = realm_key(connection, group_id)
        if self._is_needed(holding):
            return
        if key is None:
            self._keys.erase(TENANT, alias_of_group(group_id))  # nothing more was loaded
            return

        def work(connection: Connection) -> None:
            for table in (MEMBER_KEY, MEMBER, GROUP_REALM):
                connection.execute(delete(table).where(table.c.group_id == group_id))
            realm = realm_of(group_id, key)
            connection.execute(delete(GROUP_PARAMETERS).where(GROUP_PARAMETERS.c.realm == realm))

        self._keys.erase(TENANT, alias_of_group(group_id))
        self._database.transact(work)


def _store(
    connection: Connection,
    signer: str,
    parameters: Sequence[SignedGroupParameters],
    members: Sequence[MemberInfo],
) -> None:
    """Make the group, or find it the same: files of one export all bring all of it."""
    group_id = members[0].group_id
    known = realm_key(connection, group_id)
    _check_key(group_id, known, signer)
    if known is not None:
        newest = newest_parameters(connection, group_id)
        if (
            members_of_group(connection, group_id) != sorted(members, key=_by_name)
            or newest is None
            or [newest.hash] != [each.hash for each in parameters[:1]]
        ):
            raise StaticGroupExistsError(
                f"group {group_id} is on this cluster already, with other members or parameters"
            )
        return
    for signed in reversed(parameters):
        keep_signed(connection, signed)
    for member in members:
        add_member(connection, member)


def _check_key(group_id: str, known: str | None, signer: str) -> None:
    if known not in {None, signer}:
        raise StaticGroupExistsError(
            f"group {group_id} is on this cluster already, with another key"
        )


def _by_name(member: MemberInfo) -> str:
    return str(member.name)
