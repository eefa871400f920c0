"""The estimate of the database's time, by measurements with errors."""

import time

import pytest

from plugins.postgres.database_time import DatabaseTime

AHEAD = 1_000.0
"""Seconds by which the database's clock is ahead of the monotonic one."""


@pytest.fixture
def estimate() -> DatabaseTime:
    made = DatabaseTime()
    ask(made, 50.0, took=0.010)
    return made


def ask(
    made: DatabaseTime, at: float, *, took: float, told_after: float = 0.5, ahead: float = AHEAD
) -> None:
    """A call at a time that took some seconds; the database told its time in the middle, or where said."""
    told = at + took * told_after + ahead
    made.measured(round(told * 1000), at, at + took)


def ahead(made: DatabaseTime, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert made.now_ms() == made.steady_ms()
    return made.now_ms() / 1000


@pytest.mark.parametrize("told_after", [0.0, 1.0])
@pytest.mark.parametrize("later", [1.0, 45.0, 3600.0])
def test_a_call_during_which_the_process_stood_still_changes_nothing(
    estimate: DatabaseTime, monkeypatch: pytest.MonkeyPatch, told_after: float, later: float
) -> None:
    ask(estimate, 50.0 + later, took=21.0, told_after=told_after)
    assert ahead(estimate, monkeypatch) == pytest.approx(AHEAD, abs=0.01)


def test_a_more_exact_measurement_counts(
    estimate: DatabaseTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(estimate, 51.0, took=0.001, told_after=0.5, ahead=AHEAD + 0.004)
    assert ahead(estimate, monkeypatch) == pytest.approx(AHEAD + 0.004, abs=0.0015)


def test_clocks_that_run_apart_are_followed(
    estimate: DatabaseTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute in range(1, 61):
        ask(estimate, 50.0 + minute * 60, took=0.02, ahead=AHEAD + minute * 0.006)
    assert ahead(estimate, monkeypatch) == pytest.approx(AHEAD + 0.36, abs=0.03)


@pytest.mark.parametrize("by", [-30.0, -1.0, 1.0, 30.0])
def test_a_clock_that_was_set_is_followed_at_once(
    estimate: DatabaseTime, monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    ask(estimate, 51.0, took=0.1, ahead=AHEAD + by)
    assert ahead(estimate, monkeypatch) == pytest.approx(AHEAD + by, abs=0.06)


def test_the_first_measurement_counts_however_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    made = DatabaseTime()
    ask(made, 5.0, took=10.0)
    assert ahead(made, monkeypatch) == pytest.approx(AHEAD, abs=5.0)
