"""The machines do no I/O: neither they nor what they import of this room reaches the outside."""

import ast
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "host" / "flow" / "core"
PURE = sorted(path.stem for path in ROOM.glob("*.py") if path.stem != "__init__")
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
    own = {m for m in modules if m.startswith("host.flow")}
    assert all(m.startswith("host.flow.core") for m in own)
    assert not any(m.startswith(("host.adapters", "host.database")) for m in modules)


def test_the_room_is_where_this_looks() -> None:
    assert {"machine", "session", "mapper"} <= {*PURE}
