"""Lines of the documentation are wrapped at 120 columns."""

import importlib.util
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("wrap", _ROOT / "docs/wrap.py")
assert _SPEC is not None
assert _SPEC.loader is not None
wrap = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(wrap)


def test_all_pages_are_wrapped() -> None:
    pages = wrap.pages()
    assert len(pages) > 50
    assert [
        page.relative_to(_ROOT).as_posix()
        for page in pages
        if wrap.wrapped(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")
    ] == [], "run `python docs/wrap.py`"


def test_a_paragraph_is_filled_and_what_has_a_form_stays() -> None:
    words = "word " * 40
    code = "```\n" + "x" * 200 + "\n```"
    table = "| " + "cell " * 60 + "|"
    wrapped = wrap.wrapped(f"# {words}\n\n- {words}`a b` 1. one\n\n{code}\n\n{table}\n")
    lines = wrapped.split("\n")
    assert [len(line) > wrap.WIDTH for line in lines].count(True) == 3
    assert lines[3].startswith("  word")
    assert wrap.wrapped(wrapped) == wrapped
    assert not any(line.lstrip().startswith("1.") for line in lines)
