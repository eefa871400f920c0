"""Group parameters as guests see them, which is also what their digest covers."""

from host.domain.instants import instant_text
from host.domain.json import JsonObject, digest_of
from host.domain.membership import GroupParameters


def group_parameters_json(parameters: GroupParameters) -> JsonObject:
    """The shape of docs/reference/host-api.md, membership."""
    return {
        "groupId": parameters.group_id,
        "epoch": parameters.epoch,
        "modifiedTime": instant_text(parameters.modified_at),
        "minimumPlatformVersion": parameters.minimum_platform_version,
        "notaries": [
            {
                "name": str(notary.name),
                "protocol": notary.protocol,
                "protocolVersions": list(notary.protocol_versions),
                "key": notary.public_key,
                "backchainRequired": notary.backchain_required,
            }
            for notary in parameters.notaries
        ],
        "custom": dict(parameters.custom),
    }


def group_parameters_hash(parameters: GroupParameters) -> str:
    """`SHA-256:HEX` of the canonical JSON; transactions name it in their metadata."""
    return f"SHA-256:{digest_of(group_parameters_json(parameters)).upper()}"
