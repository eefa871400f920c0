"""What the parts of dynamic networks work with, and the group of a node as its policy names it."""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from host.database.prepared import Prepared
from host.domain.errors import NotFoundError
from host.domain.group_parameters import realm_of
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.packages import CpiRecord
from host.domain.vnode import VirtualNode
from host.domain.x500 import MemberX500Name
from host.network.membership.network_policy import NetworkPolicy, read_network_policy
from host.network.membership.network_tables import MEMBER_VIEW, MGM_GROUP
from host.network.membership.package import Signer
from host.network.membership.times import NetworkTimes
from host.network.values import contexts
from host.network.values.contexts import Context
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.directory import Packages, VirtualNodes
from host.ports.keys import KeyStore
from host.ports.locations import ALL_HERE, Locations, Place
from host.ports.public_keys import PublicKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAccess:
    """The host's parts that dynamic networks use.

    Attributes:
        database: the cluster's.
        tls_subject: subject of a node's TLS certificate; None before its network setup. Raises
            InvalidInputError if it cannot be used.
        is_mutual: whether this cluster's gateways demand certificates of clients.
        times: in force now.
        locations: where the nodes are: an MGM that leaves or arrives does nothing here.
    """

    database: SqlDatabase
    virtual_nodes: VirtualNodes
    packages: Packages
    keys: KeyStore
    public_keys: PublicKeys
    clock: Clock
    entropy: Entropy
    tls_subject: Callable[[ShortHash], str | None]
    is_mutual: Callable[[], bool]
    times: Callable[[], NetworkTimes] = NetworkTimes
    locations: Locations = ALL_HERE

    def node(self, short_hash: ShortHash) -> VirtualNode:
        """A virtual node.

        Raises:
            NotFoundError: there is none.
        """
        node = self.virtual_nodes.get(short_hash)
        if node is None:
            raise NotFoundError(
                f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
            )
        return node

    def cpi(self, node: VirtualNode) -> CpiRecord:
        """The CPI of a node.

        Raises:
            NotFoundError: it is not stored.
        """
        found = self.packages.get(node.cpi_checksum)
        if found is None:
            raise NotFoundError(
                f"CPI {node.cpi_checksum} not found.", kind="CPI", named=node.cpi_checksum
            )
        return found

    def new_id(self) -> str:
        return str(uuid.UUID(bytes=self.entropy.random_bytes(16), version=4))

    def works_here(self, short_hash: ShortHash) -> bool:
        """Whether a node of this cluster neither leaves it nor arrives."""
        return self.locations.place(short_hash) is Place.HERE


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOfMember:
    """The MGM that a member's group policy names; `info` is the policy's `mgmInfo`."""

    mgm: HoldingIdentity
    signer: Signer
    ecdh_key: str
    info: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOfMgm:
    """The group that a registered MGM has; `policy` is the text of its members' policy."""

    holding: HoldingIdentity
    signer: Signer
    ecdh_key: str
    policy: str

    @property
    def is_mutual(self) -> bool:
        """Whether members present TLS certificates."""
        return bool(json.loads(self.policy)["p2pParameters"]["tlsType"] == "Mutual")


def group_of_member(access: NetworkAccess, node: VirtualNode) -> GroupOfMember:
    """The group of a member of a dynamic network.

    Raises:
        NotFoundError: the policy has no MGM.
        HostError: the policy's values are malformed.
    """
    info = json.loads(access.cpi(node).group_policy).get("mgmInfo") or {}
    key, ecdh = info.get(f"{contexts.SESSION_KEYS}.0.pem"), info.get(contexts.ECDH_KEY)
    if not key or not ecdh or not info.get(contexts.NAME):
        raise NotFoundError(
            "The group policy names no MGM with its keys.",
            kind="MGM",
            named=node.holding.group_id,
        )
    canonical, group_id = access.public_keys.canonical(key), node.holding.group_id
    return GroupOfMember(
        mgm=HoldingIdentity(x500_name=MemberX500Name.parse(info[contexts.NAME]), group_id=group_id),
        signer=Signer(
            realm=realm_of(group_id, canonical),
            group_id=group_id,
            mgm_key=canonical,
            spec=access.public_keys.default_spec(canonical),
        ),
        ecdh_key=ecdh,
        info=info,
    )


_GROUP = Prepared(select(MGM_GROUP).where(MGM_GROUP.c.short_hash == bindparam("node")))
_MGMS = Prepared(select(MGM_GROUP.c.short_hash))
_OF_REALM = Prepared(
    select(MEMBER_VIEW.c.short_hash).where(MEMBER_VIEW.c.realm == bindparam("of_realm")).limit(1)
)


def group_of_mgm(connection: Connection, short_hash: ShortHash) -> GroupOfMgm | None:
    """The group of a node, if it is a registered MGM."""
    row = _GROUP.first(connection, {"node": short_hash})
    return None if row is None else group_of(row)


def group_of(row: Any) -> GroupOfMgm:
    """The group that a row of `MGM_GROUP` holds."""
    return GroupOfMgm(
        holding=HoldingIdentity(x500_name=MemberX500Name.parse(row.name), group_id=row.group_id),
        signer=Signer(realm=row.realm, group_id=row.group_id, mgm_key=row.mgm_key, spec=row.spec),
        ecdh_key=row.ecdh_key,
        policy=row.policy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """The dynamic network of a node here, a member or its MGM.

    Attributes:
        holding: of the node.
        mgm: of its MGM, which may be the node itself.
        signer: whose signatures the group's lists carry.
        policy: of its connections.
        info: what the group policy tells of the MGM.
    """

    holding: HoldingIdentity
    mgm: HoldingIdentity
    signer: Signer
    policy: NetworkPolicy
    info: Context

    @property
    def is_mgm(self) -> bool:
        return self.holding == self.mgm


def group_of_node(access: NetworkAccess, node: VirtualNode) -> NodeGroup | None:
    """The dynamic network of a node; None for a static one, and an MGM that has not registered.

    Raises:
        HostError: the policy's values are malformed.
    """
    with access.database.read() as connection:
        own = group_of_mgm(connection, node.holding.short_hash)
    if own is not None:
        return NodeGroup(
            holding=own.holding,
            mgm=own.holding,
            signer=own.signer,
            policy=read_network_policy(own.policy),
            info=json.loads(own.policy)["mgmInfo"],
        )
    text = access.cpi(node).group_policy
    if not json.loads(text).get("mgmInfo"):
        return None
    group = group_of_member(access, node)
    return NodeGroup(
        holding=node.holding,
        mgm=group.mgm,
        signer=group.signer,
        policy=read_network_policy(text),
        info=group.info,
    )


def group_of_realm(access: NetworkAccess, realm: str) -> NodeGroup | None:
    """A realm as a node here has it; None if none is in it."""
    with access.database.read() as connection:
        short_hash = _OF_REALM.value(connection, {"of_realm": realm})
    node = None if short_hash is None else access.virtual_nodes.get(ShortHash(short_hash))
    return None if node is None else group_of_node(access, node)


def mgms_here(access: NetworkAccess) -> Sequence[ShortHash]:
    """The registered MGMs that work on this cluster."""
    with access.database.read() as connection:
        found = [ShortHash(row.short_hash) for row in _MGMS.all(connection, {})]
    return [each for each in found if access.works_here(each)]
