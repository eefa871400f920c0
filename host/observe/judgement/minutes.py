"""Flows that ended in the last hour, by minute and by node: counters in memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, ShortHash
from host.ports.glances import MINUTE_MS, Ended

MINUTES = 60
_FAILED = FlowStatusName.FAILED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHour:
    """A node's flows that ended in the last hour, responders among them.

    `failing_since` is the first minute with a failure.
    """

    ended: int
    failed: int
    failing_since: EpochMs | None


@dataclass(slots=True)
class _Counts:
    """Flows of a node that ended in a minute; `own` are those that clients started."""

    ended: int = 0
    failed: int = 0
    own_ended: int = 0
    own_failed: int = 0


class LastHour:
    """Counts by minute. `add` replaces what is known of the minutes from `since` on.

    The series are of flows that clients started: a conversation that fails counts once. What a node
    has to do with counts both of its sides.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._minutes: dict[EpochMs, dict[ShortHash, _Counts]] = {}
        self.counted_to: EpochMs | None = None

    def due_from(self, now: EpochMs) -> EpochMs:
        """From when on flows have to be counted: the minutes that may have grown."""
        hour = first_minute(now)
        if self.counted_to is None:
            return hour
        # A commit may carry a time of the minute before.
        return EpochMs(max(hour, _minute(self.counted_to) - MINUTE_MS))

    def add(self, found: Iterable[Ended], since: EpochMs, now: EpochMs) -> None:
        """Take in all flows that ended at `since` or later, counted at `now`."""
        oldest = first_minute(now)
        self._minutes = {m: n for m, n in self._minutes.items() if oldest <= m < since}
        for each in found:
            counts = self._minutes.setdefault(each.minute, {}).setdefault(each.node, _Counts())
            failed = each.count if each.status == _FAILED else 0
            counts.ended += each.count
            counts.failed += failed
            if not each.is_responder:
                counts.own_ended += each.count
                counts.own_failed += failed
        self.counted_to = now

    def series(self, now: EpochMs) -> tuple[Sequence[int], Sequence[int]]:
        """Flows that ended and that failed in each of the last 60 minutes, oldest first."""
        ended, failed = [], []
        for number in range(MINUTES):
            nodes = self._minutes.get(EpochMs(first_minute(now) + number * MINUTE_MS), {})
            ended.append(sum(counts.own_ended for counts in nodes.values()))
            failed.append(sum(counts.own_failed for counts in nodes.values()))
        return ended, failed

    def nodes(self) -> dict[ShortHash, NodeHour]:
        """The nodes that had a failure, with their hour."""
        sums: dict[ShortHash, NodeHour] = {}
        for minute in sorted(self._minutes):
            for node, counts in self._minutes[minute].items():
                before = sums.get(node)
                first = minute if counts.failed else None
                sums[node] = NodeHour(
                    ended=counts.ended + (before.ended if before else 0),
                    failed=counts.failed + (before.failed if before else 0),
                    failing_since=first
                    if before is None or before.failing_since is None
                    else before.failing_since,
                )
        return {node: hour for node, hour in sums.items() if hour.failed}


def first_minute(now: EpochMs) -> EpochMs:
    """The start of the first of the last 60 minutes."""
    return EpochMs(_minute(now) - (MINUTES - 1) * MINUTE_MS)


def _minute(at: EpochMs) -> int:
    return at // MINUTE_MS * MINUTE_MS
