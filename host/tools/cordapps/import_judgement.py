"""Judges the imports of a CPK: what its modules reach, and which imports a sandbox refuses.

Reach is followed from the entry modules, by the certainty of each import. What surely fails while
the code is loaded is a problem; what may fail later is a warning; what the code provides for, or no
sandbox comes to, is neither.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from host.tools.cordapps.import_scan import Import, When, imports_of
from host.tools.cordapps.module_names import (
    module_name,
    modules_of,
    packages_of,
    parents_and_self,
    paths_to,
)
from host.tools.cordapps.module_syntax import ModuleSyntax, module_syntax
from host.tools.cordapps.python_syntax import syntax_problem
from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.static_conditions import Conditions, UnknownValueError

WARNINGS_MAX = 200
"""A list that nobody reads to its end; the last line tells how many were left out."""
_MAKES_MODULES = ("sys.modules[", "sys.meta_path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the imports of a CPK come to.

    Attributes:
        reached: path -> how surely the module is loaded.
        problems: imports that fail while the code is loaded, one sentence each, with file and line.
        warnings: imports that fail if the code comes to them.
    """

    reached: Mapping[str, When]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def judge_imports(
    texts: Mapping[str, str],
    *,
    roots: Iterable[str],
    idle: Iterable[str],
    followed: AbstractSet[str],
    rules: SourceRules,
    unreached: "Unreached",
) -> Judgement:
    """Follow all imports from the roots.

    Args:
        texts: every file that code can import: path -> text.
        roots: files that are loaded in any case.
        idle: files of the CPK's author; those that nothing imports are looked at, too.
        followed: files whose own imports are judged.
        rules: the runtime's modules.
        unreached: modules that the author declares never to be imported.
    """
    judging = _Judging(texts, followed, rules, unreached)
    judging.follow((path, When.LOAD) for path in roots)
    judging.follow((path, When.IDLE) for path in idle)
    return Judgement(
        reached=judging.reached,
        problems=tuple(judging.problems),
        warnings=_shortened(judging.warnings),
    )


class Unreached:
    """Modules that `unreached` of cordapp.toml declares; a package stands for all of its modules.

    Args:
        names: dotted names.
        label: of the key, for messages.
    """

    def __init__(self, names: Iterable[str] = (), label: str = "unreached") -> None:
        self.names = tuple(names)
        self.label = label
        self.used: set[str] = set()

    def covers(self, module: str) -> bool:
        """Whether a module is declared, or lies in a declared package."""
        found = [name for name in parents_and_self(module) if name in self.names]
        self.used.update(found)
        return bool(found)


def unreached_message(name: str) -> str:
    """What the import of a declared module says where it happens after all."""
    return f"cannot import {name!r}: cordapp.toml declares it unreached"


