"""Where the CorDapp's classes stand in their sources: for what a build says about them."""

import ast
import sys
from functools import cache
from typing import Any

_NAMED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def tree_of(module: str) -> ast.Module | None:
    """The syntax tree of a module that is loaded; None if its source cannot be had."""
    loader = getattr(sys.modules.get(module), "__loader__", None)
    if sys.platform == "wasi" and loader not in sys.meta_path:
        return None  # of the runtime, whose files are not there any more
    try:
        return ast.parse(loader.get_source(module)) if loader is not None else None
    except (AttributeError, ImportError, OSError, SyntaxError, TypeError, ValueError):
        return None


def file_of(module: str) -> str:
    """The file of a module, as in a bundle and in traces."""
    is_package = hasattr(sys.modules.get(module), "__path__")
    return module.replace(".", "/") + ("/__init__.py" if is_package else ".py")


def place_of(cls: type[Any], member: str | None = None) -> str:
    """`file:line` of a class, or of its field or method; the file alone if there is no source."""
    for base in cls.__mro__ if member is not None else (cls,):
        node = _class(base)
        line = None if node is None else _line(node, member)
        if line is not None:
            return f"{file_of(base.__module__)}:{line}"
    node = _class(cls)
    file = file_of(cls.__module__)
    return file if node is None else f"{file}:{_line(node, None)}"


def field_naming(cls: type[Any], name: str) -> str | None:
    """The field whose annotation contains a name; None if there is none, or no source."""
    for base in cls.__mro__:
        for inner in getattr(_class(base), "body", ()):
            target = getattr(inner, "target", None)
            if isinstance(inner, ast.AnnAssign) and isinstance(target, ast.Name):
                nodes = ast.walk(inner.annotation)
                parts = (getattr(node, "id", getattr(node, "value", None)) for node in nodes)
                if any(isinstance(part, str) and name in part for part in parts):
                    return target.id
    return None


def _class(cls: type[Any]) -> ast.AST | None:
    node: ast.AST | None = tree_of(cls.__module__)
    for name in cls.__qualname__.split("."):
        if node is not None and name != "<locals>":
            same = (n for n in ast.walk(node) if isinstance(n, _NAMED) and n.name == name)
            node = next(same, None)
    return node if isinstance(node, ast.ClassDef) else None


def _line(node: ast.AST, member: str | None) -> int | None:
    if member is None:
        return getattr(node, "lineno", None)
    for inner in getattr(node, "body", ()):
        named = isinstance(inner, _NAMED) and inner.name == member
        targets = [getattr(inner, "target", None), *getattr(inner, "targets", ())]
        if named or any(isinstance(t, ast.Name) and t.id == member for t in targets):
            return int(inner.lineno)
    return None
