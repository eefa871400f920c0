"""The generated pages about Python: the API that CorDapps use, JSON forms, standard modules."""

import ast
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path

from docstrings import docstring_lines

PUBLIC = (
    "cordapp.contracts",
    "cordapp.flows",
    "cordapp.sessions",
    "cordapp.services",
    "cordapp.ledger",
    "cordapp.builder",
    "cordapp.finality",
    "cordapp.signed",
    "cordapp.consensual",
    "cordapp.consensual_ledger",
    "cordapp.vault",
    "cordapp.vault_queries",
    "cordapp.notary",
    "cordapp.tokens",
    "cordapp.persistence",
    "cordapp.errors",
    "cordapp.schema",
    "cordapp_testkit",
    "cordapp_testkit.pytest_plugin",
    "cordapp_testkit.replay",
    "cordapp_testkit.cpi_file",
    "cordapp_testkit.bindings",
    "cordapp_testkit.messages",
)
"""Modules that CorDapps and their tests import, in the page's order."""
INTERNAL = (
    "cordapp",
    "cordapp.call_types",
    "cordapp.checks",
    "cordapp.constraints",
    "cordapp.filtered",
    "cordapp.containers",
    "cordapp.failures",
    "cordapp.flow_checks",
    "cordapp.forms",
    "cordapp.guest",
    "cordapp.message_checks",
    "cordapp.messages",
    "cordapp.places",
    "cordapp.records",
    "cordapp.registry",
    "cordapp.texts",
    "cordapp.unions",
)
"""Modules that only the SDK itself imports."""
NOT_FOR_CORDAPPS = {
    "HostApi",
    "command_from_json",
    "contract_of",
    "query_name",
    "read_pages",
    "state_and_ref_from_json",
    "state_and_refs_of_outputs",
    "state_from_json",
    "state_to_json",
}
"""Public names that only the SDK itself uses."""
_FOR_THE_KIT = {"Condition.json", "Network.code", "Network.flows", "Network.parts", "Operand.json"}
"""Attributes that only the SDK and the kit itself use."""
_HOOKS = "pytest_"


@dataclass(frozen=True)
class Constant:
    """A name that is assigned, and the text below it."""

    name: str
    text: str
    docstring: str


Node = ast.ClassDef | ast.FunctionDef | Constant


@dataclass(frozen=True)
class Name:
    """A public name of a module: its definition, or None of what is imported from elsewhere."""

    name: str
    node: Node | None
    comes_from: str


def present() -> Iterator[str]:
    """The public modules of this release."""
    yield from (name for name in PUBLIC if find_spec(name) is not None)


def public_names(module: str) -> list[Name]:
    """The public names of a module, in alphabetical order.

    These are those of `__all__`; without one, the classes and functions that it defines, and what
    it assigns with a docstring.
    """
    defined = _definitions(module)
    wanted = getattr(import_module(module), "__all__", None)
    if wanted is None:
        wanted = [name for name in defined if not name.startswith("_")]
    elif not module.startswith("cordapp_testkit"):
        wanted = {*wanted, *(name for name in defined if not name.startswith("_"))}
    return [
        Name(name, *_defined(module, name, defined))
        for name in sorted(wanted)
        if not name.startswith(_HOOKS) and name not in NOT_FOR_CORDAPPS
    ]


def _definitions(module: str) -> dict[str, Node]:
    body = _tree(module).body
    found: dict[str, Node] = {
        n.name: n for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef)
    }
    for each, after in pairwise(body):
        target = each.targets[0] if isinstance(each, ast.Assign) else None
        text = after.value if isinstance(after, ast.Expr) else None
        if isinstance(target, ast.Name) and isinstance(text, ast.Constant):
            written = ast.unparse(each).replace("'", '"')
            found[target.id] = Constant(target.id, written, cleandoc(str(text.value)))
    return found


def _defined(module: str, name: str, defined: dict[str, Node]) -> tuple[Node | None, str]:
    if name in defined:
        return defined[name], module
    value = getattr(import_module(module), name)
    home = getattr(value, "__module__", module)
    # The test kit's names stand for classes of the host; some of the SDK's are defined in parts.
    if home.startswith("host.") or home in INTERNAL:
        nodes = {getattr(n, "name", ""): n for n in _tree(home).body}
        return nodes.get(name), home
    return None, home


