"""Where a virtual node is, as this cluster knows: here, on its way, or elsewhere."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from host.domain.ids import ShortHash


class Place(StrEnum):
    """The location of a node whose row is here."""

    HERE = "HERE"
    EXPORTED = "EXPORTED"
    """A file of the node has left, or may have: it does nothing here."""
    RECLAIMING = "RECLAIMING"
    """The export is being cancelled: the node's MGM decides whether it is here."""
    MOVED = "MOVED"
    """It is elsewhere for good; the row prevents that it is made here again."""
    IMPORTING = "IMPORTING"
    """Its file is being loaded."""
    IMPORTED = "IMPORTED"
    """It is whole here, and its MGM has not said yet that it is here."""

    @property
    def is_held(self) -> bool:
        """Whether messages for its flows wait at their senders."""
        return self is not Place.HERE

    @property
    def is_frozen(self) -> bool:
        """Whether nothing of it may change here."""
        return self in {Place.EXPORTED, Place.MOVED, Place.IMPORTING}


class Locations(Protocol):
    """Thread-safe, and fast."""

    def place(self, short_hash: ShortHash) -> Place: ...

    def away(self) -> Sequence[ShortHash]:
        """The nodes with a row here that are not `Place.HERE`."""
        ...

    def claimed_epoch(self, short_hash: ShortHash) -> int:
        """The location epoch that the node says it is at, if the list has no later one; else 0."""
        ...


class AllHere:
    """`Locations` of a cluster that no node has left."""

    def place(self, short_hash: ShortHash) -> Place:
        """Always here."""
        del short_hash
        return Place.HERE

    def away(self) -> Sequence[ShortHash]:
        """None is."""
        return ()

    def claimed_epoch(self, short_hash: ShortHash) -> int:
        """None is claimed."""
        del short_hash
        return 0


ALL_HERE = AllHere()
