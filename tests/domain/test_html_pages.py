"""Pages that are made of other people's texts."""

import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from host.domain.printable import printable
from host.tools.html_pages import code, render

BEL, RIGHT_TO_LEFT = "\x07", "\u202e"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a template of its own."""
    name = "pages_of_a_test"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "p.html.jinja").write_text(
        '<p title="{{ text }}">{{ text }}</p>{{ lines[0] }}{% include "p.css" %}'
    )
    (folder / "p.css").write_text("a { color: red }")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def test_texts_are_escaped_wherever_they_stand(package: str) -> None:
    page = render(package, "p.html.jinja", text='"><script>', lines=[code("<b>")])
    escaped = "&#34;&gt;&lt;script&gt;"
    assert page == (f'<p title="{escaped}">{escaped}</p><code>&lt;b&gt;</code>a {{ color: red }}')


def test_what_is_not_printable_is_shown(package: str) -> None:
    page = render(package, "p.html.jinja", text=f"{BEL}a", lines=[code(RIGHT_TO_LEFT)])
    assert page.startswith(r'<p title="\x07a">\x07a</p><code>\u202e</code>')
    assert printable("Zürich\n2") == r"Zürich\n2"


def test_a_value_that_is_missing_is_an_error(package: str) -> None:
    with pytest.raises(UndefinedError, match="lines"):
        render(package, "p.html.jinja", text="")