def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def api_page() -> str:
    """All public names of the SDK and the test kit."""
    lines = [
        "# The Python API",
        "",
        "What CorDapps import (`cordapp`), and what their tests import (`cordapp_testkit`).",
        "[Types with a JSON form](python-types.md) tells which types fields, messages, inputs and",
        "results may have, [standard modules](python-modules.md) what else can be imported in a",
        "sandbox, [the host API](host-api.md) what the calls look like below the SDK.",
        "",
        "| module | names |",
        "|---|---|",
    ]
    for module in present():
        names = ", ".join(f"[`{each.name}`](#{_anchor(each)})" for each in _own(module))
        lines.append(f"| [`{module}`](#{module.replace('.', '')}) | {names} |")
    for module in present():
        lines += ["", f"## `{module}`", "", *docstring_lines(ast.get_docstring(_tree(module)))]
        others = [each for each in public_names(module) if each.node is None]
        for home in sorted({each.comes_from for each in others}):
            names = ", ".join(f"`{each.name}`" for each in others if each.comes_from == home)
            lines += ["", f"Also here, from `{home}`: {names}."]
        for each in _own(module):
            lines += ["", *_entry(each)]
    return "\n".join(lines) + "\n"


def _own(module: str) -> list[Name]:
    return [each for each in public_names(module) if each.node is not None]


def _anchor(each: Name) -> str:
    assert each.node is not None
    text = _title(each.node).lower()
    return "".join(c for c in text if c.isalnum() or c in "_- ").replace(" ", "-")


def _title(node: Node) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    if isinstance(node, Constant):
        return node.name
    return f"fixture {node.name}" if _is_fixture(node) else node.name


def _entry(each: Name) -> Iterator[str]:
    node = each.node
    assert node is not None
    kind, _, name = _title(node).rpartition(" ")
    yield f"### {kind} `{name}`" if kind else f"### `{name}`"
    yield ""
    if isinstance(node, Constant):
        yield from (*_code(node.text), "", *docstring_lines(node.docstring))
        return
    if isinstance(node, ast.FunctionDef):
        if not _is_fixture(node):
            yield from (*_code(f"{node.name}{_signature(node)}"), "")
        yield from docstring_lines(ast.get_docstring(node))
        return
    yield from (*_code(_class_line(node)), "")
    yield from docstring_lines(ast.get_docstring(node))
    fields = list(_fields(node))
    if fields:
        yield from ("", "| attribute | type | default |", "|---|---|---|")
        yield from fields
    for method in _methods(node):
        yield from ("", f"**`{node.name}.{_method_line(method)}`**", "")
        yield from docstring_lines(ast.get_docstring(method))


def _code(text: str) -> tuple[str, str, str]:
    return ("```python", text, "```")


def _class_line(node: ast.ClassDef) -> str:
    decorators = "".join(f"@{ast.unparse(each)}\n" for each in node.decorator_list)
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    made = next((n for n in _functions(node) if n.name == "__init__"), None)
    taken = f"\n    {made.name}{_signature(made)}" if made is not None else ""
    return f"{decorators}class {node.name}{f'({bases})' if bases else ''}:{taken or ' ...'}"


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        kind = ast.unparse(each.annotation)
        if each.target.id.startswith("_") or kind.startswith("ClassVar"):
            continue
        default = f"`{ast.unparse(each.value)}`" if each.value is not None else ""
        yield f"| `{each.target.id}` | `{_cell(kind)}` | {_cell(default)} |"
    for name, kind in set_attributes(node).items():
        if f"{node.name}.{name}" not in _FOR_THE_KIT:
            yield f"| `{name}` | `{_cell(kind)}` |  |"


