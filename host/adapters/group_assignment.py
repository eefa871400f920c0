"""Assignment of a group's partitions to members: sticky, even and deterministic."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from host.adapters.partitions import PARTITIONS
from host.domain.ids import EpochMs
from host.ports.groups import Fence, FencedError, Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The time of a member's last heartbeat, and how long it is valid."""

    beat_at: EpochMs
    ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The owner of a partition, and its epoch: how often it has been reassigned."""

    member: str | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAssignment:
    """The members of a group and the owners of its partitions, by their numbers."""

    group: str
    generation: int
    pulses: Mapping[str, Heartbeat]
    owners: Mapping[int, Ownership]
    partitions: int = PARTITIONS

    def joined(self, member: str, ttl_ms: int, now: EpochMs) -> "GroupAssignment":
        """The assignment with `member`; rebalanced if the member is new."""
        pulses = {**self._live(now), member: Heartbeat(beat_at=now, ttl_ms=ttl_ms)}
        return self._with(pulses)

    def beaten(self, member: str, now: EpochMs) -> "GroupAssignment":
        """The assignment after a heartbeat.

        Raises:
            FencedError: `member` is not a member.
        """
        own = self.pulses.get(member)
        if own is None:
            raise FencedError(f"{member!r} is no member of group {self.group!r} any more")
        return self._with({**self._live(now), member: replace(own, beat_at=now)})

    def left(self, member: str, now: EpochMs) -> "GroupAssignment":
        return self._with({n: pulse for n, pulse in self._live(now).items() if n != member})

    def membership(self, member: str) -> Membership:
        return Membership(
            group=self.group,
            member=member,
            generation=self.generation,
            epochs={n: o.epoch for n, o in sorted(self.owners.items()) if o.member == member},
        )

    def check(self, fence: Fence) -> None:
        """Refuse a fence whose holder no longer owns the partition.

        Raises:
            FencedError: it has been reassigned.
        """
        refuse_stale(fence, self.owners.get(fence.partition, Ownership()).epoch)

    def _live(self, now: EpochMs) -> dict[str, Heartbeat]:
        """Members with a valid heartbeat.

        A heartbeat in the future was sent before the clock was set back: it counts from now.
        """
        heard = {n: replace(p, beat_at=min(p.beat_at, now)) for n, p in self.pulses.items()}
        return {name: p for name, p in heard.items() if now - p.beat_at < p.ttl_ms}

    def _with(self, pulses: Mapping[str, Heartbeat]) -> "GroupAssignment":
        if pulses.keys() == self.pulses.keys():
            return replace(self, pulses=pulses)
        before = {n: o.member for n, o in self.owners.items() if o.member is not None}
        after = shared_out(pulses.keys(), before, self.partitions)
        owners = dict(self.owners)
        for number in range(self.partitions):
            found = owners.get(number, Ownership())
            member = after.get(number)
            if found.member != member:
                # The epoch is incremented even without a new owner: the former owner is fenced off.
                owners[number] = Ownership(member=member, epoch=found.epoch + 1)
        return replace(self, generation=self.generation + 1, pulses=pulses, owners=owners)


def shared_out(
    members: Iterable[str], before: Mapping[int, str], partitions: int = PARTITIONS
) -> Mapping[int, str]:
    """Assign an owner to each partition; counts differ by at most one, with minimal moves.

    Args:
        members: their names; without members, no partition has an owner.
        before: current owners, by partition; owners that are not members lose theirs.
        partitions: their number.
    """
    owned: dict[str, list[int]] = {name: [] for name in sorted(members)}
    if not owned:
        return {}
    for number in range(partitions):
        owner = before.get(number)
        if owner in owned:
            owned[owner].append(number)
    least, over = divmod(partitions, len(owned))
    # The members with most partitions keep the surplus ones, so that these need not move.
    by_size = sorted(owned, key=lambda name: (-len(owned[name]), name))
    quota = {name: least + (place < over) for place, name in enumerate(by_size)}
    after = {number: name for name, had in owned.items() for number in had[: quota[name]]}
    free = iter([number for number in range(partitions) if number not in after])
    for name, had in owned.items():
        after.update((number, name) for number in islice(free, max(0, quota[name] - len(had))))
    return after


def refuse_stale(fence: Fence, epoch: int) -> None:
    """Compare a fence with the current epoch of its partition.

    Raises:
        FencedError: they differ.
    """
    if fence.epoch != epoch:
        raise FencedError(
            f"partition {fence.partition} of group {fence.group!r} was given away:"
            f" epoch {fence.epoch}, now {epoch}"
        )
