"""Programs replay what earlier releases have stored; see `tests.ledger.golden_programs`."""

import json

import pytest

from host.ledger.programs import PROGRAMS
from tests.ledger.golden_programs import FOLDER, recorded, replayed

GOLDEN = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}


def test_all_are_there() -> None:
    assert GOLDEN.keys() == recorded().keys()


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_program_performs_the_stored_operations(name: str) -> None:
    golden = GOLDEN[name]
    assert len(golden["operations"]) >= 1
    assert replayed(name, golden) == golden["operations"]


def test_every_program_of_the_ledger_has_one() -> None:
    """A finality's receiver is one journal of its three programs."""
    receiver = {"receive-finality", "accept-finality", "refuse-finality"}
    names = {name for name, _ in PROGRAMS._programs} - receiver | {"receive-and-accept"}
    recorded_ones = {name.partition(".")[0].rpartition("-")[0] for name in GOLDEN}
    assert names <= recorded_ones


def test_another_order_of_operations_is_noticed() -> None:
    golden = GOLDEN["finalize-1"]
    changed = {**golden, "request": {**golden["request"], "sessions": ["carol", "bob"]}}
    assert replayed("finalize-1", changed) != golden["operations"]
