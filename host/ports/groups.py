"""Consumer groups: members share out the partitions of the topics that a group consumes.

The topics of one group are co-partitioned: who owns number n owns partition n of every topic.
An owner is known by its epoch, which goes up whenever a partition changes hands; a unit that
carries an older one is refused, so that a member that was thought dead changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.errors import ConflictError


class FencedError(ConflictError):
    """A member acts on a partition that is no longer its own, or is no member any more."""

    code = "fenced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Proof of ownership: `partition` of `group`, as it was given away for the `epoch`-th time."""

    group: str
    partition: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What a member owns. `generation` counts the group's rebalances.

    Attributes:
        epochs: the epoch of each owned partition, by its number.
    """

    group: str
    member: str
    generation: int
    epochs: Mapping[int, int]


RebalanceListener = Callable[[str], None]
"""Told the group whose partitions were shared out anew."""


class Groups(Protocol):
    """Membership of groups. All changes are durable, and seen by every process at once."""

    def join(self, group: str, member: str, *, ttl_ms: int) -> Membership:
        """Become a member, and share the partitions out anew; a member joins again unchanged.

        Partitions move at once: what their earlier owner still does with them is refused. As few
        move as an even distribution allows. Every member owns at least one while there are enough.

        Args:
            group: its name.
            member: a name that no other member has had, so that nobody takes it for another.
            ttl_ms: without a heartbeat for this long, the member counts as gone.

        Raises:
            StorageError: the store cannot be written.
        """
        ...

    def heartbeat(self, group: str, member: str) -> Membership:
        """Say that the member lives, and remove members that did not say so in time.

        Raises:
            FencedError: it was removed itself; it may join again.
            StorageError: the store cannot be written.
        """
        ...

    def leave(self, group: str, member: str) -> None:
        """Give the member's partitions to the others; who is no member has left already.

        A supervisor may call it for a member that it knows to be dead.

        Raises:
            StorageError: the store cannot be written.
        """
        ...

    def members(self, group: str) -> Sequence[Membership]:
        """All members, by name, with what they own; some may be dead and not yet removed."""
        ...

    def on_rebalance(self, listener: RebalanceListener) -> None:
        """Call `listener` after the partitions of a group were shared out anew.

        Changes made by other processes are told as soon as they are heard of, on another thread;
        one may be missed. The listener must not block.
        """
        ...
