"""Marks the tests of the cores, whose lines are counted: CI runs them once, when it counts.

A core is where input of strangers is judged, or where decisions are made without input or output
(`tests/coverage.py`). Slow tests, properties and downloads are left out, since counting takes time.
"""

from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
_FOLDERS = ("cpi", "certificates", "domain", "ledger")
_FILES = (
    "docs/test_docs_error_codes.py",
    "flow/test_flow_chunks.py",
    "flow/test_flow_corda_engine.py",
    "flow/test_flow_corda_mapper.py",
    "flow/test_flow_corda_sessions.py",
    "flow/test_flow_core_values.py",
    "flow/test_flow_descendants.py",
    "flow/test_flow_engine.py",
    "flow/test_flow_failures.py",
    "flow/test_flow_formats.py",
    "flow/test_flow_golden.py",
    "flow/test_flow_machine.py",
    "flow/test_flow_peer_messages.py",
    "flow/test_flow_sessions.py",
    "flow/test_flow_time.py",
    "flow/test_flow_trace_context.py",
    "notary/test_notary_batches.py",
    "notary/test_notary_server.py",
    "rest/test_rest_pages.py",
    "services/test_entity_order.py",
    "services/test_ledger_ops.py",
    "services/test_ledger_rules.py",
    "services/test_merkle.py",
    "services/test_notary_databases.py",
)
"""Of `flow` those that reach every line of the machines; the others run whole engines and processes."""
_NOT_COUNTED = ("slow", "property", "network")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "core: of a core, counted by `make coverage-cores`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_core(item.path) and not any(map(item.get_closest_marker, _NOT_COUNTED)):
            item.add_marker("core")


def is_core(path: Path) -> bool:
    """Whether the tests of a file are about a core."""
    if not path.is_relative_to(_TESTS):
        return False
    name = path.relative_to(_TESTS)
    return name.parts[0] in _FOLDERS or name.as_posix() in _FILES


def leaves_out(text: str) -> bool:
    """Whether the text of a file marks tests that are not counted."""
    return any(f"mark.{mark}" in text for mark in _NOT_COUNTED)


if __name__ == "__main__":
    print(*(f"{_TESTS.name}/{name}" for name in (*_FOLDERS, *_FILES)))  # noqa: T201  # for the Makefile
