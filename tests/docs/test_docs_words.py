"""Pages use the words of their field: no private names for parts of the project, no riddles."""

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_PRIVATE = {
    r"the house": "how Cordbox is built, the project",
    r"rooms": "folders, packages",
    r"floors?": "layers, an order of imports, a minimum",
    r"doors?": "permissions, interfaces",
    r"cause and effect": "the order of events",
    r"stricter side": "an example of where two rules differ",
    r"shall only": "should only",
    r"is led": "is changed, is migrated",
    r"pays? off": "decreases",
    r"in vain": "without success, failed",
    r"nobody stands": "there is none above",
}
"""Words that a reader would have to be told of, with what to write instead."""


def _pages() -> list[Path]:
    pages = [_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    docs = (_ROOT / "docs").rglob("*.md")
    return pages + [page for page in docs if page.parent.name != "decisions"]


def test_pages_have_no_private_words() -> None:
    pages = _pages()
    assert len(pages) > 50
    assert [
        (page.relative_to(_ROOT).as_posix(), number, word)
        for page in pages
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
        for word in _PRIVATE
        if re.search(rf"\b{word}\b", line, re.IGNORECASE)
    ] == []
