"""Every page can be found, and every command is used in some how-to."""

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_DOCS = _ROOT / "docs"


def _targets(page: Path) -> set[Path]:
    found = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in found}


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = {_DOCS / "README.md"}
    while waiting:
        page = waiting.pop()
        reached.add(page)
        waiting |= {each for each in _targets(page) if each.suffix == ".md"} - reached
    pages = {*_DOCS.rglob("*.md"), *_ROOT.glob("*.md")} - {_ROOT / "README.md"}
    assert len(pages) > 60
    assert sorted(str(page.relative_to(_ROOT)) for page in pages - reached) == []


def test_the_first_page_leads_to_the_index() -> None:
    assert (_DOCS / "README.md") in _targets(_ROOT / "README.md")


def test_every_command_is_in_some_how_to() -> None:
    reference = (_DOCS / "reference/commands.md").read_text(encoding="utf-8")
    commands = re.findall(r"^### `(cordbox(?: [a-z][A-Za-z-]+)+)", reference, re.MULTILINE)
    assert len(commands) > 40
    pages = [*(_DOCS / "how-to").glob("*.md"), *(_DOCS / "tutorial").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert [
        name for name in [*commands, "cordbox mgm"] if not re.search(rf"{name}(?![\w-])", text)
    ] == []


def test_every_how_to_has_its_parts() -> None:
    """Goal, what is needed, what comes next: a reader arrives from a search."""
    for page in sorted((_DOCS / "how-to").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        assert "\nGoal: " in text, page.name
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings[-1] == "Next", page.name
        assert "Before you begin" in headings, page.name


def test_every_link_to_the_reference_of_errors_names_a_code() -> None:
    """Codes in the headings of the troubleshooting page are stable codes."""
    pages = ("reference/errors.md", "reference/flow-engine.md")
    known = "\n".join((_DOCS / name).read_text(encoding="utf-8") for name in pages)
    page = (_DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    codes = [code for text in headings for code in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text)]
    assert len(codes) > 20
    assert [code for code in codes if f"`{code}`" not in known] == []
