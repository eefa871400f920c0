"""Schemas of the data that CPIs keep in the vaults of virtual nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord


class Change(StrEnum):
    """What a CPI's schema of an entity type means for the stored entities."""

    NONE = "none"
    ADDED = "added"
    """There is no schema of the type yet, so no entity of it either."""
    MIGRATED = "migrated"
    REFUSED = "refused"
    """An entity does not fit; the migration would fail, and change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityChange:
    """The change of one entity type; `entities` is how many are rewritten."""

    type: str
    change: Change
    entities: int = 0
    reason: str | None = None


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

    def rehearse(self, holding: ShortHash, cpi: CpiRecord) -> Sequence[EntityChange]:
        """What `apply` would do, on a consistent view of the data: nothing is changed or locked.

        Raises:
            HostError: the declarations of `cpi` are invalid, or the vault cannot be read.
        """
        ...

    def reset(self, holding: ShortHash, cpi: CpiRecord) -> None:
        """Delete the data of a node's flows, then apply the schemas of `cpi`."""
        ...
