"""The imports of one Python module, and when each of them runs, read from its syntax tree."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from host.tools.cordapps.module_names import absolute
from host.tools.cordapps.module_syntax import IMPORTERS, ModuleSyntax
from host.tools.cordapps.static_conditions import Conditions


class When(IntEnum):
    """When an import runs; a smaller value is more certain."""

    LOAD = 0
    """Whenever the module is loaded."""
    CONDITION = 1
    """While the module is loaded, if a condition holds that is not known before."""
    CALL = 2
    """When a function is called."""
    IDLE = 3
    """When somebody imports a module that nothing imports."""
    CAUGHT = 4
    """At any time; the code provides for its failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module.

    Attributes:
        line: of the statement.
        module: absolute dotted name.
        when: when it runs.
        is_attribute: `module` is a name of a `from` import, and may be no module at all.
    """

    line: int
    module: str
    when: When
    is_attribute: bool = False


_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_MISSING_NAMES = frozenset({"NameError", "AttributeError"})
_IMPORTERS = frozenset({*IMPORTERS, "importlib.import_module"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def imports_of(path: str, syntax: ModuleSyntax, conditions: Conditions) -> tuple[Import, ...]:
    """The imports of a module that a sandbox may come to, in the order of the text.

    Left out are those in branches that a sandbox never takes: below conditions that its Python
    decides (see `static_conditions`), and after a `raise` or `return`.

    Args:
        path: of the file in its bundle; relative imports are resolved against it.
        syntax: of its text.
        conditions: what is known about the module's values.
    """
    scan = _Scan(path, conditions, calls_too=syntax.has_importers)
    scan.block(syntax.tree.body, When.LOAD)
    return tuple(scan.found)


class _Scan:
    """Walks the statements of one module; `found` collects the imports."""

    def __init__(self, path: str, conditions: Conditions, *, calls_too: bool) -> None:
        self.found: list[Import] = []
        self._path = path
        self._conditions = conditions
        self._calls_too = calls_too

    def block(self, statements: Sequence[ast.stmt], when: When) -> bool:
        """Scan statements up to the first that leaves the block; whether there is one."""
        return any(self._statement(statement, when) for statement in statements)

    def _statement(self, node: ast.stmt, when: When) -> bool:
        ends = False
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.found += _named(self._path, node, when)
        elif isinstance(node, ast.If | ast.While):
            ends = self._branches(node, when)
        elif isinstance(node, ast.Try | ast.TryStar):
            self._try(node, when)
        elif isinstance(node, ast.With | ast.AsyncWith):
            self._expressions((item.context_expr for item in node.items), when)
            suppressed = any(_suppresses(item.context_expr) for item in node.items)
            ends = self.block(node.body, When.CAUGHT if suppressed else when) and not suppressed
        elif isinstance(node, _FUNCTIONS):
            outside = (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults)
            self._expressions((each for each in outside if each is not None), when)
            self.block(node.body, When.CALL)
        elif isinstance(node, ast.ClassDef):
            self._expressions((*node.decorator_list, *node.bases), when)
            self.block(node.body, when)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._expressions((node.iter,), when)
            self.block(node.body, max(when, When.CONDITION))
            self.block(node.orelse, max(when, When.CONDITION))
        elif isinstance(node, ast.Match):
            self._expressions((node.subject,), when)
            for case in node.cases:
                self.block(case.body, max(when, When.CONDITION))
        else:
            self._expressions((c for c in ast.iter_child_nodes(node) if _is_expression(c)), when)
            ends = isinstance(node, ast.Return | ast.Raise | ast.Break | ast.Continue)
        return ends

    def _branches(self, node: ast.If | ast.While, when: When) -> bool:
        """Scan an `if` with its `elif`s, which the tree nests, or a `while`."""
        ends, branch = isinstance(node, ast.If), node
        while True:
            self._expressions((branch.test,), when)
            holds = self._conditions.truth(branch.test)
            if holds:
                return self.block(branch.body, when) and ends
            if holds is None:
                when = max(when, When.CONDITION)
                ends = self.block(branch.body, when) and ends
            if len(branch.orelse) != 1 or not isinstance(branch.orelse[0], ast.If):
                return self.block(branch.orelse, when) and ends
            branch = branch.orelse[0]

    def _try(self, node: ast.Try | ast.TryStar, when: When) -> None:
        """A handler of a failed import, or of a name that another Python has, is a fallback.

        If none of the alternatives can be had, the code fails when it is loaded.
        """
        caught = any(_catches(handler, _IMPORT_ERRORS) for handler in node.handlers)
        self.block(node.body, When.CAUGHT if caught else when)
        for handler in node.handlers:
            fallback = caught or _catches(handler, _MISSING_NAMES)
            self.block(handler.body, When.CAUGHT if fallback else max(when, When.CONDITION))
        self.block(node.orelse, max(when, When.CONDITION) if caught else when)
        self.block(node.finalbody, when)

    def _expressions(self, nodes: Iterable[ast.AST], when: When) -> None:
        """Calls that import a module by a literal name, looked for only where there may be one."""
        for node in nodes if self._calls_too else ():
            for each in ast.walk(node):
                if isinstance(each, ast.Call):
                    name = self._imported(each)
                    if name is not None:
                        at = max(when, When.CONDITION)
                        self.found.append(Import(line=each.lineno, module=name, when=at))

    def _imported(self, call: ast.Call) -> str | None:
        name = self._conditions.dotted(call.func) or getattr(call.func, "id", None)
        first = call.args[0] if call.args else None
        if name not in _IMPORTERS or not isinstance(first, ast.Constant):
            return None
        if not isinstance(first.value, str) or not first.value.strip("."):
            return None
        module = first.value.lstrip(".")
        return absolute(self._path, len(first.value) - len(module), module)


def _named(path: str, node: ast.Import | ast.ImportFrom, when: When) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(line=node.lineno, module=alias.name, when=when)
        return
    base = absolute(path, node.level, node.module or "")
    yield Import(line=node.lineno, module=base, when=when)
    for alias in node.names:
        if alias.name != "*":
            name = f"{base}.{alias.name}"
            yield Import(line=node.lineno, module=name, when=when, is_attribute=True)


def _is_expression(node: ast.AST) -> bool:
    return isinstance(node, ast.expr | ast.keyword)


def _catches(handler: ast.ExceptHandler, names: frozenset[str]) -> bool:
    """Whether a handler catches one of the exceptions; one without a type catches all."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    found = {getattr(kind, "attr", getattr(kind, "id", None)) for kind in kinds}
    return handler.type is None or not found.isdisjoint(names)


def _suppresses(node: ast.expr) -> bool:
    """Whether an expression is `contextlib.suppress(ImportError)`."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", None))
    caught = {getattr(kind, "attr", getattr(kind, "id", None)) for kind in node.args}
    return name == "suppress" and not caught.isdisjoint(_IMPORT_ERRORS)