def set_attributes(node: ast.ClassDef) -> dict[str, str]:
    """Public attributes that `__init__` sets, with their types."""
    made = next((n for n in _functions(node) if n.name == "__init__"), None)
    if made is None:
        return {}
    arguments = [*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs]
    kinds = {a.arg: ast.unparse(a.annotation) for a in arguments if a.annotation is not None}
    found = dict[str, str]()
    for each in ast.walk(made):
        targets = each.targets if isinstance(each, ast.Assign) else []
        target = each.target if isinstance(each, ast.AnnAssign) else (*targets, None)[0]
        if not isinstance(target, ast.Attribute) or ast.unparse(target.value) != "self":
            continue
        if not target.attr.startswith("_"):
            found[target.attr] = _kind_of(each, kinds)
    return found


def _kind_of(assigned: ast.AST, kinds: Mapping[str, str]) -> str:
    """The type of an assigned value: as annotated, of the argument, or of the class called."""
    match assigned:
        case ast.AnnAssign(annotation=kind):
            return ast.unparse(kind)
        case ast.Assign(value=ast.Name(id=name)) if name in kinds:
            return kinds[name]
        case ast.Assign(value=ast.Call(func=ast.Name(id=name))) if name[0].isupper():
            return name
        case _:
            return "…"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _functions(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    yield from (n for n in node.body if isinstance(n, ast.FunctionDef))


def _methods(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """The public methods; an overloaded one once, with its last signature."""
    found = {n.name: n for n in _functions(node) if not n.name.startswith("_")}
    yield from found.values()
    yield from _renamed(node)


def _renamed(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """Methods that are another one by a public name, such as `parse = __from_json__`."""
    methods = {n.name: n for n in _functions(node)}
    for each in node.body:
        match each:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=other)):
                if other in methods and not name.startswith("_"):
                    same = copy(methods[other])
                    same.name = name
                    if ast.get_docstring(same) is None:
                        text = ast.Constant(f"Another name of `{other}`.")
                        same.body = [ast.Expr(text), *same.body]
                    yield same


def _method_line(node: ast.FunctionDef) -> str:
    decorators = {ast.unparse(each) for each in node.decorator_list}
    if decorators & {"property", "cached_property"}:
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}{returns}"
    return f"{node.name}{_signature(node)}"


def _is_fixture(node: ast.FunctionDef) -> bool:
    return any("fixture" in ast.unparse(each) for each in node.decorator_list)


def _signature(node: ast.FunctionDef) -> str:
    arguments = ast.unparse(node.args)
    for own in ("self, /, ", "self, ", "self", "cls, ", "cls"):
        if arguments.startswith(own):
            arguments = arguments.removeprefix(own)
            break
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"({arguments}){returns}".replace("'", '"')


def undocumented() -> Iterator[str]:
    """Public names and methods without a docstring."""
    for module in present():
        for each in _own(module):
            node = each.node
            if isinstance(node, Constant):
                continue
            if node is None or ast.get_docstring(node):
                if isinstance(node, ast.ClassDef):
                    yield from (
                        f"{module}.{each.name}.{method.name}"
                        for method in _methods(node)
                        if not ast.get_docstring(method)
                    )
                continue
            yield f"{module}.{each.name}"


def modules_page() -> str:
    """The standard modules of a sandbox."""
    from sandbox import module_table as table
    from sandbox.runtime_sources import zones_version

    lines = [
        "# Standard modules in a sandbox",
        "",
        f"A sandbox runs Python {table.PYTHON_VERSION} (`sys.platform` is `{table.PLATFORM}`,",
        f"`os.name` is `{table.OS_NAME}`). The table is `sandbox/module_table.py`: the build's",
        "check of imports, the importer in the sandbox and native test runs read it. `zoneinfo`",
        f"has the time zones of the package tzdata {zones_version()}, which are in the runtime.",
        "",
        "- *present*: as Python documents it.",
        "- *partial*: it can be imported; the names in the third column refuse when called.",
        "- *refused*: the build refuses the import, and `import` raises `ModuleNotFoundError`.",
        "",
        "| module | here | refuses | why | instead |",
        "|---|---|---|---|---|",
    ]
    for each in table.MODULES.values() if hasattr(table.MODULES, "values") else table.MODULES:
        refuses = ", ".join(f"`{name}`" for name in each.refuses)
        cells = (f"`{each.name}`", each.verdict.value, refuses, each.reason, each.instead)
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"
