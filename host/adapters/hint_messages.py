"""Hints as messages between processes: merged, and shortened where a message has a limit. Pure."""

from collections.abc import Iterable

import msgspec

from host.adapters.partitions import PARTITIONS_MAX
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import Committed, DuePlace, TopicPartition, WorkQueue
from host.ports.hints import Hint


class Ring(msgspec.Struct, frozen=True, array_like=True):
    """A hint in its transport format.

    Attributes:
        touched: numbers of the partitions of logs that got records, by topic.
        work: numbers of the partitions with new work, by topic and node.
        due: the earliest due time that was written, by group and partition.
        groups: groups that were rebalanced.
        too_many: not everything is listed; any partition may have new records.
    """

    touched: dict[str, list[int]] = {}
    work: dict[str, dict[str, list[int]]] = {}
    due: dict[str, dict[int, int]] = {}
    groups: list[str] = []
    too_many: bool = False

    @staticmethod
    def of(hint: Hint) -> "Ring":
        committed = hint.committed
        touched: dict[str, list[int]] = {}
        for source in committed.logs:
            touched.setdefault(source.topic, []).append(source.partition)
        work: dict[str, dict[str, list[int]]] = {}
        for queue in committed.work:
            by_node = work.setdefault(queue.topic, {})
            by_node.setdefault(queue.node, []).append(queue.partition)
        due: dict[str, dict[int, int]] = {}
        for place, at in committed.due.items():
            due.setdefault(place.group, {})[place.partition] = at
        return Ring(
            touched=touched,
            work=work,
            due=due,
            groups=sorted(hint.groups),
            too_many=hint.is_incomplete,
        )

    def hint(self) -> Hint:
        """The hint; invalid partition numbers are left out."""
        return Hint(
            committed=self._committed(),
            groups=frozenset(self.groups),
            is_incomplete=self.too_many,
        )

    def _committed(self) -> Committed:
        return Committed(
            logs=frozenset(
                TopicPartition(topic=topic, partition=number)
                for topic, numbers in self.touched.items()
                for number in _possible(numbers)
            ),
            work=frozenset(
                WorkQueue(topic=topic, partition=number, node=ShortHash(node))
                for topic, by_node in self.work.items()
                for node, numbers in by_node.items()
                for number in _possible(numbers)
            ),
            due={
                DuePlace(group=group, partition=number): EpochMs(times[number])
                for group, times in self.due.items()
                for number in _possible(times)
            },
        )

    def with_(self, other: "Ring") -> "Ring":
        """Both, merged."""
        return Ring(
            touched=_joined(self.touched, other.touched),
            work={
                topic: _joined(self.work.get(topic, {}), other.work.get(topic, {}))
                for topic in self.work.keys() | other.work.keys()
            },
            due={
                group: _earliest(self.due.get(group, {}), other.due.get(group, {}))
                for group in self.due.keys() | other.due.keys()
            },
            groups=list({*self.groups, *other.groups}),
            too_many=self.too_many or other.too_many,
        )

    def shortened(self) -> "Ring":
        """A short message to send in place of this one."""
        due = {group: {min(t, key=t.__getitem__): min(t.values())} for group, t in self.due.items()}
        return Ring(due=due, groups=self.groups, too_many=True)


def _possible(numbers: Iterable[int]) -> Iterable[int]:
    return (number for number in numbers if 0 <= number < PARTITIONS_MAX)


def _joined(one: dict[str, list[int]], other: dict[str, list[int]]) -> dict[str, list[int]]:
    names = one.keys() | other.keys()
    return {name: list({*one.get(name, ()), *other.get(name, ())}) for name in names}


def _earliest(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    return {n: min(times[n] for times in (one, other) if n in times) for n in one | other}
