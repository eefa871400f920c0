"""Upgrades in full: many flows, and many kills in one stage after the other, on three kinds of hosts.

Run by `make prove-upgrade`: UPGRADED_FLOWS flows wait for a paused node, CORDBOX_KILLS times.
ARGS="-k sealed" tries one kind of host alone. `test_e2e_upgrade.py` does the same in small.
"""

import os

import pytest

from tests.e2e.upgrades import upgrade_under_kills

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(7200)]
FLOWS = int(os.environ.get("UPGRADED_FLOWS", "20"))
KILLS = int(os.environ.get("CORDBOX_KILLS", "5"))
ELSEWHERE = max(1, KILLS // 5)
"""Kills with sealed guests, and on a database server."""


def test_upgrades_that_are_killed_lose_and_double_nothing(host_with, packages):
    upgrade_under_kills(host_with("--workers", "flow=2"), packages, FLOWS, KILLS)


def test_upgrades_with_sealed_guests(host_with, packages):
    host = host_with("--workers", "flow=1", environment={"CORDBOX_ISOLATION": "process"})
    upgrade_under_kills(host, packages, FLOWS, ELSEWHERE)


def test_upgrades_on_a_database_server(host_with, packages, tmp_path, postgres_server):
    (tmp_path / "database").mkdir()
    environment = postgres_server.new_cluster(tmp_path / "database").environment
    host = host_with("--workers", "flow=1", environment={**environment, "CORDBOX_HOST_NAME": "one"})
    upgrade_under_kills(host, packages, FLOWS, ELSEWHERE)
