"""Records that a step works on, and the proof that it may."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from host.ports.groups import Fence
from host.ports.state import StateWrite
from host.ports.units import Commits, Unit
from host.ports.work import Done, WorkRecord

RECORDS_MAX = 50
"""Maximum records of one step."""
BYTES_MAX = 2 * 1024 * 1024
"""A step takes no further record once it has this many bytes: each thread holds its records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Records of one key, oldest first, and the writes that their step's unit must include.

    Attributes:
        records: at least one.
        done: the same records in their queue; the step deletes them.
        states: writes in addition to the step's own states.
        fence: of the partition; None if the group has no members.
        committing: called when only the commit is left of the step's work.
    """

    records: Sequence[WorkRecord]
    done: tuple[Done, ...] = ()
    states: tuple[StateWrite, ...] = ()
    fence: Fence | None = None
    committing: Callable[[], None] | None = None

    @staticmethod
    def of_queue(
        records: Sequence[WorkRecord],
        fence: Fence | None,
        committing: Callable[[], None] | None = None,
    ) -> "Taken":
        """Records that wait in their queue."""
        positions = tuple(record.position for record in records)
        done = Done(queue=records[0].queue, positions=positions)
        return Taken(records=records, done=(done,), fence=fence, committing=committing)

    @property
    def fences(self) -> tuple[Fence, ...]:
        return () if self.fence is None else (self.fence,)

    def commit(self, store: Commits, unit: Unit) -> None:
        """Commit `unit` and the deletion of the records; raises as `Commits.commit`."""
        whole = self.unit(unit)
        if self.committing is not None:
            self.committing()
        store.commit(whole)

    def unit(self, unit: Unit) -> Unit:
        """`unit`, extended by the deletion of the records."""
        return Unit(
            states=(*unit.states, *self.states),
            journal=unit.journal,
            passed=unit.passed,
            forget=unit.forget,
            records=unit.records,
            done=(*unit.done, *self.done),
            consumed=unit.consumed,
            fences=(*unit.fences, *self.fences),
        )
