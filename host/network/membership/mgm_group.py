"""Registration of an MGM: its group gets the first version of its list, and its parameters.

Registered again, it changes its endpoints and versions; its members learn them from the list.
"""

import json

from sqlalchemy import Connection, insert

from host.domain.errors import ConflictError
from host.domain.group_parameters import realm_of
from host.domain.ids import EpochMs, ShortHash
from host.domain.instants import instant_text
from host.domain.json import JsonObject
from host.domain.membership import GroupParameters, MemberStatus
from host.domain.vnode import VirtualNode
from host.network.membership import group_store
from host.network.membership.checks import difference_fault, endpoints_fault
from host.network.membership.dynamic_context import check_mgm_context
from host.network.membership.errors import RegistrationInvalidError
from host.network.membership.list_signer import ListSigner
from host.network.membership.member_contexts import find_key, platform_context, relocated
from host.network.membership.network_access import GroupOfMgm, NetworkAccess, group_of_mgm
from host.network.membership.network_policy import read_network_policy
from host.network.membership.network_registrations import MEMBER_SIDE
from host.network.membership.network_tables import MGM_GROUP, NETWORK_REGISTRATION
from host.network.membership.package import ListState, Signer
from host.network.membership.parameters import keep_in_realm
from host.network.membership.registration import RegistrationStatus
from host.network.membership.sequencer import Sequencer, SetMgm
from host.network.membership.views import begin_view, move_view
from host.network.values import contexts
from host.network.values.contexts import Context, encode_context
from host.network.values.member import SignedMember, member_text
from host.ports.keys import KeyCategory, KeyInfo

_ECDH_SCHEMES = ("CORDA.ECDSA.SECP256R1", "CORDA.X25519")
_MINIMUM_PLATFORM_VERSION = 50000


class MgmElsewhereError(ConflictError):
    """The MGM leaves this cluster, arrives, or is on another one: it decides nothing here."""

    code = "mgm-elsewhere"


def refuse_elsewhere(access: NetworkAccess, mgm: ShortHash) -> None:
    """Refuse what an MGM does not do while it leaves this cluster, arrives, or when it is gone.

    Raises:
        MgmElsewhereError: it does not work here.
    """
    if not access.works_here(mgm):
        raise MgmElsewhereError(
            f"Virtual node {mgm} is {access.locations.place(mgm)}: its network is not managed here."
        )


def register_mgm(
    access: NetworkAccess, node: VirtualNode, given: Context, registration_id: str
) -> None:
    """Make a node the MGM of its group; the request is APPROVED in the same transaction.

    Raises:
        RegistrationInvalidError: the context, a key, or what a registered MGM may not change.
        NetworkPolicyInvalidError: a trust root.
        ConflictError: it was registered by another request meanwhile, or does not work here.
    """
    refuse_elsewhere(access, node.holding.short_hash)
    check_mgm_context(given)
    fault = endpoints_fault(given)
    if fault is not None:
        raise RegistrationInvalidError(fault)
    _check_tls(given, is_mutual=access.is_mutual())
    tenant = node.holding.short_hash
    ecdh = _ecdh_key(access, tenant, given)
    context = {
        **platform_context(access, node, given, registration_id),
        contexts.ECDH_KEY: ecdh.public_key,
    }
    with access.database.read() as connection:
        registered = group_of_mgm(connection, tenant)
    if registered is None:
        _found_group(access, node, given, context)
    else:
        _register_again(access, node, registered, given, context)


def _found_group(
    access: NetworkAccess, node: VirtualNode, given: Context, context: Context
) -> None:
    """Begin the list of a group, its parameters and its members' policy."""
    if given.get(contexts.SERIAL, "0") != "0":
        raise RegistrationInvalidError("First registration must have serial 0.")
    tenant, now = node.holding.short_hash, access.clock.now_ms()
    signer = _signer(access, node, context)
    key, realm = signer.signer.mgm_key, signer.signer.realm
    member = encode_context(context)
    signature = access.keys.sign(tenant, key, member_text(realm, member), signer.signer.spec)
    own: SignedMember = signer.member(member, signature, _mgm_context(now))
    parameters = signer.parameters(_first_parameters(node.holding.group_id, now), now)
    name = str(node.holding.x500_name)
    head = signer.head(ListState(members={}), {name: own.digest}, parameters.hash, now)
    policy = _policy_text(given, context, serial=1)
    read_network_policy(policy)
    group = {
        "short_hash": tenant,
        "realm": realm,
        "group_id": node.holding.group_id,
        "name": name,
        "policy": policy,
        "mgm_key": key,
        "spec": signer.signer.spec,
        "ecdh_key": context[contexts.ECDH_KEY],
    }
    request = _approved(node, context[contexts.REGISTRATION_ID], now, serial=1) | {
        "member_context": member,
        "member_signature": signature,
    }

    def store(connection: Connection) -> None:
        if group_of_mgm(connection, tenant) is not None:
            raise ConflictError(f"{name} was registered meanwhile")
        connection.execute(insert(MGM_GROUP), group)
        connection.execute(insert(NETWORK_REGISTRATION), request)
        group_store.keep_member(connection, realm, own)
        keep_in_realm(connection, realm, parameters)
        group_store.keep_versions(connection, realm, [head], [(1, name, own.digest)])
        begin_view(connection, tenant, realm, now, access.times())
        group_store.keep_local_keys(connection, realm, tenant, context)
        move_view(connection, tenant, 1, now, access.times())

    access.database.transact(store)


