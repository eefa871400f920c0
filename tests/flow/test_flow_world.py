"""The workflow world stays narrow: at most 24 functions, and each one is served and described."""

import re
from pathlib import Path

from sandbox.host_api import CAPABILITIES, HOST_API, SUB_CAPABILITIES

ROOT = Path(__file__).parents[2]
WIT = (ROOT / "sandbox" / "wit" / "guest.wit").read_text()


def imported() -> dict[str, list[str]]:
    """Functions of every interface that the world `workflow` imports."""
    world = re.search(r"^world workflow \{(.*?)^\}", WIT, re.DOTALL | re.MULTILINE)
    assert world is not None
    found = {}
    for name in re.findall(r"import ([-a-z]+);", world[1]):
        body = re.search(rf"^interface {name} \{{(.*?)^\}}", WIT, re.DOTALL | re.MULTILINE)
        assert body is not None
        found[name] = re.findall(r"^  %?([-a-z]+): func\(", body[1], re.MULTILINE)
    return found


def test_the_workflow_world_imports_at_most_24_functions() -> None:
    counts = {name: len(functions) for name, functions in imported().items()}
    assert sum(counts.values()) == 24
    assert set(counts) == set(HOST_API)
    assert set(CAPABILITIES) - set(HOST_API) == {each.name for each in SUB_CAPABILITIES}


def test_every_function_stands_in_the_host_api_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "host-api.md").read_text()
    for name, functions in imported().items():
        section = reference.partition(f"\n## `{name}`")[2].partition("\n## ")[0]
        for function in functions:
            assert f"| `{function}` |" in section, f"{name}.{function}"


def test_the_contract_world_imports_nothing() -> None:
    world = re.search(r"^world contract \{(.*?)^\}", WIT, re.DOTALL | re.MULTILINE)
    assert world is not None
    assert "import" not in world[1]