class _Judging:
    """One run over the files; modules are visited in the order of their certainty."""

    def __init__(
        self,
        texts: Mapping[str, str],
        followed: AbstractSet[str],
        rules: SourceRules,
        unreached: Unreached,
    ) -> None:
        self.reached: dict[str, When] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._texts = texts
        self._followed = followed
        self._rules = rules
        self._unreached = unreached
        self._modules = modules_of(texts)
        self._packages = packages_of(texts)
        self._queue: list[tuple[When, int, str, str]] = []
        self._count = 0
        self._conditions: dict[str, Conditions] = {}
        self._warned: set[tuple[str, int, str]] = set()

    def follow(self, starts: Iterable[tuple[str, When]]) -> None:
        for path, when in starts:
            self._enqueue(path, when, "")
        while self._queue:
            when, _, path, origin = heapq.heappop(self._queue)
            if path not in self.reached and path in self._followed:
                self.reached[path] = when
                self._visit(path, when, origin)

    def _enqueue(self, path: str, when: When, origin: str) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, path, origin))

    def _visit(self, path: str, reached: When, origin: str) -> None:
        try:
            syntax = module_syntax(path, self._texts[path])
        except (SyntaxError, ValueError, RecursionError) as refused:
            line = getattr(refused, "lineno", None) or 1
            self._tell(f"{path}:{line}: {syntax_problem(refused)}", path, reached)
            return
        for found in imports_of(path, syntax, self._conditions_of(path, syntax)):
            when = max(reached, found.when)
            if self._unreached.covers(found.module):
                self._judge_declared(path, found, when)
            elif found.module in self._modules:
                for target in paths_to(found.module, self._modules):
                    self._enqueue(target, when, f"{path}:{found.line}")
            elif found.module not in self._packages:
                self._judge_missing(path, found, reached, origin)

    def _judge_declared(self, path: str, found: Import, when: When) -> None:
        if when is When.LOAD and (not found.is_attribute or found.module in self._modules):
            self.problems.append(
                f"{path}:{found.line}: import of {found.module!r}, which {self._unreached.label} "
                "declares, runs whenever the code is loaded: remove the declaration or the import"
            )

    def _judge_missing(self, path: str, found: Import, reached: When, origin: str) -> None:
        if self._is_made_by_code(found.module):
            return
        reason = self._reason(found)
        if reason is None:
            return
        text = f"{path}:{found.line}: import of {found.module!r}, which no sandbox has"
        origin = f" (imported by {origin})" if origin else ""
        if max(reached, found.when) is When.LOAD:
            self.problems.append(f"{text}{origin}: {reason}")
        else:
            self._warn(
                f"{text}{origin}: {_effect(path, found, reached)}; {reason}", path, found, reached
            )

    def _reason(self, found: Import) -> str | None:
        """Why nothing can be imported by this name; None if that is possible."""
        if found.module.startswith("."):
            return "a relative import that leaves the top-level package"
        if found.is_attribute:
            return self._reason_of_attribute(found.module)
        if found.module.partition(".")[0] in self._packages | self._modules.keys():
            return f"{found.module.rpartition('.')[0]} has no such module"
        return self._rules.reason(found.module)

    def _is_made_by_code(self, name: str) -> bool:
        """Whether a module around it makes modules while it runs, as `six` makes `six.moves`."""
        around = (self._modules.get(parent) for parent in parents_and_self(name)[:-1])
        return any(mark in self._texts[path] for path in around if path for mark in _MAKES_MODULES)

    def _reason_of_attribute(self, name: str) -> str | None:
        """Why a name of a `from` import cannot be had, unless that is said of its module."""
        base = name.rpartition(".")[0]
        if base in self._modules or base in self._packages or not self._rules.allows(base):
            return None
        return self._rules.reason_of_attribute(name)

    def _warn(self, text: str, path: str, found: Import, reached: When) -> None:
        key = (path, found.line, found.module)
        if max(reached, found.when) is not When.CAUGHT and key not in self._warned:
            self._warned.add(key)
            self.warnings.append(text)

    def _tell(self, text: str, path: str, reached: When) -> None:
        if reached is When.LOAD:
            self.problems.append(text)
        elif reached is not When.CAUGHT:
            self.warnings.append(f"{text}: importing {module_name(path)} fails with SyntaxError")

    def _conditions_of(self, path: str, syntax: ModuleSyntax) -> Conditions:
        if path not in self._conditions:
            self._conditions[path] = Conditions(syntax, path, self._constant)
        return self._conditions[path]

    def _constant(self, name: str) -> object:
        """The value of a name that a module of the bundle binds.

        Raises:
            UnknownValueError: no such module, or no value that can be told.
        """
        module, _, attribute = name.rpartition(".")
        path = self._modules.get(module)
        if path is None:
            raise UnknownValueError(name)
        if path not in self._conditions:
            try:
                syntax = module_syntax(path, self._texts[path])
            except (SyntaxError, ValueError, RecursionError) as refused:
                raise UnknownValueError(name) from refused
            self._conditions_of(path, syntax)
        return self._conditions[path].constant(attribute)


def _effect(path: str, found: Import, reached: When) -> str:
    """What happens where an import that fails is no certainty."""
    module, fails = module_name(path), "fails with ModuleNotFoundError"
    if found.when is When.CALL:
        return f"a call that comes here {fails}"
    if found.when is When.CONDITION:
        return f"loading {module} {fails} if the condition holds"
    if reached is When.IDLE:
        return f"nothing imports {module}, and importing it {fails}"
    return f"importing {module} {fails}"


def _shortened(warnings: list[str]) -> tuple[str, ...]:
    if len(warnings) <= WARNINGS_MAX:
        return tuple(warnings)
    left = len(warnings) - WARNINGS_MAX
    return (*warnings[:WARNINGS_MAX], f"{left} further imports would fail if code came to them")


def unknown_names(unreached: Unreached, paths: Iterable[str]) -> Iterator[str]:
    """Problems of declared names that are neither modules of the CPK nor imported by it."""
    known = frozenset(modules_of(paths)) | packages_of(paths)
    for name in unreached.names:
        if name not in known and name not in unreached.used:
            yield f"{unreached.label}: {name!r} is no module of the CPK, and nothing imports it"
