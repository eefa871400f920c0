"""A host is killed while it upgrades a node whose flows are open; `make prove-upgrade` kills often."""

import pytest

from tests.e2e.upgrades import upgrade_under_kills

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(600)]
FLOWS, STAGES = 3, ("REHEARSE", "MOVE")
"""Killed in the first while it upgrades to the same code, in the second to other code."""


def test_upgrades_that_are_killed_lose_and_double_nothing(host_with, packages):
    upgrade_under_kills(host_with("--workers", "combined"), packages, FLOWS, len(STAGES), STAGES)
