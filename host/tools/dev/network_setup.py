"""The virtual nodes of a development network on a running host, with a static group policy."""

from collections.abc import Callable, Mapping, Sequence

from host.tools.client.host_client import HostClient
from host.tools.network.operations import create_node, register, until_approved

ALIAS = "cordbox-dev"
"""Of the certificate that signs what is uploaded."""
_REGISTRATION = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}


def make_nodes(
    client: HostClient,
    checksum: str,
    names: Sequence[str],
    existing: Mapping[str, str],
    tell: Callable[[str], None],
    *,
    context: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Create and register the missing virtual nodes; returns all nodes by name.

    Args:
        client: of the host.
        checksum: short, of the CPI.
        names: of the nodes.
        existing: nodes by name.
        tell: called with a line for each node that is made.
        context: entries of the registration beside the key scheme.
    """
    nodes = dict(existing)
    for name in names:
        if name in nodes:
            continue
        nodes[name] = create_node(client, checksum, name)
        request = register(client, nodes[name], {**_REGISTRATION, **(context or {})})
        until_approved(client, nodes[name], request)
        tell(f"virtual node {nodes[name]} for {name}")
    return nodes
