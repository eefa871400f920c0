"""The keys of a member: made at its registration, unless an interrupted one has made them."""

from cpi.package.group_policy import GroupPolicy
from host.domain.errors import ConflictError
from host.domain.ids import ShortHash
from host.domain.vnode import VirtualNode
from host.network.membership.member_info import MemberKey, MemberKeys
from host.network.membership.registration import StaticRegistration
from host.ports.keys import KeyCategory, KeyInfo, KeyQuery, KeyStore
from host.ports.public_keys import PublicKeys


class MemberKeyMaker:
    """Makes keys in the key store of this host. Thread-safe."""

    def __init__(self, keys: KeyStore, public_keys: PublicKeys) -> None:
        self._keys = keys
        self._public_keys = public_keys

    def make(
        self, node: VirtualNode, policy: GroupPolicy, registration: StaticRegistration
    ) -> MemberKeys:
        """The keys that a registration asks for.

        Raises:
            StorageError: the key store cannot be used.
        """
        scheme = registration.key_scheme
        ledger = self._make_key(node, KeyCategory.LEDGER, scheme)
        distinct = policy.document["protocolParameters"]["sessionKeyPolicy"] == "Distinct"
        return MemberKeys(
            ledger=ledger,
            session=self._make_key(node, KeyCategory.SESSION_INIT, scheme) if distinct else ledger,
            notary=(
                None
                if registration.notary is None
                else self._make_key(node, KeyCategory.NOTARY, scheme)
            ),
        )

    def _make_key(self, node: VirtualNode, category: KeyCategory, scheme: str) -> MemberKey:
        tenant = node.holding.short_hash
        alias = f"{tenant}-{category.value}-{scheme}"
        key = self._find_key(tenant, alias)
        if key is None:
            try:
                key = self._keys.create(tenant, category, alias, scheme)
            except ConflictError:
                # Another registration of this node has just created it.
                (key,) = self._keys.query(tenant, KeyQuery(alias=alias))
        return MemberKey(
            public_key=key.public_key,
            digest=self._public_keys.digest(key.public_key),
            signature_spec=self._public_keys.default_spec(key.public_key),
        )

    def _find_key(self, tenant: ShortHash, alias: str) -> KeyInfo | None:
        return next(iter(self._keys.query(tenant, KeyQuery(alias=alias))), None)
