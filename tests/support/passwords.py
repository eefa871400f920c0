"""Passwords of the tests' own processes are hashed in a thousandth of the time that guessers are to need.

Nearly each host of a test makes a user, and what a test says of passwords holds at any cost. The
fixture `full_cost` restores it.
"""

import pytest

from host.access import passwords

_FULL_COST = passwords._LOG2_N
passwords._LOG2_N = 5


@pytest.fixture
def full_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed as hosts do."""
    monkeypatch.setattr(passwords, "_LOG2_N", _FULL_COST)
