"""Modules and functions of the product are no longer than CONTRIBUTING.md says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("cpi", "host", "plugins", "sandbox", "sample_cordapps")
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def limit(of: str) -> int:
    """The number of lines that CONTRIBUTING.md allows a module or a function."""
    found = re.search(rf"(?i)\ba {of} (?:has )?at most (\d+) lines", " ".join(TEXT.split()))
    assert found is not None, of
    return int(found[1])


def sources() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def too_long(path: str, text: str, most: int) -> list[str]:
    """Functions of one module that are longer than `most`, decorators left out."""
    return [
        f"{path}:{node.lineno} {node.name}: {length} lines, at most {most}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > most
    ]


def test_no_module_is_too_long() -> None:
    most = limit("module")
    found = {path: lines for path, text in sources() if (lines := len(text.splitlines())) > most}
    assert not found, f"divide them by meaning, at most {most} lines each"


def test_no_function_is_too_long() -> None:
    most = limit("function")
    assert not [each for path, text in sources() for each in too_long(path, text, most)]


def test_functions_are_measured_with_their_signature_and_docstring() -> None:
    text = "class C:\n    @staticmethod\n    def f(\n        a: int,\n    ) -> int:\n        'What.'\n        return a\n"
    assert too_long("m.py", text, 5) == []
    assert too_long("m.py", text, 4) == ["m.py:3 f: 5 lines, at most 4"]
