"""What a build checks of the messages that flows send and receive.

The types are found by reading the code: annotations, constructors, and results of what has type
hints. Where they lead nowhere there is a warning, and the value is checked when the flow runs.
"""

import ast
import builtins
import sys
from collections.abc import Callable, Iterator, Sequence
from inspect import getattr_static, isclass, ismodule, isroutine
from types import GenericAlias
from typing import Any, NamedTuple, Self, TypeVar, get_args, get_origin, get_type_hints

from cordapp.call_types import call_types
from cordapp.checks import type_problems
from cordapp.forms import SchemaError
from cordapp.places import file_of, tree_of
from cordapp.records import is_record
from cordapp.schema import form_of, sent_form

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_EXPRESSION = (
    ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.BitOr, ast.Tuple, ast.List,
    ast.Constant, ast.Load, ast.keyword, ast.Call,
)  # fmt: skip
_RECEIVES = {"receive": 0, "send_and_receive": 0, "receive_all": 0}
_SENDS = {"send": 0, "send_and_receive": 1, "send_all": 0}
_TYPE, _PAYLOAD = "cls", "payload"
_SERVICES = ("FlowSession", "FlowMessaging")


class _Object(NamedTuple):
    """A class, function or module itself, and not a value of a type."""

    value: Any


class Findings(NamedTuple):
    """Lines of `file:line: text`."""

    problems: list[str]
    warnings: list[str]


def message_findings(modules: Sequence[str]) -> Findings:
    """What is wrong with the messages of these modules, and what is not known of them."""
    found = Findings([], [])
    for module in _reached(modules):
        tree = tree_of(module)
        if tree is not None:
            for owner, function in _functions(tree, None):
                _Reader(module, owner, found).read(function)
    return found


def _reached(modules: Sequence[str]) -> list[str]:
    """These modules, and the CorDapp's own ones whose classes and functions they import."""
    waiting, found, passed = list(modules), list[str](), set[str]()
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in passed or top == "cordapp" or top in sys.stdlib_module_names:
            continue
        passed.add(name)
        if name in sys.modules:
            if _mentions_messages(name) and tree_of(name) is not None:
                found.append(name)
            for value in list(vars(sys.modules[name]).values()):
                if ismodule(value):
                    waiting.append(value.__name__)
                elif isclass(value) or isroutine(value):
                    waiting.append(str(getattr(value, "__module__", None)))
    return sorted(found)


def _mentions_messages(module: str) -> bool:
    """Whether a module's text can send or receive: large packages are not parsed for nothing."""
    loader = getattr(sys.modules[module], "__loader__", None)
    try:
        text = loader.get_source(module) or "" if loader is not None else ""
    except (AttributeError, ImportError, OSError, SyntaxError, TypeError, ValueError):
        return False
    return ".send" in text or ".receive" in text


def _functions(node: ast.AST, owner: str | None) -> Iterator[tuple[str | None, Any]]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, _FUNCTIONS):
            yield owner, inner
        yield from _functions(inner, inner.name if isinstance(inner, ast.ClassDef) else owner)


def _names_a_session(expression: ast.expr) -> bool:
    """Whether a name in it says so; `ast.unparse` needs a module that runtimes do not have."""
    names = (str(getattr(n, "id", getattr(n, "attr", ""))) for n in ast.walk(expression))
    return any("session" in name for name in names)


