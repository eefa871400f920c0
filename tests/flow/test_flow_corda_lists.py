"""Every test of Corda's flow lists is proved under its name, or is listed with the reason."""

import ast
from pathlib import Path

from tests.flow.corda_names import LISTS

TESTS = Path(__file__).parents[1]
LISTED = TESTS.parent / "docs" / "reference" / "corda-test-lists.md"
FILES = [*(TESTS / "flow").glob("test_flow_corda_*.py"), TESTS / "rest/test_rest_corda_flows.py"]


def proved() -> list[tuple[str, int]]:
    """Test class and number of every name that a test function carries."""
    found = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "named":
                    test_class, *numbers = map(ast.literal_eval, mark.args)
                    found += [(test_class, number) for number in numbers]
    return found


def listed() -> set[tuple[str, str]]:
    """Test class and name of every row with a reason."""
    rows = [line.strip("| ").split(" | ") for line in LISTED.read_text().splitlines()]
    return {(row[0], row[1]) for row in rows if len(row) == 3 and row[2].strip()}


def test_the_lists_are_complete() -> None:
    sizes = {test_class: len(names) for test_class, names in LISTS.items()}
    assert sum(sizes.values()) == 141
    assert sizes["ReceiveAcceptanceTest"] == 14
    assert sizes["FlowRestResourceImplTest"] == 22


def test_every_name_is_proved_once_or_listed_with_a_reason() -> None:
    numbers = proved()
    assert len(set(numbers)) == len(numbers)
    names = {(c, LISTS[c][number - 1]) for c, number in numbers}
    everything = {(c, name) for c, names_ in LISTS.items() for name in names_}
    assert names | (listed() & everything) == everything
    assert names & listed() == set()
