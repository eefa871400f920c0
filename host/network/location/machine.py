"""The location of a node, as each of two clusters knows it: a table of transitions. Pure.

The node's MGM decides which copy is the node, by compare-and-set on its location epoch: a copy that
comes back, or arrives, claims the next epoch, and works only once it was granted. So of an export's
cancel and the file's import exactly one wins, whatever happens in between.
"""

from enum import StrEnum

from host.domain.errors import ConflictError
from host.ports.locations import Place


class Happened(StrEnum):
    """What changes a location."""

    EXPORT = "export"
    CANCEL = "cancel"
    """An operator wants the node back before its file was imported anywhere."""
    GRANTED = "granted"
    """The MGM has approved the epoch that this copy claimed."""
    TAKEN = "taken"
    """The list shows an epoch that another copy was granted."""
    FAILED = "failed"
    """The file of an export could not be written: nothing of the node has left."""
    FORCED = "forced"
    """A static network: nobody decides but the operator."""
    IMPORT = "import"
    LOADED = "loaded"


class LocationConflictError(ConflictError):
    """The virtual node is not at a place where this can be done."""

    code = "virtual-node-location"


_NEXT = {
    (Place.HERE, Happened.EXPORT): Place.EXPORTED,
    (Place.EXPORTED, Happened.CANCEL): Place.RECLAIMING,
    (Place.EXPORTED, Happened.FORCED): Place.HERE,
    (Place.EXPORTED, Happened.FAILED): Place.HERE,
    (Place.EXPORTED, Happened.TAKEN): Place.MOVED,
    (Place.RECLAIMING, Happened.GRANTED): Place.HERE,
    (Place.RECLAIMING, Happened.TAKEN): Place.MOVED,
    (None, Happened.IMPORT): Place.IMPORTING,
    (Place.IMPORTING, Happened.LOADED): Place.IMPORTED,
    (Place.IMPORTED, Happened.GRANTED): Place.HERE,
    (Place.IMPORTED, Happened.FORCED): Place.HERE,
}


def step(place: Place | None, happened: Happened) -> Place:
    """The next place; `None` stands for a cluster without the node.

    Raises:
        LocationConflictError: it cannot happen there.
    """
    found = _NEXT.get((place, happened))
    if found is None:
        where = "not on this cluster" if place is None else place.value
        raise LocationConflictError(f"{happened} is not possible: the virtual node is {where}")
    return found