def _register_again(
    access: NetworkAccess,
    node: VirtualNode,
    group: GroupOfMgm,
    given: Context,
    context: Context,
) -> None:
    """Change what an MGM says of itself: one version of its list, which reaches all members."""
    before = _listed(access, node, group)
    context = {**context, **contexts.place_of(before.member)}
    _check_again(group, before, given, context)
    policy = _policy_text(given, context, before.serial + 1)
    _change(access, node, group, before, context=context, policy=policy)


def relocate_mgm(access: NetworkAccess, node: VirtualNode, given: Context) -> None:
    """Have an MGM tell its members where it is, by one version of the list that it signs itself.

    Args:
        access: the host's parts.
        node: a registered MGM's, which may be arriving.
        given: its place, and its endpoints there.

    Raises:
        RegistrationInvalidError: it is no registered MGM, or the endpoints cannot be used.
        ConflictError: it was registered by another request meanwhile.
    """
    with access.database.read() as connection:
        group = group_of_mgm(connection, node.holding.short_hash)
    if group is None:
        raise RegistrationInvalidError(f"{node.holding.short_hash} has not registered.")
    before = _listed(access, node, group)
    context = relocated(access, node, before.member, given, access.new_id())
    fault = endpoints_fault(context)
    if fault is not None:
        raise RegistrationInvalidError(fault)
    policy = {**json.loads(group.policy), "mgmInfo": _info(context, before.serial + 1)}
    _change(access, node, group, before, context=context, policy=json.dumps(policy, indent=2))


def _listed(access: NetworkAccess, node: VirtualNode, group: GroupOfMgm) -> SignedMember:
    """What the newest version of an MGM's list says of itself."""
    realm = group.signer.realm
    with access.database.read() as connection:
        version = group_store.newest_version(connection, realm)
        found = group_store.member_at(connection, realm, str(node.holding.x500_name), version)
    if found is None:
        raise RegistrationInvalidError("The list of the group has no MGM.")
    return found


def _change(
    access: NetworkAccess,
    node: VirtualNode,
    group: GroupOfMgm,
    before: SignedMember,
    *,
    context: Context,
    policy: str,
) -> None:
    """Make the version of the list in which an MGM says `context`; `policy` is of its members."""
    tenant, realm, now = node.holding.short_hash, group.signer.realm, access.clock.now_ms()
    member = encode_context(context)
    read_network_policy(policy)
    signature = access.keys.sign(
        tenant, group.signer.mgm_key, member_text(realm, member), group.signer.spec
    )
    registration_id = context[contexts.REGISTRATION_ID]
    request = _approved(node, registration_id, now, serial=before.serial + 1)
    change = SetMgm(
        serial=before.serial,
        member_context=member,
        member_signature=signature,
        policy=policy,
        request={**request, "member_context": member, "member_signature": signature},
    )
    Sequencer(access).run(tenant, change)


def _check_again(group: GroupOfMgm, before: SignedMember, given: Context, context: Context) -> None:
    """Refuse an old serial, and changes of what members rely on: keys and the group's policy."""
    serial = given.get(contexts.SERIAL, str(before.serial))
    if serial != str(before.serial):
        raise RegistrationInvalidError(
            f"Serial {serial[:16]} is not the newest known serial {before.serial}."
        )
    fault = difference_fault(before.member, context)
    if fault is not None:
        raise RegistrationInvalidError(fault)
    old, new = json.loads(group.policy), json.loads(_policy_text(given, context, serial=0))
    for part in sorted(old.keys() - {"mgmInfo"}):
        if old[part] != new[part]:
            raise RegistrationInvalidError(
                f"The group policy's {part} cannot be updated during re-registration."
            )


