"""The syntax of one module, and what its names are bound to.

A build judges the modules of the SDK for each of its CPKs, and lint does it again: small modules
that were read lately are kept.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from host.tools.cordapps.module_names import absolute

IMPORTERS = ("__import__", "import_module")
"""Functions that import a module by its name, which stands in the text of who calls them."""
_KEPT_MODULES_MAX = 64
_KEPT_CHARACTERS_MAX = 32 * 1024
"""Of one module; its tree takes about 50 bytes a character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSyntax:
    """A module that was parsed; not to be changed, since others use it too.

    Attributes:
        tree: its syntax.
        origins: names that imports bind, with what they stand for; those also bound otherwise left
            out.
        constants: names that one statement of the module binds and nothing else, with the
            expression.
        has_importers: a function that imports by name may be called in it (`IMPORTERS`).
    """

    tree: ast.Module
    origins: Mapping[str, str]
    constants: Mapping[str, ast.expr]
    has_importers: bool


def module_syntax(path: str, text: str) -> ModuleSyntax:
    """Parse the file `path` of a bundle.

    Raises:
        SyntaxError, ValueError, RecursionError: it is no Python that this one can parse.
    """
    read = _kept if len(text) <= _KEPT_CHARACTERS_MAX else _parsed
    return read(path, text)


def _parsed(path: str, text: str) -> ModuleSyntax:
    tree = ast.parse(text, filename=path)
    imported: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, origin in _imported(path, node):
                imported.setdefault(name, set()).add(origin)
        else:
            for bound in _bound(node):
                counts[bound] = counts.get(bound, 0) + 1
    origins = {
        name: next(iter(found))
        for name, found in imported.items()
        if len(found) == 1 and name not in counts
    }
    return ModuleSyntax(
        tree=tree,
        origins=origins,
        constants=_constants(tree, counts),
        # Other characters may stand for those of a name.
        has_importers=not text.isascii() or any(name in text for name in IMPORTERS),
    )


_kept = lru_cache(maxsize=_KEPT_MODULES_MAX)(_parsed)


def _imported(path: str, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Names that an import binds, with what they stand for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or top, top
        return
    base = absolute(path, node.level, node.module or "")
    for alias in node.names:
        yield alias.asname or alias.name, f"{base}.{alias.name}"


def _bound(node: ast.AST) -> list[str]:
    """Names that a node binds itself, other than by an import."""
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [] if node.name is None else [node.name]
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names
    return []


def _constants(tree: ast.Module, counts: Mapping[str, int]) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        target: ast.expr | None = None
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        if isinstance(target, ast.Name) and counts[target.id] == 1:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if value is not None:
                found[target.id] = value
    return found
