"""Whoever shares something rests after each use of it; whoever is alone does not."""

import pytest

from host.domain.pace import SHARED_S, Pace


@pytest.fixture
def pace() -> Pace[str]:
    return Pace(factor=3, rest_max_s=1.0)


def test_a_user_alone_never_rests(pace: Pace[str]) -> None:
    assert [pace.rest_s("a", at, at + 0.1) for at in range(10)] == [0.0] * 10


def test_a_user_beside_another_rests_in_proportion_to_its_use(pace: Pace[str]) -> None:
    assert pace.rest_s("b", 0.0, 0.1) == 0.0
    assert pace.rest_s("a", 0.1, 0.3) == pytest.approx(0.6)
    assert pace.rest_s("b", 0.3, 0.4) == pytest.approx(0.3)


def test_a_rest_is_bounded(pace: Pace[str]) -> None:
    pace.rest_s("b", 0.0, 4.9)
    assert pace.rest_s("a", 0.0, 5.0) == 1.0


def test_who_was_active_too_long_ago_counts_no_more(pace: Pace[str]) -> None:
    pace.rest_s("b", 0.0, 0.1)
    assert pace.rest_s("a", 0.1, 0.1 + SHARED_S - 0.01) > 0.0
    assert pace.rest_s("a", 2.0, 0.1 + SHARED_S) == 0.0


def test_of_many_others_the_latest_counts(pace: Pace[str]) -> None:
    """Whatever the number of users, two are remembered."""
    for number in range(100):
        pace.rest_s(f"b{number}", number, number + 0.1)
    pace.rest_s("a", 100.0, 100.1)
    assert pace.rest_s("a", 100.1, 100.2) == pytest.approx(0.3)
    assert len(pace._active) == 2


def test_a_use_that_takes_no_time_is_followed_by_no_rest(pace: Pace[str]) -> None:
    pace.rest_s("b", 0.0, 0.1)
    assert pace.rest_s("a", 0.2, 0.2) == 0.0
