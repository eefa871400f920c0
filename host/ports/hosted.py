"""Network setup: the keys and certificates by which a node meets members of other clusters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import ShortHash


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """A key with which a node authenticates in sessions.

    Attributes:
        key_id: of a key of the node.
        certificate_alias: of a chain of usage `p2p-session`; None in networks without them.
        preferred: it is used for new sessions; exactly one is.
    """

    key_id: ShortHash
    certificate_alias: str | None = None
    preferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSetup:
    """What an operator asks for.

    Attributes:
        tls_alias: of a chain of usage `p2p-tls`.
        uses_cluster_tls: it and its key are the cluster's, else the node's.
    """

    tls_alias: str
    uses_cluster_tls: bool = True
    session_keys: tuple[SessionKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedIdentity:
    """A virtual node that takes part in a network between clusters.

    Attributes:
        tls_tenant: of the TLS certificate (`host.ports.certificates`): `cluster`, or `short_hash`.
        version: counted from 1, one more with every setup.
    """

    short_hash: ShortHash
    tls_tenant: str
    tls_alias: str
    session_keys: tuple[SessionKey, ...]
    version: int

    @property
    def preferred(self) -> SessionKey:
        """The key for new sessions."""
        return next(key for key in self.session_keys if key.preferred)


class HostedIdentities(Protocol):
    """Thread-safe."""

    def setup(self, short_hash: ShortHash, wanted: NetworkSetup) -> None:
        """Check the setup of a virtual node, and store it in place of an earlier one.

        Raises:
            NotFoundError: the node, the key or the alias.
            NetworkSetupRefusedError: the keys or certificates do not fit the node's network.
        """
        ...

    def hosted(self, short_hash: ShortHash) -> HostedIdentity | None:
        """The setup of a virtual node; None before the first."""
        ...

    def all(self) -> Sequence[HostedIdentity]: ...
