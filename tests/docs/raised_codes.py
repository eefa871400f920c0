"""Which error codes the sources give to errors, findings and answers, and where."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cpi", "sandbox", "host", "plugins")
LEFT_OUT = ("sandbox/runtime_app", "error_codes")
"""The loader inside guests, and the registry itself."""
ATTACKS = "host.tools.audit.gauntlet"
"""Attacks end with words of their own; only the classes of errors there have codes."""
POSITIONS = {
    "CallTooSlowError": 0,
    "CapabilityError": 0,
    "CordaRuntimeError": 0,
    "FlowFailedError": 0,
    "GuestKilledError": 0,
    "_failure": 2,
    "_report": 0,
}
"""Calls whose code is the argument at this position."""
TYPED = {"FlowError", "FlowFailedInGuest"}
"""Calls whose keyword `type` is a code."""


class Source:
    """One module: the nodes of its syntax tree with links to parents."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        self.nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
        self.parents: dict[ast.AST, ast.AST] = {}
        for node in self.nodes:  # grows meanwhile
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
                self.nodes.append(child)

    def place(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def sources() -> list[Source]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [
        Source(path)
        for path in paths
        if not any(part in path.as_posix() for part in LEFT_OUT)
        and "node_modules" not in path.parts
        and not path.name.startswith("test_")
    ]


def raised(found: list[Source]) -> dict[str, list[str]]:
    """Code -> places that give it to something."""
    codes: dict[str, list[str]] = defaultdict(list)
    for source in found:
        for node in source.nodes:
            if source.name.startswith(ATTACKS) and not isinstance(node, ast.Assign):
                continue
            for value in _given(source, node):
                for code in _texts(source, value):
                    codes[code].append(source.place(value))
    return codes


def _given(source: Source, node: ast.AST) -> Iterator[ast.expr]:
    """Expressions whose value is a code."""
    if isinstance(node, ast.Call):
        name = _last_name(node.func)
        position = POSITIONS.get(name)
        if position is not None and len(node.args) > position:
            yield node.args[position]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "__init__" and node.args:
            yield from (node.args[0],) if _extends_a_carrier(source, node) else ()
        for keyword in node.keywords:
            if keyword.arg == "code" or (keyword.arg == "type" and name in TYPED):
                yield keyword.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "code":
                yield value
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (node.value,) if any(_last_name(t) == "code" for t in targets) else ()
    elif isinstance(node, ast.ClassDef) and node.name.endswith("Code"):
        members = (s.value for s in node.body if isinstance(s, ast.Assign))
        yield from members if any(_last_name(b) == "StrEnum" for b in node.bases) else ()


def _extends_a_carrier(source: Source, node: ast.AST) -> bool:
    """Whether the call stands in a class whose base takes its code as first argument."""
    parent: ast.AST | None = node
    while parent is not None and not isinstance(parent, ast.ClassDef):
        parent = source.parents.get(parent)
    return parent is not None and any(_last_name(base) in POSITIONS for base in parent.bases)


def _texts(source: Source, value: ast.expr) -> Iterator[str]:
    """The texts that an expression can have: literals, constants, members of enumerations."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(source, body)
            yield from _texts(source, orelse)
        case ast.BoolOp(values=values):
            for each in values:
                yield from _texts(source, each)
        case ast.Name(id=name) if name.isupper() or name.startswith("_"):
            yield from _constant(getattr(import_module(source.name), name, None))
        case ast.Attribute(value=ast.Name(id=owner), attr=attribute) if owner[:1].isupper():
            holder = getattr(import_module(source.name), owner, None)
            yield from _constant(getattr(holder, attribute, None))
        case ast.Attribute(value=inner, attr="value"):
            yield from _texts(source, inner)
        case _:
            return


def _constant(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield str(value)


def _last_name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""


def made(found: list[Source]) -> set[str]:
    """Names of classes and members that the sources use otherwise than to catch or to compare."""
    names: set[str] = set()
    for source in found:
        for node in source.nodes:
            if isinstance(node, ast.Name | ast.Attribute) and _is_made(source, node):
                names.add(_last_name(node))
    return names


def _is_made(source: Source, node: ast.AST) -> bool:
    if not isinstance(getattr(node, "ctx", None), ast.Load):
        return False
    parent = source.parents.get(node)
    while isinstance(parent, ast.Tuple | ast.BinOp):
        node, parent = parent, source.parents.get(parent)
    match parent:
        case ast.ExceptHandler() | ast.ClassDef() | ast.arg() | ast.Compare():
            return False
        case ast.AnnAssign(annotation=annotation) if annotation is node:
            return False
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass" | "suppress")):
            return False
        case ast.Subscript():
            return False
        case _:
            return True
