"""The table of standard modules: a verdict with a reason for each module of the library."""

import sys

import pytest

from sandbox.module_table import INTERNAL, MODULES, Verdict, find_module, is_importable


def test_every_public_module_of_the_library_has_a_verdict():
    public = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    assert sorted(public - MODULES.keys() - INTERNAL) == []


def test_what_is_not_wholly_there_says_why():
    for row in MODULES.values():
        assert (row.verdict is Verdict.PRESENT) is (row.reason == ""), row
        assert row.verdict is Verdict.PARTIAL or not row.refuses, row


@pytest.mark.parametrize(
    ("name", "importable"),
    [
        ("json", True),
        ("os.path", True),
        ("random", True),
        ("_collections_abc", True),
        ("encodings.cp1252", True),
        ("asyncio", False),
        ("asyncio.events", False),
        ("http", True),
        ("http.server", False),
        ("unittest.mock", False),
        ("json.no_such_module", False),
        ("no_such_module", False),
    ],
)
def test_the_closest_row_decides(name, importable):
    assert is_importable(name) is importable


def test_a_refusal_names_reason_and_remedy():
    row = find_module("asyncio.queues")
    assert row is not None
    assert "no event loop" in row.refusal
    assert "receive_all" in row.refusal
    assert find_module("no_such_module") is None
