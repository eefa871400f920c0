"""Schemas of the data that CPIs keep in the vaults of virtual nodes."""

from typing import Protocol

from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord


class NodeSchemas(Protocol):
    def check(self, cpi: CpiRecord) -> None:
        """See that nodes can be given `cpi`.

        Raises:
            HostError: its declarations are none.
        """
        ...

    def apply(self, holding: ShortHash, cpi: CpiRecord) -> None:
        """Bring a node's data, if it has any, to the schemas of `cpi`: whole, or not at all.

        Raises:
            HostError: the data does not fit; the vault stays as it was.
        """
        ...

    def reset(self, holding: ShortHash, cpi: CpiRecord) -> None:
        """Forget the data of a node's flows, then apply the schemas of `cpi`."""
        ...
