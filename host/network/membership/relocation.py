"""Where a member says that it is, and where its MGM's list says so."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from host.domain.ids import HoldingIdentity, ShortHash
from host.network.membership import group_store
from host.network.membership.network_access import NetworkAccess, group_of_mgm, group_of_node
from host.network.membership.network_registrations import (
    COLUMNS,
    MEMBER_SIDE,
    registrations_where,
)
from host.network.membership.registration import RegistrationStatus
from host.network.membership.views import ask_now, view_of
from host.network.values import contexts
from host.network.values.contexts import Context
from host.network.values.member import SignedMember

_REFUSED = (RegistrationStatus.DECLINED, RegistrationStatus.INVALID, RegistrationStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A member's location in the newest list that its node here has."""

    epoch: int
    location_id: str | None
    member: SignedMember


def is_mgm(connection: Connection, short_hash: ShortHash) -> bool:
    """Whether a node manages a network."""
    return group_of_mgm(connection, short_hash) is not None


def is_dynamic(access: NetworkAccess, short_hash: ShortHash) -> bool:
    """Whether a node belongs to a network with an MGM."""
    return group_of_node(access, access.node(short_hash)) is not None


def listed(access: NetworkAccess, short_hash: ShortHash) -> Listed | None:
    """The location of a node's member, by the newest list here; None before it is a member.

    Whoever brought that list: what its MGM has signed counts for all.
    """
    node = access.node(short_hash)
    with access.database.read() as connection:
        view = view_of(connection, short_hash)
        if view is None:
            return None
        name = str(node.holding.x500_name)
        newest = group_store.newest_version(connection, view.realm)
        found = group_store.member_at(connection, view.realm, name, newest)
    return None if found is None else listed_of(found)


def ask_for_list(access: NetworkAccess, short_hash: ShortHash) -> None:
    """Ask for what the node's other copy may have got in its stead."""
    access.database.transact(lambda connection: ask_now(connection, short_hash))


def listed_of(found: SignedMember) -> Listed:
    """The location that information of a member names."""
    return Listed(
        epoch=epoch_of(found.member),
        location_id=found.member.get(contexts.LOCATION_ID),
        member=found,
    )


def epoch_of(context: Context) -> int:
    """The location epoch of a context; 0 for one that never moved, or a malformed one."""
    text = context.get(contexts.LOCATION_EPOCH, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def claim_refused(access: NetworkAccess, short_hash: ShortHash, location_id: str) -> str | None:
    """Why the request by which a node claimed a location was refused, if it was."""
    with access.database.read() as connection:
        requests = registrations_where(
            connection, COLUMNS.short_hash == short_hash, COLUMNS.side == MEMBER_SIDE
        )
    mine = [each for each in requests if each.member.get(contexts.LOCATION_ID) == location_id]
    last = max(mine, key=lambda each: (each.sent_at, each.registration_id), default=None)
    if last is None or last.status not in _REFUSED:
        return None
    return f"{last.status}: {last.user_reason or last.reason or 'without a reason'}"


def place_entries(epoch: int, location_id: str, urls: tuple[str, ...]) -> Context:
    """What a member says of its place; without `urls` its endpoints stay."""
    entries = {contexts.LOCATION_EPOCH: str(epoch), contexts.LOCATION_ID: location_id}
    for number, url in enumerate(urls):
        prefix = f"{contexts.ENDPOINTS}.{number}"
        entries[f"{prefix}.connectionURL"] = url
        entries[f"{prefix}.protocolVersion"] = "1"
    return entries


def of_claim(access: NetworkAccess, short_hash: ShortHash, token: str | None) -> Context:
    """What the MGM alone reads of a claim: the newest serial known here, and a pre-auth token.

    The node's own list may be older than another one's here: its other copy had it sent.
    """
    found = listed(access, short_hash)
    serial = {} if found is None else {contexts.SERIAL: str(found.member.serial)}
    return serial if token is None else {**serial, contexts.AUTH_TOKEN: token}


def names_seen(access: NetworkAccess, holding: HoldingIdentity) -> Sequence[str]:
    """The members that a node's list has, or had, and its MGM; none in a static network."""
    node = access.virtual_nodes.get(holding.short_hash)
    group = None if node is None else group_of_node(access, node)
    if group is None:
        return ()
    with access.database.read() as connection:
        version = group_store.newest_version(connection, group.signer.realm)
        listed = group_store.list_state(connection, group.signer.realm, version)
    return sorted({*listed.members, str(group.mgm.x500_name)})
