"""Group parameters as Corda's flat keys."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from host.domain.membership import GroupParameters
from host.rest.wire import instant, wire


@wire
class RestGroupParameters:
    parameters: Mapping[str, str]


def _bare(given: Any) -> Any:
    return {"parameters": given} if isinstance(given, dict) and "parameters" not in given else given


GivenGroupParameters = Annotated[RestGroupParameters, BeforeValidator(_bare)]
"""As in Corda's interface, or only the keys, as in Corda's documentation."""


def flat_parameters(parameters: GroupParameters) -> RestGroupParameters:
    """Group parameters as REST shows them."""
    flat = {
        "corda.epoch": str(parameters.epoch),
        "corda.modifiedTime": instant(parameters.modified_at).isoformat().replace("+00:00", "Z"),
        "corda.minimum.platform.version": str(parameters.minimum_platform_version),
    }
    for number, notary in enumerate(parameters.notaries):
        prefix = f"corda.notary.service.{number}"
        flat |= {
            f"{prefix}.name": str(notary.name),
            f"{prefix}.flow.protocol.name": notary.protocol,
            f"{prefix}.backchain.required": str(notary.backchain_required).lower(),
            f"{prefix}.keys.0": notary.public_key,
        }
        flat |= {
            f"{prefix}.flow.protocol.version.{index}": str(version)
            for index, version in enumerate(notary.protocol_versions)
        }
    return RestGroupParameters(parameters=flat | dict(parameters.custom))
