"""Resolves names in one module from its syntax tree: imports, scopes, types."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_SET_TYPES = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet"})
_SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
_SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)


@dataclass(slots=True)
class Names:
    """The names of one module.

    Attributes:
        imported: local name -> the imported name, such as `datetime.datetime`.
        module: names that the module binds itself, imports included.
        annotations: name or attribute -> the simple type names that it is annotated with, anywhere.
    """

    imported: dict[str, str] = field(default_factory=dict)
    module: set[str] = field(default_factory=set)
    annotations: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: ast.Module) -> "Names":
        names = cls(module=bound_names(tree.body))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name if alias.asname else alias.name.partition(".")[0]
                    names.imported[alias.asname or top] = top
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    names.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.AnnAssign):
                names.annotate(node.target, node.annotation)
            elif isinstance(node, ast.arg) and node.annotation is not None:
                names.annotate(ast.Name(id=node.arg), node.annotation)
        return names

    def annotate(self, target: ast.expr, annotation: ast.expr) -> None:
        """Remember the type names of an annotation."""
        name = last_name(target)
        if name:
            self.annotations.setdefault(name, set()).update(type_names(annotation))

    def dotted(self, node: ast.expr) -> str | None:
        """The imported name of an expression such as `dt.now`; None for others."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.dotted(node.value)
            return owner and f"{owner}.{node.attr}"
        return None


def last_name(node: ast.expr) -> str | None:
    """`x` of `x` and of `a.b.x`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def type_names(annotation: ast.expr) -> Iterator[str]:
    """The outermost type names of an annotation: `set` of `set[str] | None`."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            yield from type_names(ast.parse(annotation.value, mode="eval").body)
        except SyntaxError:
            return
    elif isinstance(annotation, ast.BinOp):
        yield from type_names(annotation.left)
        yield from type_names(annotation.right)
    elif isinstance(annotation, ast.Subscript):
        outer = last_name(annotation.value)
        if outer in ("Annotated", "Optional", "Final", "ClassVar", "Union"):
            inner = annotation.slice
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            for item in items[:1] if outer == "Annotated" else items:
                yield from type_names(item)
        elif outer:
            yield outer
    else:
        name = last_name(annotation)
        if name:
            yield name


def bound_names(body: list[ast.stmt] | list[ast.expr]) -> set[str]:
    """Names that statements bind in their own scope, without nested scopes."""
    found: set[str] = set()
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        stack += ast.iter_child_nodes(node)
    return found


def local_names(function: Function) -> set[str]:
    """Names that are local to a function: parameters and names bound in its body."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [a for a in (arguments.vararg, arguments.kwarg) if a]
    body = [function.body] if isinstance(function, ast.Lambda) else function.body
    bound = bound_names(list(body))  # type: ignore[arg-type]  # both lists hold nodes
    declared = {n for s in ast.walk(function) if isinstance(s, ast.Global) for n in s.names}
    return {a.arg for a in every} | (bound - declared)


@dataclass(slots=True)
class SetTypes:
    """Which expressions are sets: by displays, constructors, operators, annotations.

    `variables` are names that were assigned a set in the enclosing scopes.
    """

    names: Names
    variables: set[str] = field(default_factory=set)

    def is_set(self, node: ast.expr) -> bool:
        """Whether the expression is certainly a set."""
        if isinstance(node, (ast.Set, ast.SetComp)):
            return True
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = last_name(node) or ""
            if isinstance(node, ast.Name) and name in self.variables:
                return True
            types = self.names.annotations.get(name, set()) - {"None"}
            return bool(types) and types <= _SET_TYPES
        if isinstance(node, ast.BinOp) and isinstance(node.op, _SET_OPERATORS):
            return self._is_view(node.left) or self._is_view(node.right)
        if isinstance(node, ast.IfExp):
            return self.is_set(node.body) or self.is_set(node.orelse)
        return isinstance(node, ast.Call) and self._makes_set(node)

    def _makes_set(self, node: ast.Call) -> bool:
        if isinstance(node.func, ast.Name):
            return node.func.id in ("set", "frozenset") and node.func.id not in self.names.module
        if not isinstance(node.func, ast.Attribute):
            return False
        methods = {*_SET_METHODS, "copy"}
        return node.func.attr in methods and self.is_set(node.func.value)

    def _is_view(self, node: ast.expr) -> bool:
        """A set, or the keys or items of a mapping: set operators return a set for each of them."""
        method = node.func if isinstance(node, ast.Call) and not node.args else None
        if isinstance(method, ast.Attribute) and method.attr in ("keys", "items"):
            return True
        return self.is_set(node)
