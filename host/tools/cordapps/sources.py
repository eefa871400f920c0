"""The Python sources of a CPK: own modules, vendored ones, and the SDK modules that they reach.

Nothing is executed: imports are read from the syntax tree. Imports that the runtime does not
provide are refused or warned of here, with file and line, instead of failing when the flow runs.
The outcome depends only on the texts: order, line ends and the folder's place on disk change
nothing.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from host.domain.errors import InvalidInputError
from host.domain.refused import what_there_is
from host.tools.cordapps.import_judgement import (
    Unreached,
    judge_imports,
    unknown_names,
    unreached_message,
)
from host.tools.cordapps.module_names import module_name, modules_of, packages_of, paths_to
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.runtime_modules import SourceRules
from sandbox.python_source import BYTES_MAX, canonical_form, data_text, is_data

SDK_PACKAGE = "cordapp"
SDK_ROOT_MODULE = "cordapp.guest"
FILES_MAX = 500
FILE_BYTES_MAX = 512 * 1024
TOTAL_BYTES_MAX = 4 * 1024 * 1024
VENDORED_FILES_MAX = 1_000
_LARGEST_SHOWN = 5

_TEST_FOLDERS = frozenset({"test", "tests"})
_NATIVE = frozenset({".so", ".pyd", ".dll", ".dylib", ".pyc", ".pyo", ".a", ".o", ".c", ".pyx"})


class SourceRefusedError(InvalidInputError):
    """Sources that no guest could run; `problems` names each file and line.

    Attributes:
        files: the modules and data that were read, so that what builds upon them can be judged.
    """

    code = "cordapp-source-refused"

    def __init__(
        self, problems: tuple[str, ...], files: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.files = files


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedSources:
    """The modules and data files of one CPK.

    Attributes:
        files: of the bundle, as in `PythonSource`, sorted by path.
        reached: paths of the modules that imports lead to, as far as they can be told.
        warnings: imports that fail if the code comes to them, one sentence each, with file and
            line.
    """

    files: Mapping[str, str]
    reached: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def unreached_of(plan: CpkPlan) -> Unreached:
    """What a CPK declares."""
    return Unreached(plan.unreached, label=f"{plan.world.value}.unreached")


def collect_sources(
    folder: Path,
    entry_modules: tuple[str, ...],
    *,
    rules: SourceRules,
    base: Mapping[str, str],
    vendored: Mapping[str, str] = MappingProxyType({}),
    data: Mapping[str, bytes] = MappingProxyType({}),
    unreached: Unreached | None = None,
) -> CollectedSources:
    """The files of one CPK.

    Every `.py` file below `folder` is the CPK's own, test files left out. All vendored modules are
    added, except tests that nothing imports. SDK modules are added if anything here or the SDK's
    entry `cordapp.guest` imports them, or if `base` has another version of them. In the place of a
    module that is declared unreached stands one that refuses to be imported.

    Args:
        folder: where the CPK's top-level modules and packages lie.
        entry_modules: modules that register contracts or flows; each must be in `folder`.
        rules: the runtime's modules.
        base: files of the CPKs that this one depends on; importable, but not collected.
        vendored: modules of third-party packages.
        data: data files of the CPK.
        unreached: modules that the author declares never to be imported.

    Raises:
        SourceRefusedError: imports that fail on loading, wrong declarations, native code, limits.
    """
    problems: list[str] = []
    unreached = unreached or Unreached()
    own = _read_folder(folder, problems)
    problems += missing_entries(folder, entry_modules, modules_of(own))
    texts = {path: data_text(content) for path, content in data.items()}
    problems += _wrong_names(own, vendored, base, rules)
    problems += [*_changed_data(texts, base), *_wrongly_declared(unreached, entry_modules)]
    sdk = sdk_sources()
    available = {**_code(base), **sdk, **vendored, **own}
    judgement = judge_imports(
        available,
        roots=_roots(entry_modules, modules_of(available)),
        idle=[path for path in own if not unreached.covers(module_name(path))],
        followed=own.keys() | vendored.keys() | sdk.keys(),
        rules=rules,
        unreached=unreached,
    )
    brought, reached = {**vendored, **own}, judgement.reached.keys()
    problems += [*judgement.problems, *unknown_names(unreached, brought)]
    packed = _packed(vendored, reached, unreached)
    problems += _too_much_vendored(vendored, packed, unreached)
    if problems:
        raise SourceRefusedError(tuple(problems), {**vendored, **own, **texts})
    chosen = own.keys() | packed | (reached & sdk.keys()) | _replaced(sdk, base)
    code = {path: available[path] for path in chosen}
    files = {**_without(unreached, code), **_stubs(brought, unreached), **texts}
    if told := _too_large({**base, **files}, entry_modules, unreached):
        raise SourceRefusedError((told,), files)
    return CollectedSources(
        files=dict(sorted(files.items())), reached=frozenset(reached), warnings=judgement.warnings
    )


def _replaced(sdk: Mapping[str, str], base: Mapping[str, str]) -> set[str]:
    """Paths of the SDK's modules of which the dependencies have another version."""
    return {path for path, text in sdk.items() if base.get(path, text) != text}


def _code(files: Mapping[str, str]) -> dict[str, str]:
    """Those that are modules."""
    return {path: text for path, text in files.items() if not is_data(path)}


def _without(unreached: Unreached, files: Mapping[str, str]) -> dict[str, str]:
    """Those that are not declared unreached."""
    return {path: text for path, text in files.items() if not unreached.covers(module_name(path))}


