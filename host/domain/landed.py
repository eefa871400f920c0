"""Which records of a numbered stream have arrived: a low mark, and a bounded set above it. Pure.

A stream is carried at least once: records may come again, and after a loss of the carrier later
ones may come before earlier ones. Each is to arrive once, and those of one key in their order.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

RANGES_MAX = 1024
"""Runs of positions that are remembered; beyond it only what fills or extends one is taken."""

Range = tuple[int, int]
"""Positions from the first number to before the second one."""


class Verdict(StrEnum):
    """What to do with a record that came."""

    NEW = "new"
    """Take it."""
    REPEATED = "repeated"
    """Drop it: it was taken before."""
    EARLY = "early"
    """Leave it: it comes again, after what is missing before it."""


@dataclass(frozen=True, slots=True)
class Landed:
    """Positions that have arrived, in ascending runs that do not touch each other."""

    ranges: tuple[Range, ...] = ()

    @staticmethod
    def of(ranges: Sequence[Range]) -> "Landed":
        """From runs as they were stored.

        Raises:
            ValueError: they are empty, overlap, touch, or are not in order.
        """
        last = -1
        for start, end in ranges:
            if start <= last or end <= start:
                raise ValueError(f"{list(ranges)} are no ascending runs of positions")
            last = end
        return Landed(tuple(ranges))

    @property
    def low(self) -> int:
        """The low mark: every position before it has arrived, itself has not."""
        return self.ranges[0][1] if self.ranges and self.ranges[0][0] == 0 else 0

    def __contains__(self, position: int) -> bool:
        place = self._before(position)
        return place >= 0 and position < self.ranges[place][1]

    def judge(self, position: int, after: int | None) -> Verdict:
        """What to do with a record.

        Args:
            position: its number in the stream, from 0.
            after: the number of the record of its key before it, unless that is known to have
                arrived.
        """
        if position in self:
            return Verdict.REPEATED
        if after is not None and after not in self:
            return Verdict.EARLY
        is_full = len(self.ranges) >= RANGES_MAX and len(self.with_(position).ranges) > RANGES_MAX
        # The first that is missing is always taken: so the set gets smaller again.
        return Verdict.EARLY if is_full and position != self.low else Verdict.NEW

    def with_(self, position: int) -> "Landed":
        """The same with one position more."""
        if position in self:
            return self
        place = self._before(position)
        start, end, first, after = position, position + 1, place + 1, place + 1
        if place >= 0 and self.ranges[place][1] == position:
            start, first = self.ranges[place][0], place
        if after < len(self.ranges) and self.ranges[after][0] == end:
            end, after = self.ranges[after][1], after + 1
        return Landed((*self.ranges[:first], (start, end), *self.ranges[after:]))

    def _before(self, position: int) -> int:
        """The place of the last run that begins at or before `position`; -1 if there is none."""
        return bisect_right(self.ranges, position, key=lambda run: run[0]) - 1
