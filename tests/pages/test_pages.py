"""The pages that people follow are tried: their commands are typed, in the order of the page."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.pages.blocks import Block, PageError, blocks_of, pages_before
from tests.pages.output import shows
from tests.pages.reader import ROOT, Reader, check_syntax, missing

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
_NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def _blocks(name: str) -> Sequence[Block]:
    return blocks_of(ROOT / name, ROOT)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", _NAMES)
def test_a_page_can_be_followed(name: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    before = pages_before(ROOT / name, ROOT)
    blocks = [b for page in before for b in blocks_of(page, ROOT) if "here" not in b.words]
    try:
        for block in (*blocks, *_blocks(name)):
            if block.reason is not None:
                print(f"{block.place}: not run: {block.reason}")  # noqa: T201  # pytest shows it
                continue
            for reason in filter(None, map(missing, block.needs)):
                pytest.skip(f"{reason}: {block.place} and what follows it are not run")
            reader.read(block)
    finally:
        reader.close()


@pytest.mark.parametrize("name", _NAMES)
def test_every_block_has_a_form_that_can_be_run(name: str) -> None:
    for block in _blocks(name):
        check_syntax(block)


def test_what_is_not_run_is_little(capsys: pytest.CaptureFixture[str]) -> None:
    """The list is printed, so that a reader of the tests sees it."""
    blocks = [block for name in _NAMES for block in _blocks(name)]
    left_out = [f"{block.place}: {block.reason}" for block in blocks if block.reason is not None]
    with capsys.disabled():
        print("\nblocks of pages that are not run:", *left_out, sep="\n  ")  # noqa: T201  # the same
    assert len(left_out) * 6 < len(blocks), left_out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```\nls\n```\n", "needs a language"),
        ("```sh\nls\n", "no end"),
        ("<!-- test: whatever -->\n```sh\nls\n```\n", "'whatever' is no word"),
        ("<!-- test: not run: -->\n```sh\nls\n```\n", "needs a reason"),
    ],
)
def test_a_block_that_cannot_be_run_is_refused(tmp_path: Path, text: str, told: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(PageError, match=re.escape(told)):
        blocks_of(page, tmp_path)


def _read(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    folder = tmp_path / "reader"
    folder.mkdir()
    reader = Reader(folder)
    try:
        for block in blocks_of(page, tmp_path):
            reader.read(block)
    finally:
        reader.close()


def test_a_terminal_keeps_folder_variables_and_functions(tmp_path: Path) -> None:
    _read(
        tmp_path,
        """
`some/file.txt`:

```ini
here
```

```sh
cd some; NAME=1; told() { cat "$1"; }
```

`more.txt`:

```ini
there
```

```sh
told file.txt; told more.txt; echo $NAME
```

```text
here
there
1
```

<!-- test: terminal: other; until: begun -->
```sh
python -c 'print("begun", flush=True); import time; time.sleep(600)'
```

<!-- test: terminal: other; stop -->
```sh
pwd
```

```text
…/some
```

<!-- test: exit: 3 -->
```sh
(exit 3)
true
```

```python
print("from Python")
```

```text
from Python
```
""",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```sh\nfalse\ntrue\n```\n", "page.md:1: exit code 1, expected 0"),
        ("```sh\nif\n```\n", "page.md:1: exit code"),
        ("```text\na\n```\n", "output of no command"),
        ("```sh\necho b\n```\n\n```text\na\n```\n", "page.md:5: the page shows"),
        ("```python\nraise SystemExit(1)\n```\n", "exit code 1"),
        ("```sh\nexit\n```\n", "the shell has ended"),
        ("<!-- test: until: ready -->\n```sh\necho no\n```\n", "'ready' was not printed"),
        ('```json\n{"a": }\n```\n', "no json"),
    ],
)
def test_a_page_that_is_wrong_is_found(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PageError, match=re.escape(told)):
        _read(tmp_path, text)


@pytest.mark.parametrize(
    ("expected", "varies", "is_shown"),
    [
        ("b", False, True),
        ("b\nc", False, True),
        ("a\n…\nc", False, True),
        ("a\n…\nd", False, False),
        ("b\nb", False, False),
        ("at …:12 in", False, True),
        ("at x:13 in", False, False),
        ("at x:13 in", True, True),
        ("at x:1 in", True, True),
        ("at y:12 in", True, False),
        ("ABCDEF012345", True, True),
        ("", False, False),
    ],
)
def test_output_is_compared(expected: str, *, varies: bool, is_shown: bool) -> None:
    printed = "a\nb\nc\nat x:12 in\n98D0AFFE12345678\n"
    assert shows(expected, printed, varies=varies) is is_shown
