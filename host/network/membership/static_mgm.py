"""The MGM of static groups: a key of the cluster signs their parameters."""

from collections.abc import Sequence
from dataclasses import replace

from cpi.package.group_policy import GroupPolicy
from host.domain.errors import ConflictError
from host.domain.group_parameters import (
    SignedGroupParameters,
    group_parameters_json,
    signed_bytes,
)
from host.domain.ids import EpochMs
from host.domain.json import canonical_json
from host.domain.membership import GroupParameters, NotaryInfo
from host.network.membership.member_info import MemberKey
from host.network.membership.registration import NotaryService
from host.ports.clock import Clock
from host.ports.keys import STATIC_GROUP_ALIAS, KeyCategory, KeyQuery, KeyStore
from host.ports.public_keys import PublicKeys

_MINIMUM_PLATFORM_VERSION = "corda.minimum.platform.version"
_DEFAULT_MINIMUM_PLATFORM_VERSION = 50000
TENANT = "p2p"
"""Whose key it is: the cluster's."""
_SCHEME = "CORDA.ECDSA.SECP256R1"


class StaticMgm:
    """Signs for the groups of static networks. Calls the key store: use it outside transactions."""

    def __init__(self, *, keys: KeyStore, public_keys: PublicKeys, clock: Clock) -> None:
        self._keys = keys
        self._public_keys = public_keys
        self._clock = clock

    def versions(
        self,
        before: SignedGroupParameters | None,
        group_id: str,
        policy: GroupPolicy,
        service: NotaryService | None,
        key: MemberKey | None,
    ) -> Sequence[SignedGroupParameters]:
        """The new versions due to a member: a group's first one, and one with the member's notary.

        Args:
            before: the group's newest version, None before its first member.
            group_id: id of the group.
            policy: the group policy of the member's CPI.
            service: the notary service that the member registers, if any.
            key: the key of that notary service.

        Raises:
            HostError: the key store cannot be reached.
        """
        now, versions = self._clock.now_ms(), []
        if before is None:
            parameters = _first_parameters(group_id, policy, now)
            versions.append(parameters)
        else:
            parameters = before.parameters
        if service is not None and key is not None:
            notary = NotaryInfo(
                name=service.name,
                protocol=service.protocol,
                protocol_versions=service.protocol_versions,
                public_key=key.public_key,
                backchain_required=service.backchain_required,
            )
            notaries = (*parameters.notaries, notary)
            epoch = parameters.epoch + 1
            versions.append(replace(parameters, epoch=epoch, modified_at=now, notaries=notaries))
        return [self.sign(each) for each in versions]

    def sign(self, parameters: GroupParameters) -> SignedGroupParameters:
        """The parameters of a group, signed by its key; the key is created for the first ones.

        Raises:
            HostError: the key store cannot be reached.
        """
        key = self._key(parameters.group_id)
        content = canonical_json(group_parameters_json(parameters))
        spec = self._public_keys.default_spec(key)
        return SignedGroupParameters(
            content=content,
            signature=self._keys.sign(TENANT, key, signed_bytes(content), spec),
            signer_key=self._public_keys.canonical(key),
            spec=spec,
            at=self._clock.now_ms(),
        )

    def _key(self, group_id: str) -> str:
        alias = alias_of_group(group_id)
        query = KeyQuery(alias=alias)
        for key in self._keys.query(TENANT, query):
            return key.public_key
        try:
            return self._keys.create(TENANT, KeyCategory.SESSION_INIT, alias, _SCHEME).public_key
        except ConflictError:
            # Another registration has just created it.
            (key,) = self._keys.query(TENANT, query)
            return key.public_key


def alias_of_group(group_id: str) -> str:
    """The alias of a static group's key, among those of the cluster."""
    return f"{STATIC_GROUP_ALIAS}{group_id}"


def _first_parameters(group_id: str, policy: GroupPolicy, now: EpochMs) -> GroupParameters:
    static_network = policy.document["protocolParameters"]["staticNetwork"]
    given = static_network.get("groupParameters", {})
    return GroupParameters(
        group_id=group_id,
        epoch=1,
        modified_at=now,
        minimum_platform_version=int(
            given.get(_MINIMUM_PLATFORM_VERSION, _DEFAULT_MINIMUM_PLATFORM_VERSION)
        ),
        notaries=(),
        custom=tuple(
            sorted((key, str(value)) for key, value in given.items() if key.startswith("ext."))
        ),
    )
