"""Programs replay what earlier releases have stored; see `tests.ledger.golden_programs`."""

import json

import pytest

from tests.ledger.golden_programs import FOLDER, recorded, replayed

GOLDEN = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}


def test_all_are_there() -> None:
    assert GOLDEN.keys() == recorded().keys()


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_program_performs_the_stored_operations(name: str) -> None:
    golden = GOLDEN[name]
    assert len(golden["operations"]) >= 4
    assert replayed(name, golden) == golden["operations"]


def test_another_order_of_operations_is_noticed() -> None:
    golden = GOLDEN["finalize-1"]
    changed = {**golden, "request": {**golden["request"], "sessions": ["carol", "bob"]}}
    assert replayed("finalize-1", changed) != golden["operations"]
