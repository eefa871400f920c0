"""What a sandbox's Python makes of a condition, read from the syntax tree without running it.

Known are literals, comparisons of them, and the facts that make code branch by version and
platform: `sys.version_info`, `sys.platform`, `os.name`, `TYPE_CHECKING`, `__name__` and names that
a module binds once to such a value (`PY2 = sys.version_info[0] == 2`). Everything else is unknown.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Final, Never

from host.tools.cordapps.module_names import module_name
from host.tools.cordapps.module_syntax import ModuleSyntax
from sandbox.module_table import OS_NAME, PLATFORM, PYTHON_VERSION

_VERSION = tuple(map(int, PYTHON_VERSION.split(".")))
SANDBOX_FACTS: Final[Mapping[str, object]] = {
    "sys.version_info": (*_VERSION, "final", 0),
    "sys.version_info.major": _VERSION[0],
    "sys.version_info.minor": _VERSION[1],
    "sys.version_info.micro": _VERSION[2],
    "sys.hexversion": int.from_bytes((*_VERSION, 0xF0)),
    "sys.platform": PLATFORM,
    "sys.implementation.name": "cpython",
    "sys.byteorder": "little",
    "os.name": OS_NAME,
    "platform.python_implementation()": "CPython",
    "typing.TYPE_CHECKING": False,
    "typing_extensions.TYPE_CHECKING": False,
}
"""Dotted name, or call without arguments -> value in the Python of the pinned runtimes."""

_OF_OTHER_PYTHONS = frozenset(
    {"_MEIPASS", "frozen", "getwindowsversion", "pypy_version_info", "winver"}
)
"""Attributes of `sys` in PyPy, on Windows and in frozen programs."""
_COMPARISONS: Mapping[type[ast.cmpop], Callable[..., object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
_TEXT_METHODS: Mapping[str, Callable[..., object]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "lower": str.lower,
    "upper": str.upper,
}


class UnknownValueError(Exception):
    """An expression whose value cannot be told without running the code."""


class Conditions(ast.NodeVisitor):
    """Values of expressions in one module.

    Args:
        syntax: the module.
        path: its file in the bundle; `__name__` is the module's name there.
        elsewhere: the value of a dotted name that another module binds; raises
            `UnknownValueError` where it is not known.
    """

    def __init__(
        self, syntax: ModuleSyntax, path: str, elsewhere: Callable[[str], object] | None = None
    ) -> None:
        self._module = module_name(path)
        self._elsewhere = elsewhere or _unknown
        self._origins = syntax.origins
        self._constants = syntax.constants
        self._pending: set[str] = set()

    def truth(self, test: ast.expr) -> bool | None:
        """Whether a condition holds; None if that is unknown."""
        try:
            return bool(self.value(test))
        except UnknownValueError:
            return None

    def constant(self, name: str) -> object:
        """The value of a name that the module binds.

        Raises:
            UnknownValueError: it is bound several times, or to something unknown.
        """
        bound = self._constants.get(name)
        if bound is None or name in self._pending:
            raise UnknownValueError(name)
        self._pending.add(name)
        try:
            return self.value(bound)
        finally:
            self._pending.discard(name)

    def value(self, node: ast.expr) -> object:
        """The value of an expression.

        Raises:
            UnknownValueError: it cannot be told.
        """
        try:
            return self.visit(node)
        except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as refused:
            raise UnknownValueError(str(refused)) from refused

    def dotted(self, node: ast.expr) -> str | None:
        """`sys.version_info` for a name or attribute of an imported module, else None."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._origins:
            return None
        return ".".join((self._origins[node.id], *reversed(parts)))

    def generic_visit(self, node: ast.AST) -> Never:
        raise UnknownValueError(type(node).__name__)

    def visit_Constant(self, node: ast.Constant) -> object:
        return node.value

    def visit_Tuple(self, node: ast.Tuple) -> object:
        return tuple(self.value(item) for item in node.elts)

    def visit_List(self, node: ast.List) -> object:
        return [self.value(item) for item in node.elts]

    def visit_Set(self, node: ast.Set) -> object:
        return {self.value(item) for item in node.elts}

    def visit_Name(self, node: ast.Name) -> object:
        if node.id == "__name__":
            return self._module
        if node.id == "__debug__":
            return True
        if node.id == "TYPE_CHECKING" and node.id not in self._constants:
            return False
        if node.id in self._origins:
            return self._known(self._origins[node.id])
        return self.constant(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> object:
        if node.attr == "TYPE_CHECKING":
            return False
        name = self.dotted(node)
        if name is None:
            raise UnknownValueError(node.attr)
        return self._known(name)

    def _known(self, name: str) -> object:
        return SANDBOX_FACTS[name] if name in SANDBOX_FACTS else self._elsewhere(name)

    def visit_Subscript(self, node: ast.Subscript) -> object:
        value = self.visit(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = (node.slice.lower, node.slice.upper, node.slice.step)
            low, high, step = (None if b is None else self.value(b) for b in bounds)
            return value[low:high:step]
        return value[self.value(node.slice)]

    def visit_Compare(self, node: ast.Compare) -> object:
        left = self.value(node.left)
        for kind, item in zip(node.ops, node.comparators, strict=True):
            right = self.value(item)
            if not _COMPARISONS[type(kind)](left, right):
                return False
            left = right
        return True

    def visit_BoolOp(self, node: ast.BoolOp) -> object:
        """`and` is false, `or` true, as soon as one operand is, whatever the unknown ones are."""
        decisive = isinstance(node.op, ast.Or)
        truths = [self.truth(item) for item in node.values]
        if decisive in truths:
            return decisive
        if None in truths:
            raise UnknownValueError(ast.unparse(node)[:80])
        return not decisive

    def visit_UnaryOp(self, node: ast.UnaryOp) -> object:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return not value
        if isinstance(node.op, ast.USub) and isinstance(value, int):
            return -value
        raise UnknownValueError(ast.unparse(node)[:80])

    def visit_IfExp(self, node: ast.IfExp) -> object:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _other_pythons(self, node: ast.Call) -> object:
        """`hasattr(sys, name)` and `getattr(sys, name, default)` of what no sandbox has."""
        name = self.value(node.args[1])
        if self.dotted(node.args[0]) != "sys" or name not in _OF_OTHER_PYTHONS:
            raise UnknownValueError(ast.unparse(node)[:80])
        return self.value(node.args[2]) if len(node.args) > 2 else False

    def visit_Call(self, node: ast.Call) -> object:
        if isinstance(node.func, ast.Name) and node.func.id == "bool" and len(node.args) == 1:
            return bool(self.value(node.args[0]))
        called = f"{self.dotted(node.func)}()"
        if called in SANDBOX_FACTS and not node.args:
            return SANDBOX_FACTS[called]
        if isinstance(node.func, ast.Name) and node.func.id in {"hasattr", "getattr"}:
            return self._other_pythons(node)
        if not isinstance(node.func, ast.Attribute) or node.keywords:
            raise UnknownValueError(ast.unparse(node.func)[:80])
        method, text = _TEXT_METHODS.get(node.func.attr), self.value(node.func.value)
        if method is None or not isinstance(text, str):
            raise UnknownValueError(node.func.attr)
        return method(text, *(self.value(argument) for argument in node.args))


def _unknown(name: str) -> object:
    raise UnknownValueError(name)
