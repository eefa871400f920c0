"""Of a node's copies at most one works, in each order of exports, imports, claims and answers."""

from dataclasses import dataclass, replace

import pytest

from host.network.location.machine import Happened, LocationConflictError, step
from host.ports.locations import Place

DEPTH = 9


@dataclass(frozen=True)
class Copy:
    """A cluster's knowledge: its place, and the epoch that it claims under its own id."""

    place: Place | None
    epoch: int = 0


@dataclass(frozen=True)
class World:
    """The source, two targets, and the MGM's row: the granted epoch, and whose it is."""

    copies: tuple[Copy, Copy, Copy] = (Copy(Place.HERE), Copy(None), Copy(None))
    granted: int = 0
    owner: int = 0
    file_epoch: int | None = None
    asked: frozenset = frozenset()

    def with_copy(self, n, copy, **more):
        copies = tuple(copy if i == n else each for i, each in enumerate(self.copies))
        return replace(self, copies=copies, **more)


def _moved(world, n, happened, **more):
    try:
        place = step(world.copies[n].place, happened)
    except LocationConflictError:
        return None
    copy = replace(world.copies[n], place=place, **more)
    return world.with_copy(n, copy)


def _next(world):
    """All worlds that one event leads to."""
    source = world.copies[0]
    if source.place is Place.HERE:
        yield replace(_moved(world, 0, Happened.EXPORT), file_epoch=world.granted)
    claimed = _moved(world, 0, Happened.CANCEL, epoch=(world.file_epoch or 0) + 1)
    if claimed is not None:
        yield replace(claimed, asked=world.asked | {(0, claimed.copies[0].epoch)})
    for n in (1, 2):
        if world.file_epoch is not None and world.copies[n].place is None:
            yield _moved(world, n, Happened.IMPORT, epoch=world.file_epoch + 1)
        loaded = _moved(world, n, Happened.LOADED)
        if loaded is not None:
            yield loaded
        if world.copies[n].place is Place.IMPORTED:
            yield replace(world, asked=world.asked | {(n, world.copies[n].epoch)})
    for n, epoch in world.asked:  # the MGM's compare-and-set; requests may be repeated
        left = world.asked - {(n, epoch)}
        if epoch == world.granted + 1:
            yield replace(world, granted=epoch, owner=n, asked=left)
        else:
            yield replace(world, asked=left)
    for n, copy in enumerate(world.copies):  # a list arrives, or never
        if copy.place in {Place.RECLAIMING, Place.IMPORTED}:
            is_own = (world.granted, world.owner) == (copy.epoch, n)
            if is_own:
                yield _moved(world, n, Happened.GRANTED)
            elif world.granted >= copy.epoch and copy.place is Place.RECLAIMING:
                yield _moved(world, n, Happened.TAKEN)
        is_later = world.file_epoch is not None and world.granted > world.file_epoch
        if copy.place is Place.EXPORTED and is_later:
            yield _moved(world, n, Happened.TAKEN)


def test_at_most_one_copy_works_and_one_that_works_owns_the_place():
    seen, frontier = {World()}, [World()]
    places = set()
    for _ in range(DEPTH):
        frontier = [
            w for world in frontier for w in _next(world) if w is not None and w not in seen
        ]
        seen.update(frontier)
        for world in frontier:
            works = [n for n, copy in enumerate(world.copies) if copy.place is Place.HERE]
            assert len(works) <= 1, world
            assert works in ([], [world.owner]), world
            places.add(tuple(copy.place for copy in world.copies))
    assert (Place.HERE, Place.IMPORTED, None) in places  # the cancel won
    assert (Place.MOVED, Place.HERE, None) in places  # the import won
    assert len(seen) > 200


@pytest.mark.parametrize("place", [None, *Place])
@pytest.mark.parametrize("happened", Happened)
def test_what_is_not_in_the_table_is_refused(place, happened):
    try:
        found = step(place, happened)
    except LocationConflictError:
        return
    assert found is not place
    assert (place is None) == (happened is Happened.IMPORT)
