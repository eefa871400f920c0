"""The pages of log events and environment variables are complete; a host's part is in tests/rest."""

import importlib
import re
import sys
from pathlib import Path

from host.observe.log_events import EVENTS
from host.settings.variables import _OF_THE_TESTS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
operations = importlib.import_module("operations_reference")


def test_every_logged_event_has_a_meaning_and_the_reverse() -> None:
    logged = operations.events()
    assert len(logged) > 60
    assert sorted(set(logged) ^ set(EVENTS)) == []
    assert all(meaning.endswith(".") for meaning in EVENTS.values())


def test_every_line_of_the_log_has_an_event() -> None:
    assert set(operations.lines_without_event()) == {
        "logging.getLogger('cordbox.rest.http')",
        "logging.getLogger('opentelemetry')",
    }  # silenced


def test_every_variable_of_sources_and_pages_is_listed() -> None:
    page = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(CORDBOX_[A-Z0-9_]+)`", page)) | _OF_THE_TESTS
    sources = [
        path
        for folder in ("cpi", "sandbox", "host", "plugins", "docs")
        for kind in ("*.py", "*.md")
        for path in (ROOT / folder).rglob(kind)
        if "node_modules" not in path.parts
    ]
    missing = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in sources
        for name in re.findall(r"\bCORDBOX_[A-Z0-9_]*[A-Z0-9]\b", path.read_text(encoding="utf-8"))
        if name not in listed
    }
    assert missing == set()


def test_every_metric_has_a_meaning() -> None:
    found = operations.metrics()
    assert len(found) > 25
    names = [facts.name for facts in found]
    assert len(set(names)) == len(names)
    assert all(facts.meaning.endswith(".") for facts in found)
