"""Names of Corda's own tests of its flow engine, mapper, sessions and flow REST resource.

A test that proves what one of Corda's tests proves carries its name as pytest id; the lists stand
in `corda_test_names.json`, by test class and in Corda's order.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LISTS: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "corda_test_names.json").read_text()
)


def named(test_class: str, *numbers: int) -> Callable[[Any], Any]:
    """Give a test the names of Corda's tests `numbers` (from 1) of `test_class`."""
    names = [LISTS[test_class][number - 1] for number in numbers]
    return pytest.mark.parametrize("corda", [test_class] * len(names), ids=names)
