"""The contexts that members and MGMs sign: keys by their ids, and what the platform adds."""

from collections.abc import Sequence

from host.domain.ids import ShortHash
from host.domain.platform import PLATFORM_VERSION, SOFTWARE_VERSION
from host.domain.vnode import VirtualNode
from host.network.membership.errors import RegistrationInvalidError
from host.network.membership.network_access import NetworkAccess
from host.network.values import contexts
from host.network.values.contexts import Context, ContextKey
from host.ports.keys import KeyCategory, KeyInfo, KeyQuery

_USES = (
    (contexts.SESSION_KEYS, (KeyCategory.SESSION_INIT,)),
    (contexts.LEDGER_KEYS, (KeyCategory.LEDGER,)),
    (contexts.NOTARY_KEYS, (KeyCategory.NOTARY,)),
)
_COPIED = (contexts.ENDPOINTS + ".", contexts.ROLES + ".", "corda.notary.service.", contexts.CUSTOM)


def find_key(
    access: NetworkAccess, tenant: ShortHash, key_id: str, categories: Sequence[KeyCategory]
) -> KeyInfo:
    """A key of a node.

    Raises:
        RegistrationInvalidError: there is none of these categories.
    """
    for key in access.keys.query(tenant, KeyQuery(ids=(key_id,))):
        if key.category in categories:
            return key
    wanted = " or ".join(categories)
    raise RegistrationInvalidError(f"No key {key_id[:64]!r} of category {wanted} was found.")


def platform_context(
    access: NetworkAccess, node: VirtualNode, given: Context, registration_id: str
) -> Context:
    """What a node says of itself.

    Args:
        access: the host's parts.
        node: the node.
        given: the context of the request, whose names were checked.
        registration_id: of the request.

    Raises:
        RegistrationInvalidError: a key.
    """
    keys = dict[str, str]()
    for prefix, categories in _USES:
        ids = contexts.numbered(given, prefix, "id")
        found = [
            _key(access, find_key(access, node.holding.short_hash, key_id, categories), spec)
            for key_id, spec in zip(ids, _specs(given, prefix, len(ids)), strict=True)
        ]
        keys.update(contexts.key_entries(prefix, found))
    return {
        **{key: value for key, value in given.items() if key.startswith(_COPIED)},
        **keys,
        **platform_entries(access, node, registration_id),
    }


def platform_entries(access: NetworkAccess, node: VirtualNode, registration_id: str) -> Context:
    """What the platform says of a node that needs no keys.

    Raises:
        NotFoundError: the node's CPI is not stored.
    """
    cpi = access.cpi(node).identity
    return {
        contexts.NAME: str(node.holding.x500_name),
        contexts.GROUP_ID: node.holding.group_id,
        contexts.PLATFORM_VERSION: str(PLATFORM_VERSION),
        contexts.SOFTWARE_VERSION: SOFTWARE_VERSION,
        contexts.CPI_NAME: cpi.name,
        contexts.CPI_VERSION: cpi.version,
        contexts.CPI_SIGNERS: cpi.signer_summary_hash,
        contexts.REGISTRATION_ID: registration_id,
    }


def relocated(
    access: NetworkAccess, node: VirtualNode, told: Context, given: Context, registration_id: str
) -> Context:
    """What a node says of itself at another place.

    Args:
        access: the host's parts.
        node: the node.
        told: what it said last.
        given: its location, and endpoints if they change.
        registration_id: of the request.
    """
    endpoints = contexts.ENDPOINTS + "."
    moves = any(key.startswith(endpoints) for key in given)
    kept = {k: v for k, v in told.items() if not (moves and k.startswith(endpoints))}
    member = {**kept, **given, **platform_entries(access, node, registration_id)}
    subject = access.tls_subject(node.holding.short_hash)
    if contexts.TLS_SUBJECT in told and subject is not None:
        return {**member, contexts.TLS_SUBJECT: subject}
    return member


def _specs(given: Context, prefix: str, count: int) -> Sequence[str]:
    return [given.get(f"{prefix}.{n}.signature.spec", "") for n in range(count)]


def _key(access: NetworkAccess, key: KeyInfo, spec: str) -> ContextKey:
    return ContextKey(
        public_key=key.public_key,
        digest=access.public_keys.digest(key.public_key),
        spec=spec or access.public_keys.default_spec(key.public_key),
    )
