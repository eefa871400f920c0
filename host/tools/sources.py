"""The Python sources of a CPK: own modules, vendored ones, and the SDK modules that they reach.

Nothing is executed: imports are read from the syntax tree. Imports that the runtime does not
provide are refused here, with file and line, instead of failing when the flow runs. The outcome
depends only on the texts: order, line ends and the folder's place on disk change nothing.
"""

import ast
import os
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from host.domain.errors import InvalidInputError

SDK_PACKAGE = "cordapp"
SDK_ROOT_MODULE = "cordapp.guest"
FILES_MAX = 500
FILE_BYTES_MAX = 512 * 1024
TOTAL_BYTES_MAX = 4 * 1024 * 1024

_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_NATIVE = frozenset({".so", ".pyd", ".dll", ".dylib", ".pyc", ".pyo", ".a", ".o", ".c", ".pyx"})


class SourceRefusedError(InvalidInputError):
    """Sources that no guest could run; `problems` names each file and line."""

    code = "cordapp-source-refused"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRules:
    """Modules that a world's runtime provides, in addition to the CPK's own and the SDK's.

    Attributes:
        modules: dotted names of the standard modules in the runtime.
    """

    modules: frozenset[str]

    @staticmethod
    def of_default_runtime() -> "SourceRules":
        """The modules in the newest pinned runtimes, the same for both worlds."""
        path = Path(str(package_files("sandbox"))) / "runtime_app" / "standard_modules.py"
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAMES":
                names = frozenset(ast.literal_eval(node.value))
                parents = {name.rpartition(".")[0] for name in names} - {""}
                return SourceRules(modules=names | parents | {"os.path"})
        raise LookupError(f"{path} defines no NAMES")

    def allows(self, module: str) -> bool:
        return module in self.modules

    def reserves(self, name: str) -> bool:
        """Whether a top-level name is one of the standard library, here or in the runtime."""
        return name in self.modules or name in sys.stdlib_module_names


