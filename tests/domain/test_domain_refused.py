"""How messages name what was meant."""

import doctest

from host.domain import refused
from host.domain.refused import what_there_is


def test_examples() -> None:
    assert doctest.testmod(refused).failed == 0


def test_long_lists_and_names_are_cut() -> None:
    names = [f"flows.Flow{number:03}" for number in range(500)]
    assert what_there_is("x" * 10_000, names).endswith("flows.Flow009 and 490 more")
    assert what_there_is("nothing", []) == "there is none"
