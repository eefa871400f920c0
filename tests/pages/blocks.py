"""The fenced blocks of a page, each with what its test has to know.

A block is run by its language:

- `sh`: typed into the page's terminal;
- `text`: what the block of commands before it prints, `…` standing for anything within a line and,
  alone on a line, for any number of lines;
- `python`, `toml`, `json`, `yaml` and others: written to the file that the line before the block
  names, such as "`hello/cordapp.toml`:". Without a name Python is run, and the others are parsed.

An HTML comment before the block, `<!-- test: … -->`, tells more, in words separated by `;`:

- `terminal: NAME`: another terminal than the first;
- `until: TEXT`: the commands go on running; the next block may begin once this was printed;
- `stop`: end what runs in that terminal with Ctrl-C, before the block;
- `exit: N`: the block ends with this code, not 0;
- `varies`: numbers and hashes of the output may differ;
- `append`: the block is added to the end of the file;
- `needs: NAME, …`: what a machine may lack; without it, this block and all after it are left out;
- `not run: REASON`: the block is left out, the reason is shown by the test.

- `here`: the block is left out where another page continues this one.

`<!-- test: after: PAGE -->` in the first line of a page has that page read before, in the same folder.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^( *)(`{3,})(.*)$")
_MARKER = re.compile(r"^\s*<!-- test: (.*?) -->\s*$")
_FILE = re.compile(r"`([\w./-]+\.\w+)`:$")
_WORDS = {"terminal", "until", "stop", "exit", "varies", "append", "needs", "not run", "here"}


class PageError(Exception):
    """A page that cannot be tested; the message has file and line."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block.

    Attributes:
        line: of the opening fence, from 1.
        file: where its text goes, if the page names a file before it.
        words: of the marker.
    """

    page: str
    line: int
    language: str
    text: str
    file: str | None
    words: dict[str, str]

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def reason(self) -> str | None:
        """Why the block is not run."""
        return self.words.get("not run")

    @property
    def needs(self) -> Sequence[str]:
        return [each.strip() for each in self.words.get("needs", "").split(",") if each.strip()]


def blocks_of(page: Path, root: Path) -> Sequence[Block]:
    """All fenced blocks of a page, in order.

    Raises:
        PageError: a fence is not closed, a block has no language, or a marker is unknown.
    """
    name = page.relative_to(root).as_posix()
    lines = page.read_text(encoding="utf-8").split("\n")
    found: list[Block] = []
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        if opening is None:
            at += 1
            continue
        indent, fence, language = len(opening.group(1)), opening.group(2), opening.group(3).strip()
        place = f"{name}:{at + 1}"
        if not re.fullmatch(r"[a-z]+", language):
            raise PageError(f"{place}: a fenced block needs a language such as sh, text or python")
        end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == fence), None)
        if end is None:
            raise PageError(f"{place}: the block has no end")
        text = "".join(f"{line[indent:]}\n" for line in lines[at + 1 : end])
        words, before = _marker(lines[:at], place)
        named = _FILE.search(before)
        found.append(
            Block(
                page=name,
                line=at + 1,
                language=language,
                text=text,
                file=named.group(1) if named and language not in {"sh", "text"} else None,
                words=words,
            )
        )
        at = end + 1
    return found


def pages_before(page: Path, root: Path) -> Sequence[Path]:
    """The pages whose results a page continues with, the first one first."""
    first = page.read_text(encoding="utf-8").split("\n", 1)[0]
    after = re.fullmatch(r"<!-- test: after: (\S+) -->", first)
    return (
        [] if after is None else [*pages_before(root / after.group(1), root), root / after.group(1)]
    )


def _marker(before: Sequence[str], place: str) -> tuple[dict[str, str], str]:
    """The words of the marker that ends `before`, and the last line of prose before it."""
    words: dict[str, str] = {}
    for line in reversed(before):
        marker = _MARKER.match(line)
        if marker is None and line.strip():
            return words, line.strip()
        for word in marker.group(1).split(";") if marker else ():
            key, _, value = word.strip().partition(":")
            if key not in _WORDS:
                raise PageError(f"{place}: {key!r} is no word of a marker")
            if key == "not run" and not value.strip():
                raise PageError(f"{place}: `not run` needs a reason")
            words[key] = value.strip()
    return words, ""
