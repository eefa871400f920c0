"""Member contexts by Corda's names.

Source: corda-runtime-os `MemberInfoExtension.kt`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cpi.package.group_policy import Endpoint
from cpi.package.model import PackageId
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.instants import instant_text
from host.domain.membership import MemberInfo, MemberStatus
from host.domain.platform import PLATFORM_VERSION, SOFTWARE_VERSION
from host.network.membership.registration import StaticRegistration

_FIRST_SERIAL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberKey:
    """A public key of a member. `digest` is `SHA-256:HEX` of its DER encoding."""

    public_key: str
    digest: str
    signature_spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberKeys:
    """The uses of keys."""

    ledger: MemberKey
    session: MemberKey
    notary: MemberKey | None


def make_member_info(
    *,
    holding: HoldingIdentity,
    status: MemberStatus,
    keys: MemberKeys,
    cpi: PackageId,
    endpoints: Sequence[Endpoint],
    registration: StaticRegistration,
    registration_id: str,
    now: EpochMs,
) -> MemberInfo:
    """The information that a newly registered member shares with its group."""
    context = {
        "corda.name": str(holding.x500_name),
        "corda.groupId": holding.group_id,
        "corda.platformVersion": str(PLATFORM_VERSION),
        "corda.softwareVersion": SOFTWARE_VERSION,
        "corda.cpi.name": cpi.name,
        "corda.cpi.version": cpi.version,
        "corda.cpi.signer.summary.hash": cpi.signer_summary_hash,
        "corda.registration.id": registration_id,
        **_key("corda.session.keys.0", keys.session),
        **_key("corda.ledger.keys.0", keys.ledger),
        **_endpoints(endpoints),
        **_notary(registration, keys),
        **dict(registration.custom),
    }
    mgm = {
        "corda.status": status.value,
        "corda.serial": str(_FIRST_SERIAL),
        "corda.creationTime": instant_text(now),
        "corda.modifiedTime": instant_text(now),
    }
    return MemberInfo(
        name=holding.x500_name,
        group_id=holding.group_id,
        status=status,
        ledger_keys=(keys.ledger.public_key,),
        platform_version=PLATFORM_VERSION,
        serial=_FIRST_SERIAL,
        member_context=tuple(sorted(context.items())),
        mgm_context=tuple(sorted(mgm.items())),
    )


def _key(prefix: str, key: MemberKey) -> Mapping[str, str]:
    return {
        f"{prefix}.pem": key.public_key,
        f"{prefix}.hash": key.digest,
        f"{prefix}.signature.spec": key.signature_spec,
    }


def _endpoints(endpoints: Sequence[Endpoint]) -> Mapping[str, str]:
    entries = {}
    for index, endpoint in enumerate(endpoints):
        entries[f"corda.endpoints.{index}.connectionURL"] = endpoint.url
        entries[f"corda.endpoints.{index}.protocolVersion"] = str(endpoint.protocol_version)
    return entries


def _notary(registration: StaticRegistration, keys: MemberKeys) -> Mapping[str, str]:
    service = registration.notary
    if service is None or keys.notary is None:
        return {}
    return {
        "corda.roles.0": "notary",
        "corda.notary.service.name": str(service.name),
        "corda.notary.service.flow.protocol.name": service.protocol,
        **{
            f"corda.notary.service.flow.protocol.version.{index}": str(version)
            for index, version in enumerate(service.protocol_versions)
        },
        "corda.notary.service.backchain.required": str(service.backchain_required).lower(),
        **_key("corda.notary.keys.0", keys.notary),
    }
