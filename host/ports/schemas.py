"""Schemas of the data that CPIs keep in the vaults of virtual nodes."""

from typing import Protocol

from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord


class NodeSchemas(Protocol):
    def check(self, cpi: CpiRecord) -> None:
        """Check that `cpi` can be assigned to nodes.

        Raises:
            HostError: its declarations are invalid.
        """
        ...

    def apply(self, holding: ShortHash, cpi: CpiRecord) -> None:
        """Migrate a node's data, if it has any, to the schemas of `cpi`: completely or not at all.

        Raises:
            HostError: the data does not match; the vault is unchanged.
        """
        ...

    def reset(self, holding: ShortHash, cpi: CpiRecord) -> None:
        """Delete the data of a node's flows, then apply the schemas of `cpi`."""
        ...
