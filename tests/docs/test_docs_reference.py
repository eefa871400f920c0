"""The reference is complete: generated pages are current, every error code has a meaning."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("make_reference", _ROOT / "docs/make_reference.py")
assert _SPEC is not None
assert _SPEC.loader is not None
make_reference = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make_reference)


_TYPES = "python-types.md"
_PRINT = """
import sys
sys.path.insert(0, "docs")
import make_reference
print(make_reference.page_text(sys.argv[1]), end="")
"""


def test_the_page_of_types_is_current() -> None:
    """In a process of its own: equal unions share a form, with the order that came first."""
    words = (sys.executable, "-c", _PRINT, _TYPES)
    made = subprocess.run(words, cwd=_ROOT, capture_output=True, check=True, text=True).stdout
    path = _ROOT / "docs" / "reference" / _TYPES
    assert path.read_text(encoding="utf-8") == made, f"{_TYPES} is out of date: run `make docs`"


@pytest.mark.parametrize("page", sorted(set(make_reference.PAGES) - {_TYPES}))
def test_generated_page_is_current(page: str) -> None:
    path = _ROOT / "docs" / "reference" / page
    assert path.read_text(encoding="utf-8") == make_reference.page_text(page), (
        f"{page} is out of date: run `make docs`"
    )


def test_every_error_code_has_a_meaning() -> None:
    rows = (_ROOT / "docs/reference/errors.md").read_text(encoding="utf-8").splitlines()[7:]
    assert len(rows) > 50
    assert [row for row in rows if row.rstrip().endswith("|  |")] == []


@pytest.mark.parametrize("page", ["settings.md", "commands.md"])
def test_every_row_has_a_meaning(page: str) -> None:
    rows = (_ROOT / "docs/reference" / page).read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if re.search(r"\|\s+\|$", row)] == []


def test_a_command_shows_what_may_be_left_out_and_the_form_of_each_value() -> None:
    page = (_ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    for heading in (
        "### `cordbox audit gauntlet [CPI] [OPTIONS]`",
        "### `cordbox component check PATH... [OPTIONS]`",
        "### `cordbox flow start NODE FLOW [BODY] [OPTIONS]`",
        "### `cordbox worker {crypto|uniqueness|verification|membership|persistence|link|gateway|flow|relay|rest}"
        " [OPTIONS]`",
    ):
        assert f"\n{heading}\n" in page
    for row in ("`--set NAME=VALUE`", "`--break FILE:LINE`", "variable `CORDBOX_CA_FILE`"):
        assert row in page
    assert "Another name of `cordbox network`." in page
    assert "`cordbox mgm groupPolicy" not in page


def test_links_between_pages_lead_somewhere() -> None:
    assert [
        (page.name, target)
        for page, target in _links()
        if not (page.parent / target.split("#")[0]).exists()
    ] == []


def test_links_to_a_part_of_a_page_lead_to_a_heading() -> None:
    parts = [(page, *target.split("#")) for page, target in _links() if "#" in target]
    assert len(parts) > 5
    assert [
        (page.name, target, part)
        for page, target, part in parts
        if part not in _anchors(page.parent / target if target else page)
    ] == []


def test_every_decision_has_a_number_of_its_own_and_stands_in_the_index() -> None:
    folder = _ROOT / "docs" / "decisions"
    files = sorted(path.name for path in folder.glob("0*.md"))
    numbers = [name[:4] for name in files]
    assert sorted(set(numbers)) == numbers
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\| \[(\d{4})\]\((\S+)\)", index) == list(zip(numbers, files, strict=True))
    for name, number in zip(files, numbers, strict=True):
        assert (folder / name).read_text(encoding="utf-8").startswith(f"# {number} ")


def _links() -> Sequence[tuple[Path, str]]:
    """Every link of every page to a page or a part of one."""
    folders = ("docs", "sample_cordapps", "tests")
    pages = [*_ROOT.glob("*.md"), *(p for name in folders for p in (_ROOT / name).rglob("*.md"))]
    return [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8"))
    ]


def _anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_every_test_that_the_lists_name_exists() -> None:
    page = (_ROOT / "docs/reference/corda-test-lists.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?", page)
    assert len(named) > 10
    missing = [
        (file, test)
        for file, test in named
        if not (_ROOT / file).is_file()
        or (test and f"def {test}(" not in (_ROOT / file).read_text(encoding="utf-8"))
    ]
    assert missing == []
