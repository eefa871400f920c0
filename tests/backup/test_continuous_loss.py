"""What a crash loses of a continuous backup: the interval, and the time of one part, at most."""

import contextlib

import pytest

from host.cli import rounds as rounds_module
from host.cli.rounds import rounds
from host.domain.errors import DiskFullError

EVERY = 5.0
INSTANTS = 400
"""At which the host dies, an eighth of a second apart."""


class SimulatedTime:
    """Time that passes by sleeping and by work alone."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def _cuts(monkeypatch, durations, *, failing=()):
    """When each part was cut and was complete, if parts take `durations` in turn."""
    clock, parts, number = SimulatedTime(), [], 0
    monkeypatch.setattr(rounds_module, "time", clock)
    monkeypatch.setattr(rounds_module, "ended_by_signals", contextlib.nullcontext)

    def work():
        nonlocal number
        cut, number = clock.now, number + 1
        clock.sleep(durations[number % len(durations)])
        if number in failing:
            raise DiskFullError("full")
        return cut

    for cut in rounds(work, seconds=EVERY):
        parts.append((cut, clock.now))
        if clock.now > INSTANTS / 8 + EVERY:
            return parts
    raise AssertionError


def _lost(parts, died):
    """Seconds of commits that no complete part has, if the host dies at an instant."""
    return died - max((cut for cut, complete in parts if complete <= died), default=0.0)


@pytest.mark.parametrize("durations", [(0.0,), (0.5,), (4.0, 0.25), (7.0,), (0.5, 12.0, 3.0)])
def test_a_crash_loses_the_interval_and_the_time_of_one_part_at_most(monkeypatch, durations):
    parts = _cuts(monkeypatch, durations)
    longest = max(durations)
    bound = max(EVERY, longest) + longest
    first = parts[0][1]
    lost = [_lost(parts, n / 8) for n in range(INSTANTS) if n / 8 >= first]
    assert max(lost) <= bound
    assert max(lost) > bound - longest - 1, "the bound is not far from what happens"


def test_a_part_that_failed_adds_one_interval(monkeypatch):
    parts = _cuts(monkeypatch, (0.5,), failing=(3,))
    lost = [_lost(parts, n / 8) for n in range(8, INSTANTS)]
    assert EVERY + 0.5 < max(lost) <= 2 * EVERY + 0.5