def _check_tls(given: Context, *, is_mutual: bool) -> None:
    own = "Mutual" if is_mutual else "OneWay"
    wanted = given.get("corda.group.tls.type", "OneWay")
    if wanted != own:
        raise RegistrationInvalidError(
            f"corda.group.tls.type is {wanted}, this cluster's (corda.p2p.gateway"
            f" sslConfig.tlsType) is {own}."
        )


def _ecdh_key(access: NetworkAccess, tenant: ShortHash, given: Context) -> KeyInfo:
    """The key to which members encrypt their registrations."""
    found = find_key(access, tenant, given["corda.ecdh.key.id"], (KeyCategory.PRE_AUTH,))
    if found.scheme not in _ECDH_SCHEMES:
        raise RegistrationInvalidError(
            f"The ECDH key has scheme {found.scheme}, expected {' or '.join(_ECDH_SCHEMES)}."
        )
    return found


def _signer(access: NetworkAccess, node: VirtualNode, context: Context) -> ListSigner:
    """Signs the list of the realm that the group and its MGM's session key name."""
    session = contexts.keys_of(context, contexts.SESSION_KEYS)
    if not session:
        raise RegistrationInvalidError("There are no session keys in the registration.")
    key = access.public_keys.canonical(session[0].public_key)
    return ListSigner(
        access=access,
        tenant=node.holding.short_hash,
        signer=Signer(
            realm=realm_of(node.holding.group_id, key),
            group_id=node.holding.group_id,
            mgm_key=key,
            spec=access.public_keys.default_spec(key),
        ),
    )


def _approved(
    node: VirtualNode, registration_id: str, now: EpochMs, *, serial: int
) -> dict[str, object]:
    """The row of the MGM's own request, without what it signed."""
    return {
        "short_hash": node.holding.short_hash,
        "registration_id": registration_id,
        "side": MEMBER_SIDE,
        "name": str(node.holding.x500_name),
        "status": RegistrationStatus.APPROVED.value,
        "serial": serial,
        "registration_context": b"{}",
        "sent_at": now,
        "updated_at": now,
    }


def _mgm_context(now: EpochMs) -> Context:
    """What the MGM says of itself."""
    return {
        contexts.STATUS: MemberStatus.ACTIVE.value,
        contexts.SERIAL: "1",
        contexts.CREATED: instant_text(now),
        contexts.MODIFIED: instant_text(now),
        contexts.IS_MGM: "true",
    }


def _first_parameters(group_id: str, now: EpochMs) -> GroupParameters:
    return GroupParameters(
        group_id=group_id,
        epoch=1,
        modified_at=now,
        minimum_platform_version=_MINIMUM_PLATFORM_VERSION,
        notaries=(),
    )


def _policy_text(given: Context, context: Context, serial: int) -> str:
    """`GroupPolicy.json` of members; `serial` is that of the MGM's information."""
    return json.dumps(_policy(given, context, serial), indent=2)


def _policy(given: Context, context: Context, serial: int) -> JsonObject:
    session_roots = contexts.numbered(given, "corda.group.trustroot.session")
    p2p: dict[str, object] = {
        "sessionPki": given["corda.group.pki.session"],
        "tlsTrustRoots": list(contexts.numbered(given, "corda.group.trustroot.tls")),
        "tlsPki": given["corda.group.pki.tls"],
        "tlsVersion": given["corda.group.tls.version"],
        "protocolMode": given["corda.group.protocol.p2p.mode"],
        "tlsType": given.get("corda.group.tls.type", "OneWay"),
    }
    if given["corda.group.pki.session"] != "NoPKI":
        p2p["sessionTrustRoots"] = list(session_roots)
    return {
        "fileFormatVersion": 1,
        "groupId": context[contexts.GROUP_ID],
        "registrationProtocol": given["corda.group.protocol.registration"],
        "synchronisationProtocol": given["corda.group.protocol.synchronisation"],
        "protocolParameters": {"sessionKeyPolicy": given["corda.group.key.session.policy"]},
        "p2pParameters": p2p,  # type: ignore[dict-item]
        "mgmInfo": _info(context, serial),
        "cipherSuite": {},
    }


def _info(context: Context, serial: int) -> JsonObject:
    """What a group policy tells of the MGM; `serial` is that of its information."""
    info = {
        key: value
        for key, value in context.items()
        if key
        in (
            contexts.NAME,
            contexts.GROUP_ID,
            contexts.ECDH_KEY,
            contexts.PLATFORM_VERSION,
            contexts.SOFTWARE_VERSION,
        )
        or key.startswith((contexts.ENDPOINTS + ".", contexts.SESSION_KEYS + "."))
    }
    return {**info, contexts.SERIAL: str(serial)}