def _wrong_names(
    own: Mapping[str, str], vendored: Mapping[str, str], base: Mapping[str, str], rules: SourceRules
) -> Iterator[str]:
    """Modules whose names another module of the CPK, of its dependencies or the runtime has."""
    yield from _hidden_names({**modules_of(vendored), **modules_of(own)}, rules)
    yield from _collisions(own, vendored, base)


def _hidden_names(modules: Mapping[str, str], rules: SourceRules) -> list[str]:
    """Modules, by name and path, that hide modules of the runtime."""
    return [
        f"{path}: the module's name hides {name!r} of the runtime"
        for name, path in sorted(modules.items())
        if rules.reserves(name.partition(".")[0])
    ]


def _changed_data(texts: Mapping[str, str], base: Mapping[str, str]) -> list[str]:
    """Data files that a dependency has with another content."""
    return [
        f"{path}: a data file differs from what the CPK's dependency has there"
        for path, text in texts.items()
        if base.get(path, text) != text
    ]


def _too_much_vendored(
    vendored: Mapping[str, str], packed: Collection[str], unreached: Unreached
) -> list[str]:
    """Whether the vendored modules to be packed exceed a limit."""
    size = sum(len(vendored[path].encode()) for path in packed)
    if len(packed) <= VENDORED_FILES_MAX and size <= TOTAL_BYTES_MAX:
        return []
    problem = (
        f"{len(packed)} vendored modules with {size} bytes, at most {VENDORED_FILES_MAX} with "
        f"{TOTAL_BYTES_MAX}: declare those that nothing imports in {unreached.label}"
    )
    return [problem]


def _too_large(
    files: Mapping[str, str], entry_modules: Iterable[str], unreached: Unreached
) -> str | None:
    """Whether the modules and data of a CPK and its dependencies exceed what a sandbox loads."""
    size = len(canonical_form(files, entry_modules))
    if size <= BYTES_MAX:
        return None
    sizes = Counter[str]()
    for path, text in files.items():
        sizes[_top(path)] += len(text)
    ordered = sorted(sizes.items(), key=lambda each: (-each[1], each[0]))[:_LARGEST_SHOWN]
    largest = ", ".join(f"{name} {count}" for name, count in ordered)
    return (
        f"modules and data of {size} bytes in the form that a sandbox loads, at most {BYTES_MAX}: "
        f"vendor fewer packages, or declare what nothing imports in {unreached.label}; the "
        f"largest are {largest}"
    )


def missing_entries(folder: Path, entry_modules: Iterable[str], known: Iterable[str]) -> list[str]:
    """What is wrong with the entry modules of a part, a line each."""
    there = sorted(known)
    return [
        f"{folder.name}: entry module {name!r} is not there: `modules` of cordapp.toml names it; "
        f"{what_there_is(name, there)}"
        for name in entry_modules
        if name not in there
    ]


def _packed(
    vendored: Mapping[str, str], reached: AbstractSet[str], unreached: Unreached
) -> frozenset[str]:
    """Paths of the vendored modules that a CPK gets; stubs for unreached ones aside."""
    return frozenset(
        path
        for path in vendored
        if (path in reached or not _is_vendored_test(path))
        and not unreached.covers(module_name(path))
    )


def _roots(entry_modules: Iterable[str], modules: Mapping[str, str]) -> list[str]:
    return [path for name in (*entry_modules, SDK_ROOT_MODULE) for path in paths_to(name, modules)]


def _wrongly_declared(unreached: Unreached, entry_modules: Iterable[str]) -> Iterator[str]:
    """Declarations that contradict the project itself."""
    for name in unreached.names:
        if name.partition(".")[0] == SDK_PACKAGE:
            yield f"{unreached.label}: {name!r} belongs to the SDK"
    for name in entry_modules:
        if unreached.covers(name):
            yield f"{unreached.label}: {name!r} is an entry module"


def _stubs(paths: Iterable[str], unreached: Unreached) -> dict[str, str]:
    """What stands in the place of the declared modules that are there."""
    modules, packages = modules_of(paths), packages_of(paths)
    places = {name: name.replace(".", "/") for name in unreached.names}
    return {
        f"{place}/__init__.py" if name in packages else f"{place}.py": _stub(name)
        for name, place in places.items()
        if name in packages or name in modules
    }


def _stub(name: str) -> str:
    """A module that refuses to be imported.

    Its error has no `name`: Python would take one for a missing attribute of the package, where
    the import is `from package import name`, and lose the message.
    """
    return f"raise ModuleNotFoundError({unreached_message(name)!r})\n"


def _collisions(
    own: Mapping[str, str], vendored: Mapping[str, str], base: Mapping[str, str]
) -> Iterator[str]:
    """Names that refer to different code in two parts of one bundle."""
    yield from (
        f"{path}: the name {SDK_PACKAGE!r} belongs to the SDK"
        for path in sorted({*own, *vendored})
        if _top(path) == SDK_PACKAGE
    )
    taken = {_top(path).casefold(): path for path in sorted(own, reverse=True)}
    yield from (
        f"{path}: a vendored package has the name of the own {taken[_top(path).casefold()]}"
        for path in sorted(vendored)
        if _top(path).casefold() in taken
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
    for path in walk_sources(folder):
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


def walk_sources(folder: Path) -> Iterator[Path]:
    """The files below a folder, hidden ones left out, and links, in the order of their names."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if n != "__pycache__" and not n.startswith("."))
        for name in sorted(names) + [n for n in folders if (Path(parent) / n).is_symlink()]:
            if not name.startswith("."):
                yield Path(parent) / name


def _is_test(file_name: str) -> bool:
    return file_name.startswith("test_") or file_name == "conftest.py"


def _is_vendored_test(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return _is_test(parts[-1]) or not _TEST_FOLDERS.isdisjoint(parts[1:-1])
