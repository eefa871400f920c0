"""How a group shares out its partitions: sticky, even, and the same wherever it is computed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from host.adapters.partitions import PARTITIONS
from host.domain.ids import EpochMs
from host.ports.groups import Fence, FencedError, Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """When a member was last heard of, and for how long that counts."""

    beat_at: EpochMs
    ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Who owns a partition, and how many owners it has had."""

    member: str | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAssignment:
    """The members of a group and the owners of its partitions, by their numbers."""

    group: str
    generation: int
    pulses: Mapping[str, Heartbeat]
    owners: Mapping[int, Ownership]

    def joined(self, member: str, ttl_ms: int, now: EpochMs) -> "GroupAssignment":
        """The roster with `member`; rebalanced when that is new."""
        pulses = {**self._live(now), member: Heartbeat(beat_at=now, ttl_ms=ttl_ms)}
        return self._with(pulses)

    def beaten(self, member: str, now: EpochMs) -> "GroupAssignment":
        """The roster after a heartbeat.

        Raises:
            FencedError: `member` is none.
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
        """Refuse who does not own the partition any more.

        Raises:
            FencedError: it was given away since.
        """
        refuse_stale(fence, self.owners.get(fence.partition, Ownership()).epoch)

    def _live(self, now: EpochMs) -> dict[str, Heartbeat]:
        """Members that were heard of in time.

        A beat that lies ahead was made before the clock was put back: it counts from now.
        """
        heard = {n: replace(p, beat_at=min(p.beat_at, now)) for n, p in self.pulses.items()}
        return {name: p for name, p in heard.items() if now - p.beat_at < p.ttl_ms}

    def _with(self, pulses: Mapping[str, Heartbeat]) -> "GroupAssignment":
        if pulses.keys() == self.pulses.keys():
            return replace(self, pulses=pulses)
        before = {n: o.member for n, o in self.owners.items() if o.member is not None}
        after = shared_out(pulses.keys(), before)
        owners = dict(self.owners)
        for number in range(PARTITIONS):
            found = owners.get(number, Ownership())
            member = after.get(number)
            if found.member != member:
                # Without an owner, too, the epoch goes up: whoever left has nothing to say.
                owners[number] = Ownership(member=member, epoch=found.epoch + 1)
        return replace(self, generation=self.generation + 1, pulses=pulses, owners=owners)


def shared_out(members: Iterable[str], before: Mapping[int, str]) -> Mapping[int, str]:
    """Give each partition an owner; counts differ by at most one, and as few move as can be.

    Args:
        members: their names; without any, nothing is owned.
        before: owners so far, by partition; those that are no members lose theirs.
    """
    owned: dict[str, list[int]] = {name: [] for name in sorted(members)}
    if not owned:
        return {}
    for number in range(PARTITIONS):
        owner = before.get(number)
        if owner in owned:
            owned[owner].append(number)
    least, over = divmod(PARTITIONS, len(owned))
    # Those that own most keep the one that is left over, so that it need not move.
    by_size = sorted(owned, key=lambda name: (-len(owned[name]), name))
    quota = {name: least + (place < over) for place, name in enumerate(by_size)}
    after = {number: name for name, had in owned.items() for number in had[: quota[name]]}
    free = iter([number for number in range(PARTITIONS) if number not in after])
    for name, had in owned.items():
        after.update((number, name) for number in islice(free, max(0, quota[name] - len(had))))
    return after


def refuse_stale(fence: Fence, epoch: int) -> None:
    """Compare a fence with the present epoch of its partition.

    Raises:
        FencedError: they differ.
    """
    if fence.epoch != epoch:
        raise FencedError(
            f"partition {fence.partition} of group {fence.group!r} was given away:"
            f" epoch {fence.epoch}, now {epoch}"
        )
