"""The rules themselves: one pass over a module's syntax tree.

They see only the source text. They do not detect a clock that is reached by `getattr`, or a set
that another module's function returns: the sandbox, not the linter, keeps a contract pure.
"""

import ast
import re
from collections.abc import Iterator
from typing import TypeAlias

from host.tools.lint.findings import Finding, Rule
from host.tools.lint.names import Function, Names, SetTypes, last_name, local_names, type_names

Place: TypeAlias = tuple[ast.AST, Rule, str]

CLOCKS = frozenset(
    {f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")}
    | {"datetime.date.today"}
    | {
        f"time.{name}{unit}"
        for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")
        for unit in ("", "_ns")
    }
    | {"time.clock_gettime", "time.clock_gettime_ns", "time.sleep", "uuid.uuid1"}
)
_CLOCKS_WITHOUT_ARGUMENT = {
    "time.localtime": 1, "time.gmtime": 1, "time.ctime": 1, "time.asctime": 1, "time.strftime": 2,
}  # fmt: skip
"""Function -> number of arguments with which it no longer reads the clock."""

RANDOM_MODULES = frozenset({"random", "secrets", "_random"})
_SEEDED = frozenset({"random.Random", "secrets.compare_digest"})
"""Names of these modules that give everyone the same; `random.Random` does with a seed."""
RANDOM = frozenset({"os.urandom", "os.getrandom", "uuid.uuid4"})
_ORDER_FREE = frozenset({"sorted", "len", "min", "max", "any", "all", "set", "frozenset", "sum"})
"""Built-in functions whose result does not depend on the order of what they consume."""

_ORDERED = frozenset(
    {"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "str", "repr", "format",
     "reversed", "print"}
)  # fmt: skip
_AMOUNT = re.compile(
    r"(?:^|_)(?:amount|price|rate|total|balance|quantity|fee|cost|interest|principal|sum|notional|"
    r"payment|paid|value|coupon|yield|nominal|outstanding)s?(?:_|$)"
)
_MUTATORS = frozenset(
    {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove",
     "discard", "clear", "appendleft", "popleft", "extendleft", "sort", "reverse"}
)  # fmt: skip
_MUTABLE_CALLS = frozenset({"list", "dict", "set", "bytearray"})
_LEDGER_BASES = frozenset({"ContractState", "Command"})


def findings_of(path: str, tree: ast.Module) -> Iterator[Finding]:
    """All findings of the rules in one module, except those about imports."""
    scan = _Scan(tree)
    scan.visit(tree)
    seen: set[tuple[int, int, Rule]] = set()
    for node, rule, message in scan.places:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
        if (line, column, rule) not in seen:
            seen.add((line, column, rule))
            yield Finding(file=path, line=line, column=column, rule=rule, message=message)


class _Scan(ast.NodeVisitor):
    """Walks the tree and tracks scopes; `places` collects the findings."""

    def __init__(self, tree: ast.Module) -> None:
        self.places: list[Place] = []
        self._names = Names.of(tree)
        self._sets = SetTypes(self._names)
        self._locals: list[set[str]] = []
        self._functions: list[str] = []
        self._order_free: set[ast.AST] = set()
        self._ledger = _ledger_classes(tree)

    def _say(self, node: ast.AST, rule: Rule, message: str) -> None:
        self.places.append((node, rule, message))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node, node.name)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node, node.name)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node, "<lambda>")

    def _function(self, node: Function, name: str) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None and _is_mutable(default):
                self._say(default, Rule.GLOBAL_STATE, "a default value that calls could change")
        known, own = set(self._sets.variables), local_names(node)
        self._sets.variables -= own
        self._locals.append(own)
        self._functions.append(name)
        self.generic_visit(node)
        self._functions.pop()
        self._locals.pop()
        self._sets.variables = known

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if node.name in self._ledger:
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and "float" in type_names(field.annotation):
                    what = f"field {last_name(field.target)} of {node.name} is a float"
                    self._say(field, Rule.FLOAT_AMOUNT, what)
        around, self._functions = self._functions, []  # a class body has its own scope
        self.generic_visit(node)
        self._functions = around

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._reference(node)
            if self._is_builtin(node, "hash") and "__hash__" not in self._functions:
                self._say(node, Rule.HASH, "hash() of the runtime")
            elif self._is_builtin(node, "id"):
                self._say(node, Rule.IDENTITY, "id() of an object")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._reference(node)
        self.generic_visit(node)

    def _reference(self, node: ast.Name | ast.Attribute) -> None:
        """A clock or randomness, also if it is only passed on as a value."""
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and self._is_local(root.id):
            return
        dotted = self._names.dotted(node) or ""
        if dotted in CLOCKS:
            self._say(node, Rule.CLOCK, f"{dotted} reads the clock")
        elif dotted in RANDOM or (
            dotted.rpartition(".")[0] in RANDOM_MODULES and dotted not in _SEEDED
        ):
            self._say(node, Rule.RANDOMNESS, f"{dotted} is random")

    def visit_Call(self, node: ast.Call) -> None:
        dotted = self._names.dotted(node.func) or ""
        needed = _CLOCKS_WITHOUT_ARGUMENT.get(dotted)
        if needed is not None and len(node.args) < needed:
            self._say(node, Rule.CLOCK, f"{dotted} without a time reads the clock")
        if dotted == "random.Random" and not _has_seed(node):
            self._say(node, Rule.RANDOMNESS, f"{dotted} without a seed is random")
        self._consumption(node)
        if isinstance(node.func, ast.Attribute):
            self._mutation_by_method(node, node.func)
        elif self._is_builtin(node.func, "float") and any(map(_is_amount, node.args)):
            self._say(node, Rule.FLOAT_AMOUNT, "an amount becomes a float")
        self.generic_visit(node)

    def _consumption(self, node: ast.Call) -> None:
        """A set, or a comprehension over one, that is passed to a function."""
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name in _ORDER_FREE and self._is_builtin(node.func, name):
            self._order_free |= set(node.args)
        ordered = name in _ORDERED and self._is_builtin(node.func, name)
        joins = isinstance(node.func, ast.Attribute) and node.func.attr in ("join", "extend")
        if ordered or joins:
            for argument in node.args:
                self._unordered(argument, f"{last_name(node.func)}() of a set")

    def _unordered(self, node: ast.expr, message: str) -> None:
        if self._sets.is_set(node):
            self._say(node, Rule.SET_ORDER, message)

    def visit_For(self, node: ast.For) -> None:
        self._unordered(node.iter, "a loop over a set")
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        if isinstance(node.ctx, ast.Load) and node not in self._order_free:
            self._unordered(node.value, "a set is unpacked")
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self._order_free |= set(node.elts)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._order_free.add(node)
        self._comprehension(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        bound = {
            name.id
            for part in node.generators
            for name in ast.walk(part.target)
            if isinstance(name, ast.Name)
        }
        self._locals.append(bound)
        if node not in self._order_free:
            for part in node.generators:
                self._unordered(part.iter, "a comprehension over a set")
        self.generic_visit(node)
        self._locals.pop()

    def visit_FormattedValue(self, node: ast.FormattedValue) -> None:
        self._unordered(node.value, "the text of a set")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assigned(target, is_set=self._sets.is_set(node.value))
            if isinstance(target, (ast.Tuple, ast.List)):
                self._unordered(node.value, "a set is unpacked")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assigned(node.target, is_set=self._sets.is_set(node.value))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._assigned(node.target, is_set=self._sets.is_set(node.target))
        self._float_arithmetic(node, node.op, node.target, node.value)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._changed(target)
        self.generic_visit(node)

    def _assigned(self, target: ast.expr, *, is_set: bool) -> None:
        if isinstance(target, ast.Name):
            (self._sets.variables.add if is_set else self._sets.variables.discard)(target.id)
        self._changed(target)

    def _changed(self, target: ast.expr) -> None:
        """An assignment or deletion inside a function that outlives the call."""
        if not self._functions:
            return
        if isinstance(target, ast.Name):
            if not self._is_local(target.id):
                self._say(target, Rule.GLOBAL_STATE, f"the global {target.id} is changed")
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            owner = target.value
            if isinstance(owner, ast.Name) and self._is_shared(owner):
                self._say(target, Rule.GLOBAL_STATE, f"{owner.id} is changed by a call")

    def _mutation_by_method(self, node: ast.Call, function: ast.Attribute) -> None:
        owner = function.value
        if function.attr == "pop" and not node.args:
            self._unordered(owner, "pop() takes any element of a set")
        if function.attr not in _MUTATORS or not self._functions or not isinstance(owner, ast.Name):
            return
        if self._is_shared(owner) and owner.id not in self._names.imported:
            self._say(node, Rule.GLOBAL_STATE, f"{owner.id} is changed by a call")

    def _is_shared(self, name: ast.Name) -> bool:
        """Whether a name inside a function is a module's own, or the class by `cls`."""
        if name.id == "cls" and self._is_local("cls"):
            return "__init_subclass__" not in self._functions
        return name.id in self._names.module and not self._is_local(name.id)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._float_arithmetic(node, node.op, node.left, node.right)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        if any(map(_is_amount, sides)) and any(map(_is_float, sides)):
            self._say(node, Rule.FLOAT_AMOUNT, "an amount is compared with a float")
        self.generic_visit(node)

    def _float_arithmetic(
        self, node: ast.AST, operator: ast.operator, left: ast.expr, right: ast.expr
    ) -> None:
        sides = (left, right)
        if any(map(_is_amount, sides)) and any(map(_is_float, sides)):
            self._say(node, Rule.FLOAT_AMOUNT, "arithmetic of an amount and a float")
        elif isinstance(operator, ast.Div) and any(map(self._is_number, sides)):
            self._say(node, Rule.FLOAT_AMOUNT, "an amount is divided with /, which gives a float")

    def _is_number(self, node: ast.expr) -> bool:
        """Whether an amount is annotated only as int or float in this module."""
        types = self._names.annotations.get(last_name(node) or "", set())
        return _is_amount(node) and bool(types) and types <= {"int", "float", "None"}

    def _is_builtin(self, node: ast.expr, name: str) -> bool:
        same = isinstance(node, ast.Name) and node.id == name
        return same and name not in self._names.module and not self._is_local(name)

    def _is_local(self, name: str) -> bool:
        return any(name in scope for scope in self._locals)


def _ledger_classes(tree: ast.Module) -> set[str]:
    """Classes of the module that derive from states or commands, also from each other."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = {last_name(base) for base in node.bases}
            if bases & (_LEDGER_BASES | found):
                found.add(node.name)
    return found


def _has_seed(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return bool(given) and not (isinstance(given[0], ast.Constant) and given[0].value is None)


def _is_amount(node: ast.expr) -> bool:
    name = last_name(node)
    return name is not None and _AMOUNT.search(name) is not None


def _is_float(node: ast.expr) -> bool:
    value = node.operand if isinstance(node, ast.UnaryOp) else node
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id == "float"
    return isinstance(value, ast.Constant) and isinstance(value.value, float)


def _is_mutable(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and last_name(node.func) in _MUTABLE_CALLS
    return called or isinstance(node, (ast.List, ast.Dict, ast.Set))
