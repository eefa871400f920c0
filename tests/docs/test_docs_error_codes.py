"""The registry of error codes is complete: what is raised is in it, and what is in it is raised."""

import ast
import re
from pathlib import Path

import pytest

from cpi.errors import Code
from host.cli.error_registry import RegisteredCode, error_classes, registered
from host.domain.error_codes import calls, ends, findings, refusals, routing, storage, tools
from host.domain.errors import NotFoundError
from tests.docs.raised_codes import ATTACKS, ROOT, made, raised, sources

FOUND = sources()
RAISED = raised(FOUND)
REGISTRY = registered()
MADE = made(FOUND)
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
ABSTRACT = {"cpi-error", "data-file", "guest-stopped", "host-error", "sandbox-error"}
"""Codes of base classes, of which only subclasses are raised."""
NO_CODES = {"FLOW_FAILED", "error", "unknown", "failed", "ok", "process", "shared"}
"""Corda's type of failures in flow code, fallbacks for errors without a code, outcomes of acts in the
administrative log, and isolation modes."""


def test_every_code_that_the_sources_give_is_registered() -> None:
    assert len(RAISED) > 250
    unknown = {
        code: places
        for code, places in RAISED.items()
        if code not in REGISTRY and code not in ABSTRACT | NO_CODES and code
    }
    assert unknown == {}, "add cause and remedy to a table of host/domain/error_codes"


def test_every_registered_code_is_given_by_the_sources() -> None:
    given = set(RAISED) | set(routing.REST)
    assert sorted(set(REGISTRY) - given) == []


def test_no_code_stands_in_two_tables() -> None:
    tables = (
        refusals.REMEDIES,
        storage.REMEDIES,
        tools.REMEDIES,
        calls.CODES,
        ends.CODES,
        findings.CODES,
        routing.COMMANDS,
        routing.REST,
    )
    codes = [code for table in tables for code in table]
    assert sorted({code for code in codes if codes.count(code) > 1}) == []
    assert [code for code in codes if not KEBAB.fullmatch(code)] == []


def test_every_error_class_with_a_code_can_be_raised() -> None:
    unused = []
    for code, kind in error_classes().items():
        same = [k for k in _tree(kind) if k.__dict__.get("code", code) == code]
        if code not in ABSTRACT and not any(k.__name__ in MADE for k in same):
            unused.append(code)
    assert unused == []


def test_base_classes_are_never_raised_themselves() -> None:
    kinds = {error_classes()[code].__name__ for code in ABSTRACT}
    places = [
        path
        for source in FOUND
        if not source.name.startswith(ATTACKS)  # the gauntlet catches its own
        for path in re.findall(
            rf"raise (?:{'|'.join(kinds)})\(", source.path.read_text(encoding="utf-8")
        )
    ]
    assert places == []


def test_every_code_of_packages_is_used() -> None:
    assert [member.value for member in Code if member.name not in MADE] == []


@pytest.mark.parametrize("entry", REGISTRY.values(), ids=lambda entry: entry.code)
def test_cause_and_remedy_are_sentences(entry: RegisteredCode) -> None:
    for text in (entry.cause, entry.remedy):
        assert text[:1].isupper() or text.startswith("`"), text
        assert text.endswith("."), text
        assert "\n" not in text
    assert entry.seen


def test_absent_objects_are_named_by_kind_and_id() -> None:
    kinds = {kind.__name__ for kind in _tree(NotFoundError)} - {"FlowNotFoundError"}
    found = [
        (source.place(node), {keyword.arg for keyword in node.keywords})
        for source in FOUND
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds
    ]
    assert len(found) > 10
    assert [place for place, given in found if not {"kind", "named"} <= given] == []


def _tree(kind: type) -> list[type]:
    return [kind, *(below for each in kind.__subclasses__() for below in _tree(each))]


def test_pages_name_registered_codes_only() -> None:
    """Rows of `docs/reference/errors.md` are those of the registry."""
    text = (Path(ROOT) / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE) == list(REGISTRY)
