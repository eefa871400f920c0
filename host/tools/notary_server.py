"""The notaries that Cordbox ships: their CorDapps, and how their nodes are registered.

Their sources are CorDapps like any other, and are never imported by the host.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import host.ledger.notary
from host.domain.errors import InvalidInputError
from host.domain.refused import what_there_is
from host.ledger.core import notary_protocol

NON_VALIDATING = "non-validating"
CONTRACT_VERIFYING = "contract-verifying"
_SOURCES = Path(host.ledger.notary.__file__).parent / "server"


class NotaryServerUnknownError(InvalidInputError):
    """No notary of this name is shipped."""

    code = "notary-server-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotaryServer:
    """One notary.

    Attributes:
        folder: of its project, below the sources.
        protocol: Corda's name of the protocol that it serves.
        backchain_required: what its service must be registered with.
    """

    folder: str
    protocol: str
    backchain_required: bool


SERVERS: Mapping[str, NotaryServer] = {
    NON_VALIDATING: NotaryServer(
        folder="nonvalidating",
        protocol=notary_protocol.NON_VALIDATING,
        backchain_required=True,
    ),
    CONTRACT_VERIFYING: NotaryServer(
        folder="contractverifying",
        protocol=notary_protocol.CONTRACT_VERIFYING,
        backchain_required=False,
    ),
}
"""Name -> notary."""


def server_project(name: str) -> Path:
    """The folder of a notary's project.

    Raises:
        NotaryServerUnknownError: no notary has this name.
    """
    return _SOURCES / _server(name).folder


def notary_context(service: str, name: str) -> Mapping[str, str]:
    """What a node of a notary service is registered with, beside its key scheme.

    Args:
        service: the X.500 name of the service.
        name: of the notary that it runs.

    Raises:
        NotaryServerUnknownError: no notary has this name.
    """
    server = _server(name)
    versions = notary_protocol.VERSIONS[server.protocol]
    return {
        "corda.roles.0": "notary",
        "corda.notary.service.name": service,
        "corda.notary.service.flow.protocol.name": server.protocol,
        **{
            f"corda.notary.service.flow.protocol.version.{index}": str(version)
            for index, version in enumerate(versions)
        },
        "corda.notary.service.backchain.required": str(server.backchain_required).lower(),
    }


def _server(name: str) -> NotaryServer:
    found = SERVERS.get(name)
    if found is None:
        raise NotaryServerUnknownError(
            f"no notary is called {name[:64]!r}; {what_there_is(name, list(SERVERS))}"
        )
    return found
