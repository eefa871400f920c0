"""The promises about application networks name tests that exist, each promise at least one."""

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = _ROOT / "docs/explanation/networks.md"
_PROMISES = 13


def test_every_promise_is_checked_by_tests_that_exist() -> None:
    rows = [
        line
        for line in _PAGE.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| S[0-9]", line)
    ]
    assert [row.split("|")[1].strip() for row in rows] == [f"S{n + 1}" for n in range(_PROMISES)]
    sources = [path.read_text(encoding="utf-8") for path in (_ROOT / "tests").rglob("test_*.py")]
    defined = {
        name for text in sources for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    }
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named <= defined, row
        assert named or "the model" in row, row
