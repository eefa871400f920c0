"""Units of several pairs that share a commit, which costs the same for one as for many."""

from collections.abc import Callable
from dataclasses import dataclass, field

from host.domain.errors import ConflictError, HostError
from host.network.link.outgoing import Pair
from host.ports.units import StateStore, Unit

BYTES_MAX = 96 * 1024
"""Units beyond it take turns of their own at the store, with pauses."""

Applied = Callable[[], None]
"""Brings the memory up to a unit that was committed."""
Failed = Callable[[Pair, HostError], None]
"""Told of each pair whose unit was not committed."""


@dataclass(slots=True)
class UnitBatch:
    """Mutable: units of different pairs, with what each changes in memory. Not thread-safe.

    Args:
        store: of the units.
        failed: told of failures but conflicts; without it they are raised.
    """

    store: StateStore
    failed: Failed | None = None
    _units: dict[str, tuple[Pair, Unit, Applied]] = field(default_factory=dict)
    _size: int = 0

    def holds(self, pair: Pair) -> bool:
        return pair.name in self._units

    def add(self, pair: Pair, unit: Unit, applied: Applied) -> None:
        """Commit a pair's unit with those of others, after its earlier one; raises as `flush`."""
        if self.holds(pair):
            self.flush()
        self._units[pair.name] = (pair, unit, applied)
        self._size += unit.size
        if self._size >= BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Commit all units, all or none.

        Raises:
            ConflictError: a partition, or a state, has another owner.
            StorageError: the store cannot be used, and nobody is told.
        """
        added = list(self._units.values())
        self._units, self._size = {}, 0
        if not added:
            return
        units = [unit for _, unit, _ in added]
        shared = Unit(
            states=tuple(write for unit in units for write in unit.states),
            records=tuple(record for unit in units for record in unit.records),
            done=tuple(done for unit in units for done in unit.done),
            fences=tuple(dict.fromkeys(fence for unit in units for fence in unit.fences)),
        )
        try:
            self.store.commit(shared)
        except ConflictError:
            raise
        except HostError as exc:
            if self.failed is None:
                raise
            for pair, _, _ in added:
                self.failed(pair, exc)
            return
        for _, _, applied in added:
            applied()
