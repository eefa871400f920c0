"""What the MGMs say of places, seen in the lists that the nodes here have."""

from collections.abc import Sequence

import structlog
from sqlalchemy import select

from host.database.revision_cache import RevisionCache
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.network.location.claims import Answer
from host.network.location.leaving import erase_left, gone
from host.network.location.machine import Happened
from host.network.location.parts import MoveParts
from host.network.location.tables import LOCATION
from host.ports.locations import Place

_log = structlog.get_logger("cordbox.location")
_DECIDED = (Place.MOVED, Place.HERE)
_ASKING = (Place.EXPORTED, Place.RECLAIMING, Place.IMPORTED)


class PlaceWatch:
    """Thread-safe."""

    def __init__(self, parts: MoveParts) -> None:
        self._parts = parts
        self._has_finished = False
        self._nodes = RevisionCache[str, Sequence[ShortHash]](
            parts.database, lambda _key: self._read_nodes()
        )

    def look(self) -> int:
        """See what the MGMs have said of places; returns how many nodes' places changed.

        Call it every quarter of a second or so: nothing is read unless something has changed.
        """
        changed = 0
        nodes = self._nodes.get("all")
        if not self._has_finished:
            self._has_finished = all(list(map(self._is_over, nodes)))
        for short_hash in nodes:
            location = self._parts.places.location(short_hash)
            if location is None or location.place not in _ASKING:
                continue
            try:
                changed += self._look_at(short_hash)
            except HostError as exc:
                _log.warning("node-place-unknown", node=short_hash, reason=exc.message)
        return changed

    def _read_nodes(self) -> Sequence[ShortHash]:
        with self._parts.database.read() as connection:
            found = connection.execute(select(LOCATION.c.short_hash)).scalars()
            return [ShortHash(each) for each in found]

    def _is_over(self, short_hash: ShortHash) -> bool:
        """Whether nothing is left to do of a move that was decided before this process started.

        A process may end after it has noted the decision, and before all is erased, or the node
        works.
        """
        location = self._parts.places.location(short_hash)
        if location is None or not location.transfer or location.place not in _DECIDED:
            return True
        try:
            if location.place is Place.MOVED:
                erase_left(self._parts, short_hash)
            else:
                self._parts.let_work(short_hash)
        except HostError as exc:
            _log.warning("node-move-unfinished", node=short_hash, reason=exc.message)
            return False
        return True

    def _look_at(self, short_hash: ShortHash) -> bool:
        parts = self._parts
        location = parts.places.location(short_hash)
        if location is None or not parts.claims.is_dynamic(short_hash):
            return False
        answer, _ = parts.claims.answer(short_hash, location)
        if answer is Answer.TAKEN and location.place is not Place.IMPORTED:
            gone(self._parts, short_hash)
            return True
        if answer is Answer.GRANTED and location.place is not Place.EXPORTED:
            parts.places.change(short_hash, Happened.GRANTED)
            parts.let_work(short_hash)
            return True
        return False

    def refusal(self, short_hash: ShortHash) -> str | None:
        """Why a node that claimed its place did not get it."""
        location = self._parts.places.location(short_hash)
        if location is None or location.place not in _ASKING:
            return None
        return self._parts.claims.answer(short_hash, location)[1]
