"""The pages about Python are complete, and what they say of types and modules is so."""

import doctest
import importlib
import importlib.util
import json
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import cordapp
import cordapp_testkit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
python_reference = importlib.import_module("python_reference")
type_forms = importlib.import_module("type_forms")
PAGE = (ROOT / "docs/reference/python-api.md").read_text(encoding="utf-8")
MODULES = list(python_reference.present())


def test_every_module_of_sdk_and_kit_is_public_or_internal() -> None:
    found = {
        f"{package.__name__}.{module.name}"
        for package in (cordapp, cordapp_testkit)
        for module in pkgutil.iter_modules(package.__path__)
    }
    assert found - set(python_reference.PUBLIC) - set(python_reference.INTERNAL) == set()


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_stands_in_the_page(module: str) -> None:
    part = PAGE.partition(f"\n## `{module}`\n")[2].partition("\n## ")[0]
    names = python_reference.public_names(module)
    assert names
    for each in names:
        if each.node is None:
            assert f"`{each.name}`" in part
            continue
        assert re.search(rf"^### (?:\w+ )?`{each.name}`$", part, re.MULTILINE), each.name
        for method in python_reference._methods(each.node) if _is_class(each.node) else ():
            assert f"**`{each.name}.{method.name}" in part, (each.name, method.name)


def part_of(heading: str) -> str:
    return PAGE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]


def test_attributes_that_are_set_in_the_constructor_stand_in_the_page() -> None:
    assert "| `virtual_node_name` | `str` |" in part_of("class `FlowEngine`")
    assert "| `counterparty` | `str` |" in part_of("class `FlowSession`")
    assert "| `results` | `list[E]` |" in part_of("class `ResultSet`")


def test_the_type_of_each_attribute_is_known() -> None:
    unknown = [
        f"{each.name}.{name}"
        for module in MODULES
        for each in python_reference.public_names(module)
        if _is_class(each.node)
        for name, kind in python_reference.set_attributes(each.node).items()
        if kind == "…" and f"{each.name}.{name}" not in python_reference._FOR_THE_KIT
    ]
    assert unknown == []


def test_types_and_other_names_of_methods_stand_in_the_page() -> None:
    assert "A public key as PEM" in part_of("`PublicKey`")
    assert "**`StateRef.parse(" in part_of("class `StateRef`")


def test_examples_in_docstrings_keep_their_lines() -> None:
    assert "```python\n>>> @initiating_flow(" in part_of("`initiating_flow`")
    assert not re.search(r"^(?!\.\.\. ).* \.\.\. ", PAGE, re.MULTILINE)
    assert '\n```text\n@entity("id", version=2' in PAGE


def test_every_public_name_has_a_docstring() -> None:
    assert list(python_reference.undocumented()) == []


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    found = [
        example
        for module in MODULES
        for part in finder.find(importlib.import_module(module))
        for example in part.examples
    ]
    assert len(found) >= 10


@pytest.mark.parametrize(("name", "hint", "value"), type_forms.EXAMPLES, ids=lambda v: str(v)[:40])
def test_the_example_of_a_type_comes_back(name: str, hint: Any, value: Any) -> None:
    if not type_forms.supported(hint, value):
        return
    back = type_forms.comes_back(hint, value)
    assert back == value
    assert type(back) is type(value) or name.startswith(("list", "Any"))
    json.dumps(type_forms.with_hint(value, hint))


def test_the_codecs_scalars_stand_in_the_table() -> None:
    """Types that the codec writes as text by a table of its own."""
    texts = importlib.util.find_spec("cordapp.texts")
    if texts is None:
        return
    scalars = importlib.import_module("cordapp.texts").SCALARS
    hints = {hint for _, hint, _ in type_forms.EXAMPLES if isinstance(hint, type)}
    assert {kind for kind in scalars if isinstance(kind, type)} - hints - {type(None)} == set()


def _is_class(node: object) -> bool:
    return type(node).__name__ == "ClassDef"
