"""What a build reads from the syntax of a module."""

import ast

import pytest

from host.tools.cordapps.module_syntax import module_syntax

TEXT = """
import os.path
import json as decoder
from . import near
from .far import one, two as other
from .far import one as twice
from .near import one as twice
if late:
    import os
LIMIT = 3
LIMIT_TWICE = 1
LIMIT_TWICE = 2
HINTED: int = 4
def other(argument): pass
match LIMIT:
    case [*HINTED]: pass
"""


def test_names_of_imports_stand_for_what_they_are_bound_to_alone() -> None:
    found = module_syntax("pkg/app.py", TEXT).origins
    assert found == {
        "os": "os",
        "decoder": "json",
        "near": "pkg.near",
        "one": "pkg.far.one",
    }


def test_constants_are_bound_by_one_statement_of_the_module() -> None:
    found = module_syntax("pkg/app.py", TEXT).constants
    assert {name: ast.unparse(value) for name, value in found.items()} == {"LIMIT": "3"}


def test_a_small_module_is_parsed_once_for_each_path() -> None:
    assert module_syntax("pkg/app.py", TEXT) is module_syntax("pkg/app.py", TEXT)
    assert module_syntax("other/app.py", TEXT).origins["near"] == "other.near"
    assert module_syntax("pkg/app.py", TEXT).origins["near"] == "pkg.near"


def test_a_large_module_is_not_kept() -> None:
    large = TEXT + "#" * 33_000
    assert module_syntax("app.py", large) is not module_syntax("app.py", large)


def test_what_is_no_python_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(SyntaxError):
            module_syntax("app.py", "def (")
