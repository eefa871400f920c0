"""Signatures of an MGM under its list: members, group parameters, heads of versions."""

from dataclasses import dataclass

from host.domain.group_parameters import (
    SignedGroupParameters,
    group_parameters_json,
    signed_bytes,
)
from host.domain.ids import EpochMs, ShortHash
from host.domain.json import canonical_json
from host.domain.membership import GroupParameters
from host.network.membership.network_access import NetworkAccess
from host.network.membership.package import ListState, Signer
from host.network.values.contexts import Context, encode_context
from host.network.values.head import Head, SignedHead, encode_head, head_text, root_of
from host.network.values.member import SignedMember, mgm_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSigner:
    """Signs for an MGM with its session key. Calls the key store: use it outside transactions."""

    access: NetworkAccess
    tenant: ShortHash
    signer: Signer

    def member(self, member_context: bytes, signature: bytes, mgm_context: Context) -> SignedMember:
        content = encode_context(mgm_context)
        return SignedMember(
            member_context=member_context,
            member_signature=signature,
            mgm_context=content,
            mgm_signature=self._sign(mgm_text(self.signer.realm, member_context, content)),
        )

    def parameters(self, parameters: GroupParameters, now: EpochMs) -> SignedGroupParameters:
        content = canonical_json(group_parameters_json(parameters))
        return SignedGroupParameters(
            content=content,
            signature=self._sign(signed_bytes(content)),
            signer_key=self.signer.mgm_key,
            spec=self.signer.spec,
            at=now,
        )

    def head(
        self, base: ListState, members: dict[str, bytes], parameters: str, now: EpochMs
    ) -> SignedHead:
        content = encode_head(
            Head(
                group_id=self.signer.group_id,
                version=base.version + 1,
                previous=base.head_hash.hex(),
                root=root_of(members).hex(),
                members=len(members),
                parameters=parameters,
                at=now,
            )
        )
        return SignedHead(
            content=content, signature=self._sign(head_text(self.signer.realm, content))
        )

    def _sign(self, data: bytes) -> bytes:
        return self.access.keys.sign(self.tenant, self.signer.mgm_key, data, self.signer.spec)
