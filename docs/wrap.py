"""Wraps lines of Markdown at 120 columns: `python docs/wrap.py [FILE ...]`, by default all pages.

Paragraphs and items of lists are filled anew; code, tables, headings and HTML stay as they are.
Code spans and links are never broken, so that what a reader searches for stands on one line.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

WIDTH = 120
_ROOT = Path(__file__).resolve().parent.parent
_KEPT = "\x00"
"""Stands for a space at which no line may be broken."""
_UNBROKEN = re.compile(r"`[^`]+`|\[[^\]]*\]\([^)]*\)")
_MARKER = re.compile(r" (?=(?:\d+[.)]|[-+*#>|]+)(?: |$))")
"""Before what would begin a list, a heading, a quotation or a table at the start of a line."""
_ITEM = re.compile(r"( *)([-*+]|\d+[.)]) +")
_LITERAL = re.compile(r"\s*(?:#|\||<|>|\[[^\]]+\]:|\s*$)")


def wrapped(text: str) -> str:
    """A page with its lines wrapped."""
    return "\n".join(_lines(text.split("\n")))


def pages() -> list[Path]:
    """All pages that are wrapped; the change log and the READMEs are among them."""
    found = [
        _ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
    ]
    return [*(p for p in found if p.exists()), *sorted((_ROOT / "docs").rglob("*.md"))]


def _lines(lines: list[str]) -> Iterator[str]:
    paragraph: list[str] = []
    fence = ""
    for line in lines:
        mark = re.match(r"\s*(```+|~~~+)", line)
        if fence or mark:
            yield from _filled(paragraph)
            paragraph = []
            if mark and (not fence or mark.group(1).startswith(fence)):
                fence = "" if fence else mark.group(1)
            yield line
        elif _LITERAL.match(line):
            yield from _filled(paragraph)
            paragraph = []
            yield line
        else:
            if _ITEM.match(line):
                yield from _filled(paragraph)
                paragraph = []
            paragraph.append(line)
            if line.endswith("  "):
                yield from _filled(paragraph)
                paragraph = []
    yield from _filled(paragraph)


def _filled(paragraph: list[str]) -> Iterator[str]:
    if not paragraph:
        return
    item = _ITEM.match(paragraph[0])
    first = item.group(0) if item else paragraph[0][: -len(paragraph[0].lstrip())]
    text = " ".join(line.strip() for line in paragraph)[len(first.strip()) :].strip()
    hard = "  " if paragraph[-1].endswith("  ") else ""
    text = _UNBROKEN.sub(lambda span: span.group(0).replace(" ", _KEPT), text)
    text = _MARKER.sub(_KEPT, text)
    rows = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
    rows[-1] += hard
    yield from (row.replace(_KEPT, " ") for row in rows)


if __name__ == "__main__":
    for page in [Path(name) for name in sys.argv[1:]] or pages():
        old = page.read_text(encoding="utf-8")
        page.write_text(wrapped(old), encoding="utf-8")
