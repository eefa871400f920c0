"""The console looks as it did: its pages beside the pictures that are kept, and what that notices."""

from pathlib import Path

import pytest

from tests.console.appearance import FAILURES, differences, documented, fonts, names

pytestmark = pytest.mark.timeout(360)
_DOCUMENTS = documented(Path(__file__).parents[2] / "docs" / "pictures")
CHANGED = {
    "gaps are 3 pixels wider": ".filters { padding-bottom: 15px; }",
    "cards have no border": ".card { border-color: transparent; }",
    "text is paler": ":root { --ink: #4c5460; }",
    "a button is missing": ".head .acts { visibility: hidden; }",
    "letters are larger": "table { font-size: 14.5px; }",
}
"""What a change of the console may be, as a style."""


@pytest.fixture(scope="module")
def found():
    fonts()
    changes = {"nodes": CHANGED}
    return differences(failures=str(FAILURES), files=_DOCUMENTS, changes=changes)


@pytest.mark.parametrize("name", names())
def test_a_page_looks_as_it_did(found, name):
    """If it shall look otherwise, `make console-pictures ARGS=--recorded` keeps new pictures."""
    one = found[name]
    assert one["share"] <= one["shareMax"], f"{one}: look at {FAILURES / name}.png"


@pytest.mark.parametrize("path", _DOCUMENTS.values(), ids=_DOCUMENTS)
def test_the_documentation_shows_the_console_as_it_looks(found, path):
    assert found[path]["share"] <= found[path]["shareMax"], found[path]


@pytest.mark.parametrize("change", CHANGED)
def test_a_change_of_the_console_is_noticed(found, change):
    assert found[change]["share"] > found[change]["shareMax"]


def test_how_a_machine_smooths_letters_is_not_noticed():
    fonts()
    smoothed = differences(only=["nodes", "flow-phone"], flags=["--font-render-hinting=none"])
    assert all(each["share"] <= each["shareMax"] for each in smoothed.values()), smoothed
