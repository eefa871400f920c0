"""The machines do no I/O: neither they nor what they import of this room reaches the outside."""

import ast
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "host" / "flow"
PURE = (
    "aside",
    "births",
    "calls",
    "checkpoint",
    "config",
    "context_keys",
    "dispatch",
    "hops",
    "journal",
    "machine",
    "mapper",
    "messages",
    "payloads",
    "notes",
    "requests",
    "retry",
    "session",
    "stored",
    "turns",
)
OUTSIDE = {
    "asyncio",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
    "uuid",
}


def imported(name: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOM / f"{name}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", PURE)
def test_a_machine_imports_nothing_of_the_outside(name: str) -> None:
    modules = imported(name)
    assert not {m.partition(".")[0] for m in modules} & OUTSIDE
    own = {m.split(".")[2] for m in modules if m.startswith("host.flow.")}
    assert own <= {*PURE, "errors"}
    assert not any(m.startswith(("host.bus", "host.db")) for m in modules)
