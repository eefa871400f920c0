"""Docstrings in Google's form as Markdown."""

from collections.abc import Iterator, Sequence
from textwrap import dedent

_SECTIONS = {"Args:", "Attributes:", "Raises:"}
_PARAGRAPHS = {"Returns:", "Yields:"}
"""Sections whose content is one paragraph."""


def docstring_lines(text: str | None) -> Iterator[str]:
    """A docstring in Google's form as Markdown: its sections as lists, its examples as code."""
    lines = (text or "").splitlines()
    while lines:
        starts = next((n for n, line in enumerate(lines) if _is_example(lines, n)), len(lines))
        yield from _prose(lines[:starts])
        lines = lines[starts:]
        if lines:
            ends = lines.index("") if "" in lines else len(lines)
            language = "python" if lines[0].startswith(">>>") else "text"  # which is not formatted
            yield from (f"```{language}", *dedent("\n".join(lines[:ends])).splitlines(), "```")
            lines = lines[ends:]


def _is_example(lines: Sequence[str], number: int) -> bool:
    """Whether an example begins here: a prompt, a decorator, or an indented paragraph."""
    line = lines[number]
    after_gap = number > 0 and not lines[number - 1]
    return line.startswith((">>>", "@")) or (after_gap and line.startswith("    "))


def _prose(lines: Sequence[str]) -> Iterator[str]:
    section, item = False, ""
    for line in lines:
        if line in _PARAGRAPHS:
            section = False
            yield from (f"*{line}*", "")
        elif line in _SECTIONS:
            section = True
            yield from (f"*{line}*", "")
        elif not section or not line.startswith(" "):
            if item:
                yield item
                item = ""
            section = False
            yield line.strip()
        elif line.startswith("    ") and not line.startswith("     "):
            if item:
                yield item
            name, colon, rest = line.strip().partition(": ")
            item = f"- `{name}`: {rest}" if colon and " " not in name.strip("*") else _item(line)
        else:
            item += f" {line.strip()}"
    if item:
        yield item


def _item(line: str) -> str:
    names, colon, rest = line.strip().partition(": ")
    if colon and all(word.strip("*").isidentifier() for word in names.split(", ")):
        listed = ", ".join(f"`{word}`" for word in names.split(", "))
        return f"- {listed}: {rest}"
    return f"- {line.strip()}"
