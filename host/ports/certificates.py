"""Certificate chains that operators have imported, as other features use them."""

from typing import Protocol

CLUSTER_TENANT = "cluster"
"""Tenant of the cluster's certificates; other tenants are short hashes of virtual nodes."""
P2P_TENANT = "p2p"
"""Tenant of the cluster's keys."""


def key_tenant(tenant: str) -> str:
    """The tenant of the keys of a certificate's tenant."""
    return P2P_TENANT if tenant == CLUSTER_TENANT else tenant


class CertificateChains(Protocol):
    def chain(self, usage: str, alias: str, *, tenant: str = CLUSTER_TENANT) -> str:
        """The PEM text of a chain, leaf first.

        Raises:
            NotFoundError: the tenant has no chain of this usage and alias.
        """
        ...
