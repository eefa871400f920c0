"""The registry of error codes is complete: what is raised is in it, and what is in it is raised."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cpi.errors import Code
from host.cli.error_registry import RegisteredCode, error_classes, registered
from host.domain.error_codes import calls, ends, findings, refusals, routing, storage, tools
from host.domain.errors import NotFoundError
from tests.docs.raised_codes import ATTACKS, ROOT, Source, made, raised, sources

KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
ABSTRACT = {"cpi-error", "data-file", "guest-stopped", "host-error", "sandbox-error"}
"""Codes of base classes, of which only subclasses are raised."""
NO_CODES = {"FLOW_FAILED", "error", "unknown", "failed", "ok", "process", "shared", "Code"}
"""Corda's type of failures in flow code, fallbacks for errors without a code, outcomes of acts in the
administrative log, isolation modes, and a label of the console."""


# Reading all sources takes seconds: only for these tests, not whenever tests are collected.
@pytest.fixture(scope="module")
def found() -> list[Source]:
    return sources()


@pytest.fixture(scope="module")
def given(found: list[Source]) -> dict[str, list[str]]:
    """The codes that the sources give, and where."""
    return raised(found)


@pytest.fixture(scope="module")
def used(found: list[Source]) -> set[str]:
    """Names that the sources use otherwise than to catch or to compare."""
    return made(found)


@pytest.fixture(scope="module")
def registry() -> Mapping[str, RegisteredCode]:
    return registered()


def test_every_code_that_the_sources_give_is_registered(
    given: dict[str, list[str]], registry: Mapping[str, RegisteredCode]
) -> None:
    assert len(given) > 250
    unknown = {
        code: places
        for code, places in given.items()
        if code not in registry and code not in ABSTRACT | NO_CODES and code
    }
    assert unknown == {}, "add cause and remedy to a table of host/domain/error_codes"


def test_every_registered_code_is_given_by_the_sources(
    given: dict[str, list[str]], registry: Mapping[str, RegisteredCode]
) -> None:
    assert sorted(set(registry) - set(given) - set(routing.REST)) == []


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


def test_every_error_class_with_a_code_can_be_raised(used: set[str]) -> None:
    unused = []
    for code, kind in error_classes().items():
        same = [k for k in _tree(kind) if k.__dict__.get("code", code) == code]
        if code not in ABSTRACT and not any(k.__name__ in used for k in same):
            unused.append(code)
    assert unused == []


def test_base_classes_are_never_raised_themselves(found: list[Source]) -> None:
    kinds = {error_classes()[code].__name__ for code in ABSTRACT}
    places = [
        path
        for source in found
        if not source.name.startswith(ATTACKS)  # the gauntlet catches its own
        for path in re.findall(
            rf"raise (?:{'|'.join(kinds)})\(", source.path.read_text(encoding="utf-8")
        )
    ]
    assert places == []


def test_every_code_of_packages_is_used(used: set[str]) -> None:
    assert [member.value for member in Code if member.name not in used] == []


def test_cause_and_remedy_are_sentences(registry: Mapping[str, RegisteredCode]) -> None:
    assert {code for code, entry in registry.items() if not entry.seen} == set()
    wrong = [
        (code, text)
        for code, entry in registry.items()
        for text in (entry.cause, entry.remedy)
        if not _is_sentence(text)
    ]
    assert wrong == []


def _is_sentence(text: str) -> bool:
    begins = text[:1].isupper() or text.startswith("`")
    return begins and text.endswith(".") and "\n" not in text


def test_absent_objects_are_named_by_kind_and_id(found: list[Source]) -> None:
    kinds = {kind.__name__ for kind in _tree(NotFoundError)} - {"FlowNotFoundError"}
    calls_of = [
        (source.place(node), {keyword.arg for keyword in node.keywords})
        for source in found
        for node in source.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds
    ]
    assert len(calls_of) > 10
    assert [place for place, given in calls_of if not {"kind", "named"} <= given] == []


def _tree(kind: type) -> list[type]:
    return [kind, *(below for each in kind.__subclasses__() for below in _tree(each))]


def test_pages_name_registered_codes_only(registry: Mapping[str, RegisteredCode]) -> None:
    """Rows of `docs/reference/errors.md` are those of the registry."""
    text = (Path(ROOT) / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE) == list(registry)
