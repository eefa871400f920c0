"""How a virtual node fares in its network between clusters: certificates, and its member list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs, ShortHash

WARNED_MS = 30 * 86_400_000
"""Certificates are reported from this long before their end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiringCertificate:
    """A certificate of a node's network setup that has ended, or ends soon."""

    usage: str
    alias: str
    subject: str
    not_after: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkHealth:
    """What a node's operator should look at.

    Attributes:
        is_set_up: whether the node has a network setup.
        expiring: certificates of the setup, those of a chain as well.
        list_version: of the member list that the node sees; None before it is a member.
        synced_at: when it last heard from the MGM.
        fork_at: when two lists of the MGM for one version were noticed; None: never.
    """

    is_set_up: bool
    expiring: Sequence[ExpiringCertificate] = ()
    list_version: int | None = None
    synced_at: EpochMs | None = None
    fork_at: EpochMs | None = None


class NetworkHealthReports(Protocol):
    """Thread-safe."""

    def health(self, short_hash: ShortHash) -> NetworkHealth:
        """The state of a virtual node now.

        Raises:
            StorageError: the database cannot be read.
        """
        ...

    def first_expiry(self) -> EpochMs | None:
        """When the first certificate of any network setup ends; read again after a minute.

        Raises:
            StorageError: the database cannot be read.
        """
        ...