class _Reader:
    """Reads one function; `types` are those of its variables, as far as they are known."""

    def __init__(self, module: str, owner: str | None, found: Findings) -> None:
        self._names = vars(sys.modules[module])
        self._file = file_of(module)
        self._found = found
        self._types: dict[str, Any] = {}
        cls = self._names.get(owner or "")
        self._owner = cls if isclass(cls) else None

    def read(self, function: Any) -> None:
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        for argument in arguments:
            if argument.annotation is not None:
                self._types[argument.arg] = self._hint(argument.annotation)
        if self._owner is not None and arguments:
            self._types.setdefault(arguments[0].arg, self._owner)
        inner: list[Any] = [
            n for part in function.body for n in ast.walk(part) if hasattr(n, "lineno")
        ]
        for node in sorted(inner, key=lambda n: (n.lineno, n.col_offset)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                self._call(node, node.func)
            self._assign(node)

    def _assign(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._keep(target, self._type(node.value))
        elif isinstance(node, ast.AnnAssign):
            self._keep(node.target, self._hint(node.annotation))
        elif isinstance(node, ast.NamedExpr):
            self._keep(node.target, self._type(node.value))
        elif isinstance(node, (ast.For, ast.comprehension)):
            self._keep(node.target, _item(self._type(node.iter)))
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for part in node.generators:
                self._assign(part)

    def _keep(self, target: ast.AST, found: Any) -> None:
        if isinstance(target, ast.Name):
            self._types[target.id] = found

    def _call(self, node: ast.Call, function: ast.Attribute) -> None:
        name = function.attr
        if name not in _RECEIVES and name not in _SENDS:
            return
        on = self._type(function.value)
        known = isclass(on) and on.__name__ in _SERVICES and on.__module__ == "cordapp.sessions"
        if not known and (on is not None or not _names_a_session(function.value)):
            return
        if name in _RECEIVES:
            self._received(node, _argument(node, _RECEIVES[name], _TYPE), certain=known)
        if name in _SENDS and known:
            payload = _argument(node, _SENDS[name], _PAYLOAD)
            if payload is not None:
                self._sent(payload)

    def _received(self, node: ast.Call, expression: ast.expr | None, *, certain: bool) -> None:
        hint = None if expression is None else self._hint(expression)
        if certain and (expression is None or _is_text(expression)) and not _is_open(node):
            self._say(
                node, "what is received has no type: write the class itself, as receive(Offer)"
            )
        elif hint is None and certain:
            self._warn(node, "the type of what is received cannot be found out")
        elif hint is not None:
            self._check(node, lambda: form_of(hint), hint)

    def _sent(self, node: ast.expr) -> None:
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            for item in node.elts:
                self._sent(item)
        elif isinstance(node, ast.Dict):
            for part in (*node.keys, *node.values):
                if part is not None:
                    self._sent(part)
        elif isinstance(node, ast.IfExp):
            self._sent(node.body)
            self._sent(node.orelse)
        else:
            self._sent_value(node)

    def _sent_value(self, node: ast.expr) -> None:
        hint = self._type(node)
        if hint is None or isinstance(hint, (_Object, TypeVar)):
            self._warn(node, "the type of what is sent cannot be found out")
        else:
            self._check(node, lambda: sent_form(hint), hint)

    def _check(self, node: ast.expr, make: Callable[[], Any], hint: Any) -> None:
        try:
            make()
        except SchemaError as exc:
            self._say(node, str(exc))
            return
        if not (isclass(hint) and is_record(hint) and hasattr(hint, "__parameters__")):
            for line in type_problems(hint, type(None)):
                self._say(node, line.rpartition("NoneType: ")[2])

    def _say(self, node: ast.expr, text: str) -> None:
        self._found.problems.append(f"{self._file}:{node.lineno}: a message: {text}")

    def _warn(self, node: ast.expr, text: str) -> None:
        line = f"{self._file}:{node.lineno}: {text}: it is checked when the flow runs"
        self._found.warnings.append(line)

    def _hint(self, node: ast.expr) -> Any:
        """The value of a type expression; None if it is none that can be evaluated."""
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, str):
                return type(None) if node.value is None else None
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return None
        known = (isinstance(inner, _EXPRESSION) for inner in ast.walk(node))
        named = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if not all(known) or named & self._types.keys():
            return None
        try:
            code = compile(ast.Expression(node), self._file, "eval", dont_inherit=True)
            return eval(code, self._names)  # noqa: S307  # the CorDapp's own names, in its sandbox
        except Exception:  # noqa: BLE001  # whatever an expression may raise
            return None

    def _type(self, node: ast.expr) -> Any:  # noqa: PLR0911  # one return per kind
        """The type of an expression's value, an `_Object`, or None."""
        if isinstance(node, ast.Constant):
            return type(node.value)
        if isinstance(node, ast.JoinedStr):
            return str
        if isinstance(node, ast.Name):
            if node.id in self._types:
                return self._types[node.id]
            return _known(self._names.get(node.id, getattr(builtins, node.id, None)))
        if isinstance(node, ast.Attribute):
            return _attribute(self._type(node.value), node.attr)
        if isinstance(node, ast.Call):
            return self._result(node)
        if isinstance(node, ast.Subscript):
            on = self._type(node.value)
            return self._hint(node) if isinstance(on, _Object) else _item(on)
        if isinstance(node, ast.Compare) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            return bool
        if isinstance(node, ast.BinOp):
            one, other = self._type(node.left), self._type(node.right)
            return one if one is other else None
        return None

    def _result(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute) and node.args:
            name = node.func.attr
            if name in ("receive", "send_and_receive"):
                return self._hint(node.args[0])
            if name == "receive_all":
                hint = self._hint(node.args[0])
                return None if hint is None else GenericAlias(list, (hint,))
            if name == "sub_flow":
                return _given_by(self._type(node.args[0]))
        function = self._type(node.func)
        if not isinstance(function, _Object):
            return None
        return function.value if isclass(function.value) else _returned(function.value)


def _is_text(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Constant) and isinstance(expression.value, str)


def _is_open(node: ast.Call) -> bool:
    """Whether a call has arguments that are not written out."""
    return any(isinstance(each, ast.Starred) for each in node.args) or any(
        each.arg is None for each in node.keywords
    )


def _argument(node: ast.Call, place: int, name: str) -> ast.expr | None:
    if len(node.args) > place:
        return node.args[place]
    return next((k.value for k in node.keywords if k.arg == name), None)


def _known(value: Any) -> Any:
    if isclass(value) or isroutine(value) or ismodule(value):
        return _Object(value)
    return None if value is None else type(value)


def _item(hint: Any) -> Any:
    args = get_args(hint)
    return args[-1] if get_origin(hint) is dict and args else args[0] if args else None


def _attribute(on: Any, name: str) -> Any:  # noqa: PLR0911  # one return per kind
    if isinstance(on, _Object):
        value = getattr(on.value, name, None)
        if isclass(on.value) and isinstance(value, on.value):
            return on.value  # a member of an enum
        return _known(value)
    cls = get_origin(on) or on
    if not isclass(cls):
        return None
    try:
        hints = get_type_hints(cls, include_extras=True)
    except (NameError, TypeError):
        return None
    if name in hints:
        return hints[name]
    found = getattr_static(cls, name, None)
    if isinstance(found, property):
        return _returned(found.fget)
    return _Object(found) if isroutine(found) else None


def _given_by(flow: Any) -> Any:
    """The type of a sub-flow's result; None if nothing says it."""
    cls = get_origin(flow) or flow
    if not isclass(cls) or not hasattr(cls, "call"):
        return None
    try:
        given = call_types(cls).given
    except (NameError, TypeError):
        return None
    return None if given is Any else given


def _returned(function: Any) -> Any:
    """The type that a function's annotation gives for its result."""
    try:
        hint = get_type_hints(function, include_extras=True).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    return None if hint is Self or isinstance(hint, TypeVar) else hint
