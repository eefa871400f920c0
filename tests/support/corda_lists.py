"""What stands in the page of Corda's test lists, and whether it proves anything."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "corda-test-lists.md"
NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")
_REASON_CHARACTERS_MIN = 25


def rows(page):
    """First and second column of all rows of tables, but heads."""
    for line in page.splitlines():
        cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
        if line.startswith("| ") and len(cells) == 2 and cells[0] != "Corda's test":
            yield cells


def proofs(page, classes):
    """Test class -> [(name, what stands for it)] for the classes of a list."""
    found = {each: [] for each in classes}
    for first, second in rows(page):
        test_class, _, names = first.partition(": ")
        for name in names.split("; ") if test_class in found else ():
            found[test_class].append((name, second))
    return found


@cache
def functions_of(file):
    """Names of the test functions of a file, also of those in classes."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def problem(proof):
    """What is wrong with what stands for a test, or None."""
    named = NAMED.findall(proof)
    for file, test in named:
        if not (ROOT / file).is_file():
            return f"{file} does not exist"
        if not test:
            return f"{file} is named without a test"
        if test not in functions_of(file):
            return f"{file} has no {test}"
    if not named and len(proof) < _REASON_CHARACTERS_MIN:
        return f"neither test nor reason: {proof}"
    return None


def wrong_rows(test_class, names):
    """What is wrong with the rows of a test class: names, and proofs that are none."""
    found = proofs(PAGE.read_text(encoding="utf-8"), {test_class})[test_class]
    counts = Counter(name for name, _ in found)
    counts.subtract(names)
    wrong = {
        name: "missing" if count < 0 else "too many" for name, count in counts.items() if count
    }
    return wrong | {name: told for name, proof in found if (told := problem(proof))}