def collect_sources(
    folder: Path,
    entry_modules: tuple[str, ...],
    *,
    rules: SourceRules,
    base: Mapping[str, str],
    vendored: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The files of one CPK: path in the bundle -> text, sorted by path.

    Every `.py` file below `folder` is the CPK's own, test files left out. All vendored modules are
    added. SDK modules are added if own modules, vendored ones or the SDK's entry `cordapp.guest`
    import them, or if `base` contains a different version of them.

    Imports are checked in own files and in the vendored ones that they reach. An import in a
    `try` with an `except ImportError` may fail.

    Args:
        folder: where the CPK's top-level modules and packages lie.
        entry_modules: modules that register contracts or flows; each must be in `folder`.
        rules: the runtime's modules.
        base: files of the CPKs that this one depends on; importable, but not collected.
        vendored: modules of third-party packages.

    Raises:
        SourceRefusedError: forbidden or unknown imports, native code, syntax errors, limits.
    """
    problems: list[str] = []
    own = _read_folder(folder, problems)
    known = _modules_of(own)
    problems += [
        f"{folder.name}: entry module {name!r} is not there"
        for name in entry_modules
        if name not in known
    ]
    problems += [
        f"{path}: the module's name hides {name!r} of the runtime"
        for name, path in sorted({**_modules_of(vendored), **known}.items())
        if rules.reserves(name.partition(".")[0])
    ]
    problems += _collisions(own, vendored, base)
    sdk = sdk_sources()
    available = dict(base) | sdk | dict(vendored) | own
    followed = own.keys() | vendored.keys() | sdk.keys()
    reached = _closure(own, available, followed, rules, problems)
    if problems:
        raise SourceRefusedError(tuple(problems))
    replaced = {path for path, text in sdk.items() if base.get(path, text) != text}
    chosen = own.keys() | vendored.keys() | (reached & sdk.keys()) | replaced
    return dict(sorted((path, available[path]) for path in chosen))


def _collisions(
    own: Mapping[str, str], vendored: Mapping[str, str], base: Mapping[str, str]
) -> Iterator[str]:
    """Names that refer to different code in two parts of one bundle."""
    yield from (
        f"{path}: the name {SDK_PACKAGE!r} belongs to the SDK"
        for path in sorted({*own, *vendored})
        if _top(path) == SDK_PACKAGE
    )
    taken = {_top(path): path for path in sorted(own, reverse=True)}
    yield from (
        f"{path}: a vendored package has the name of the own {taken[_top(path)]}"
        for path in sorted(vendored)
        if _top(path) in taken
    )
    yield from (
        f"{path}: a vendored package differs from what the CPK's dependency has there"
        for path, text in sorted(vendored.items())
        if base.get(path, text) != text
    )


def _top(path: str) -> str:
    return path.partition("/")[0].removesuffix(".py")


def sdk_sources() -> dict[str, str]:
    """The SDK's files in this installation: path -> text."""
    problems: list[str] = []
    root = Path(str(package_files("sandbox"))) / "sdk" / SDK_PACKAGE
    found = {f"{SDK_PACKAGE}/{p}": text for p, text in _read_folder(root, problems).items()}
    if problems or not found:
        raise SourceRefusedError(tuple(problems) or (f"the SDK is missing below {root}",))
    return found


def _read_folder(folder: Path, problems: list[str]) -> dict[str, str]:
    result: dict[str, str] = {}
    total = 0
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            problems.append(f"{name}: is a symbolic link")
        elif path.suffix.lower() in _NATIVE:
            problems.append(f"{name}: native or compiled code cannot run in a sandbox")
        elif path.suffix == ".py" and not _is_test(path.name):
            data = path.read_bytes()
            total += len(data)
            if len(data) > FILE_BYTES_MAX:
                problems.append(f"{name}: {len(data)} bytes, at most {FILE_BYTES_MAX}")
                continue
            text = decoded(name, data, problems)
            if text is not None:
                result[name] = text
    if len(result) > FILES_MAX or total > TOTAL_BYTES_MAX:
        problems.append(
            f"{folder.name}: {len(result)} files with {total} bytes, "
            f"at most {FILES_MAX} with {TOTAL_BYTES_MAX}"
        )
    return result


def decoded(name: str, data: bytes, problems: list[str]) -> str | None:
    """The text of a source file with Unix line ends; None if it is not UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as refused:
        problems.append(f"{name}: is not UTF-8 at byte {refused.start}")
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if n != "__pycache__" and not n.startswith("."))
        for name in sorted(names) + [n for n in folders if (Path(parent) / n).is_symlink()]:
            if not name.startswith("."):
                yield Path(parent) / name


def _is_test(file_name: str) -> bool:
    return file_name.startswith("test_") or file_name == "conftest.py"


def _modules_of(paths: Mapping[str, str]) -> dict[str, str]:
    """Dotted module name -> path."""
    return {_module_name(path): path for path in paths}


def _module_name(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _closure(
    own: Mapping[str, str],
    available: Mapping[str, str],
    followed: AbstractSet[str],
    rules: SourceRules,
    problems: list[str],
) -> set[str]:
    """Paths of `followed` that own files and the SDK's entry import, found breadth-first."""
    modules = _modules_of(available)
    folders = {p.as_posix().replace("/", ".") for a in available for p in PurePosixPath(a).parents}
    queue = sorted(own) + _paths_to(SDK_ROOT_MODULE, modules)
    seen: set[str] = set()
    while queue:
        path = queue.pop(0)
        if path in seen or path not in followed:
            continue
        seen.add(path)
        for line, name, optional in _imports(path, available[path], problems):
            if name in modules:
                queue += _paths_to(name, modules)
            elif not optional and name not in folders and not rules.allows(name):
                problems.append(f"{path}:{line}: import of {name!r}, which no sandbox has")
    return seen


def _paths_to(module: str, modules: Mapping[str, str]) -> list[str]:
    """The paths of a module and of the packages around it."""
    parts = module.split(".")
    names = (".".join(parts[: count + 1]) for count in range(len(parts)))
    return [modules[name] for name in names if name in modules]


def _imports(path: str, text: str, problems: list[str]) -> Iterator[tuple[int, str, bool]]:
    """Line, module and whether the import may fail, for each import of a file."""
    try:
        tree = ast.parse(text, filename=path)
    except (SyntaxError, ValueError, RecursionError) as refused:
        line = getattr(refused, "lineno", None) or 1
        problems.append(f"{path}:{line}: {getattr(refused, 'msg', refused)}")
        return
    for node, guarded in _run_time_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, guarded
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node)
            yield node.lineno, base, guarded
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}", True


def _run_time_nodes(tree: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes but those below `if TYPE_CHECKING:`, and whether an import may fail there.

    It may in a `try` that catches ImportError, and where it is caught, among the alternatives: if
    none of them can be had, the code fails when its component is derived.
    """
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, guarded = stack.pop()
        yield node, guarded
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            children: list[tuple[ast.AST, bool]] = [(child, guarded) for child in node.orelse]
        elif isinstance(node, ast.Try) and any(map(_catches_import_error, node.handlers)):
            rest = [*node.orelse, *node.finalbody]
            children = [(child, True) for child in (*node.body, *node.handlers)]
            children += [(child, guarded) for child in rest]
        else:
            children = [(child, guarded) for child in ast.iter_child_nodes(node)]
        stack += reversed(children)


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {getattr(kind, "id", None) for kind in kinds}
    return handler.type is None or not names.isdisjoint(_IMPORT_ERRORS)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _absolute(path: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = PurePosixPath(path).parts[: -node.level]
    return ".".join((*package, node.module) if node.module else package)
