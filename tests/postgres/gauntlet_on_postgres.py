"""The walls hold on a host whose data are in PostgreSQL: attacks of the gauntlet on a real host, in small.

Run by `make prove-scale`; that the walls hold on SQLite is tried with each change.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from host.tools.audit.gauntlet.host_arena import HostHarness, opened_host
from host.tools.audit.gauntlet.host_attacks import host_attacks
from host.tools.audit.gauntlet.host_contest import run_host_gauntlet
from host.tools.audit.gauntlet.host_report import summary_of
from host.tools.cache import default_cache_dir
from host.tools.flows.client import HostFlows
from sandbox.runtime import Sandbox
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(3600)

ATTACKS: dict[str, dict[str, Any]] = {
    "nested-request": {},
    "half-character": {},
    "empty-writes": {"flows": 4, "body": {"count": 50}},
    "password-guesses": {},
}
"""Attacks of the catalogue, and what makes them short."""


@pytest.fixture(scope="module")
def arena(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HostHarness]:
    root = tmp_path_factory.mktemp("gauntlet")
    settings = root / "cordbox.toml"
    given = postgres_server.new_cluster(root).environment
    names = {name: name.removeprefix("CORDBOX_").lower() for name in given}
    settings.write_text("".join(f'{names[name]} = "{given[name]}"\n' for name in given))
    options = ("--settings", str(settings), "--isolation", os.environ.get("MODE", "shared"))
    cache = default_cache_dir()
    attackers = 2 * len(ATTACKS)
    (root / "host").mkdir()
    with opened_host(
        root / "host", Sandbox(cache_dir=cache), cache, options, attackers=attackers
    ) as opened:
        yield opened


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_as_it_must_and_reaches_nobody_else(arena: HostHarness, name: str) -> None:
    (attack,) = (each for each in host_attacks() if each.name == name)
    report = run_host_gauntlet(
        arena,
        [replace(attack, **ATTACKS[name])],
        samples=5,
        rounds=1,
        seconds_max=5.0 if attack.stranger else 120.0,
        warm_up=1,
    )
    (row,) = report.rows
    assert report.held, summary_of(report)
    assert row.endings, "the attack took place"
    assert row.seconds, "the neighbour's flows went on"
    with arena.host.client() as client:
        flows = list(HostFlows(client).list(arena.alice, responders=True))
        assert {flow["flowStatus"] for flow in flows} == {"COMPLETED"}
        assert client.get(f"/virtualnode/{arena.alice}/usage")["hits"] == {}
        assert client.get("/deadletter")["deadLetters"] == []
