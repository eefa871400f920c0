"""Consumer groups: members share out the partitions of the topics that a group consumes.

The topics of one group are co-partitioned: the owner of number n owns partition n of every topic.
Each assignment of a partition has an epoch, which increases with every change of the owner; a unit
with an older epoch is refused, so that a member that was considered dead changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.errors import ConflictError


class FencedError(ConflictError):
    """A member acts on a partition that it no longer owns, or is no longer a member."""

    code = "fenced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Proof of ownership: `partition` of `group`, in its `epoch`-th assignment."""

    group: str
    partition: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The partitions of a member. `generation` counts the group's rebalances.

    Attributes:
        epochs: the epoch of each owned partition, by its number.
    """

    group: str
    member: str
    generation: int
    epochs: Mapping[int, int]


RebalanceListener = Callable[[str], None]
"""Called with the name of a group after its rebalance."""


class Groups(Protocol):
    """Membership of groups. All changes are durable, and seen by every process at once."""

    def join(self, group: str, member: str, *, ttl_ms: int) -> Membership:
        """Become a member and rebalance the group; joining again changes nothing.

        Partitions move at once: later writes of their earlier owner are refused. As few move as an
        even distribution allows. Every member owns at least one partition if there are enough.

        Args:
            group: its name.
            member: a name that no other member has ever had.
            ttl_ms: a member without a heartbeat for this time is removed.

        Raises:
            StorageError: the store cannot be written.
        """
        ...

    def heartbeat(self, group: str, member: str) -> Membership:
        """Send the member's heartbeat, and remove members whose heartbeat is overdue.

        Raises:
            FencedError: the member itself has been removed; it may join again.
            StorageError: the store cannot be written.
        """
        ...

    def leave(self, group: str, member: str) -> None:
        """Remove a member and rebalance the group; does nothing for one that is not a member.

        A supervisor may call it for a dead member.

        Raises:
            StorageError: the store cannot be written.
        """
        ...

    def members(self, group: str) -> Sequence[Membership]:
        """All members, by name, with their partitions; some may be dead and not yet removed."""
        ...

    def on_rebalance(self, listener: RebalanceListener) -> None:
        """Call `listener` after each rebalance of a group.

        Rebalances by other processes are reported as soon as their notification arrives, on another
        thread; a notification may be lost. The listener must not block.
        """
        ...
