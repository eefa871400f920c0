"""Contracts that report the lines that they reach, in the sandbox as always.

The bundle of a Python contract gets one more module, which watches the lines by `sys.monitoring`
during `verify` and adds them to its answer. The code of the contract is unchanged, but its
component is another one, and uses more fuel: whatever is found here is judged again by the
contract's own component. Contracts in other languages run as they are and report no line.
"""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from cpi.package.model import PackageType
from cpi.package.verify import read_package
from host.domain.ids import ShortHash
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord, CpkRecord, contracts_of
from host.guests.code import CpkCode, code_of
from host.guests.contracts import SandboxedContracts
from host.guests.library import GuestLibrary
from host.tools.contracts.verification import CpiContracts
from sandbox.host_calls import HostCallHandler
from sandbox.outcome import Outcome, Returned
from sandbox.python_source import PythonSource, is_data
from sandbox.runnable import Runnable, RunRequest
from sandbox.runtime import Sandbox
from sandbox.world import World

Line: TypeAlias = tuple[str, int]
"""A file of a contract, by its path in the bundle, and the number of a line."""

_SDK = "cordapp/"
_WATCHER = "cordbox_coverage"
_WATCHER_SOURCE = f"""
import sys
from json import dumps, loads

from cordapp import guest

_TOOL = sys.monitoring.COVERAGE_ID
_LINE = sys.monitoring.events.LINE
_verify = guest.verify
_reached = set()


def _see(code, number):
    if not code.co_filename.startswith({_SDK!r}):
        _reached.add((code.co_filename, number))
    return sys.monitoring.DISABLE


def verify(transaction):
    failures = []
    sys.monitoring.use_tool_id(_TOOL, "coverage")
    sys.monitoring.register_callback(_TOOL, _LINE, _see)
    sys.monitoring.set_events(_TOOL, _LINE)
    try:
        _verify(transaction)
    except guest.Refused as refused:
        failures = loads(refused.payload)["failures"]
    finally:
        sys.monitoring.set_events(_TOOL, 0)
    raise guest.Refused(dumps({{"failures": failures, "lines": sorted(_reached)}}))


guest.verify = verify
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The failures of one transaction, and the lines that the contracts reached."""

    failures: Sequence[JsonObject]
    lines: frozenset[Line]


class WatchedContracts:
    """The contracts of a verified CPI. Used by one thread."""

    def __init__(self, contracts: CpiContracts, sandbox: Sandbox) -> None:
        """Make the images of the watched code.

        Raises:
            HostError, SandboxError: as `host.guests.code.make_component`.
        """
        self._plain = contracts
        self._reached: set[Line] = set()
        package = read_package(contracts.cpi, package_type=PackageType.CPI)
        codes = {cpk.file_checksum: code_of(cpk, package.cpks) for cpk in package.cpks
                 if cpk.world_type == World.CONTRACT.value}  # fmt: skip
        self.files = {
            path: text for code in codes.values() for path, text in _own_files(code).items()
        }
        library = _WatchedLibrary(sandbox, contracts.cpi, codes, self._reached)
        self._watched = SandboxedContracts(library=library, limits=contracts.limits)

    def verify(self, transaction: JsonObject) -> Sequence[JsonObject]:
        """The failures of one transaction, by the contracts' own components."""
        return self._plain.verify(transaction).failures

    def watch(self, transaction: JsonObject) -> Trial:
        """Judge one transaction by the watched components."""
        self._reached.clear()
        failures = self._watched.judge(contracts_of(self._plain.record), transaction).failures
        return Trial(failures=failures, lines=frozenset(self._reached))


class _WatchedLibrary(GuestLibrary):
    """Gives the watched guest of each Python contract."""

    def __init__(
        self, sandbox: Sandbox, cpi: bytes, codes: Mapping[str, CpkCode], reached: set[Line]
    ) -> None:
        super().__init__(sandbox=sandbox, read=lambda _: cpi)
        self._guests: dict[str, Runnable] = {}
        for checksum, code in codes.items():
            if code.source is not None:
                source = _watched(code.source)
                made = sandbox.make_image(code.world, source, runtime=code.descriptor.runtime)
                found = sandbox.guest(code.world, made.digest)
                self._guests[str(checksum)] = _WatchedGuest(found, reached)

    def guest(  # type: ignore[override]  # any `GuestSource` gives a `Runnable`
        self, cpi: CpiRecord, cpk: CpkRecord, *, node: ShortHash | None = None
    ) -> Runnable:
        found = self._guests.get(str(cpk.file_checksum))
        return super().guest(cpi, cpk, node=node) if found is None else found


class _WatchedGuest(Runnable):
    """Takes the lines out of the answers of a watched component."""

    __slots__ = ("_guest", "_reached")

    def __init__(self, guest: Runnable, reached: set[Line]) -> None:
        self._guest = guest
        self._reached = reached

    def run(self, request: RunRequest, host: HostCallHandler | None = None) -> Outcome:
        outcome = self._guest.run(request, host)
        if request.export != "verify" or not isinstance(outcome, Returned):
            return outcome
        answer = json.loads(outcome.value or "null")
        if not isinstance(answer, dict) or "lines" not in answer:
            return outcome
        self._reached |= {(str(file), int(line)) for file, line in answer.pop("lines")}
        if not answer["failures"]:
            return replace(outcome, value=None, is_error=False)
        return replace(outcome, value=json.dumps(answer))


def _watched(source: PythonSource) -> PythonSource:
    return PythonSource(
        files={**source.files, f"{_WATCHER}.py": _WATCHER_SOURCE},
        # The last one: the type hints of all others are resolved then.
        entry_modules=(*source.entry_modules, _WATCHER),
    )


def _own_files(code: CpkCode) -> dict[str, str]:
    """The modules of a contract CPK without the SDK."""
    files = {} if code.source is None else code.source.files
    return {p: text for p, text in files.items() if not p.startswith(_SDK) and not is_data(p)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCoverage:
    """Lines of one file that were reached, of those in functions; `missed` are the others."""

    file: str
    reached: int
    lines: int
    missed: tuple[int, ...]


def covered(files: Mapping[str, str], reached: frozenset[Line]) -> tuple[FileCoverage, ...]:
    """The coverage of each file in which a line was reached; others are code of libraries.

    A file whose syntax this Python does not know is left out.
    """
    return tuple(_covered(files, reached))


def _covered(files: Mapping[str, str], reached: frozenset[Line]) -> Iterator[FileCoverage]:
    for file in sorted({file for file, _ in reached} & files.keys()):
        try:
            lines = set(_lines_in_functions(files[file]))
        except SyntaxError:
            continue
        hit = {line for name, line in reached if name == file} & lines
        yield FileCoverage(
            file=file, reached=len(hit), lines=len(lines), missed=tuple(sorted(lines - hit))
        )


def _lines_in_functions(text: str) -> Iterator[int]:
    """First lines of the statements in functions, docstrings left out."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in ast.walk(node):
                if isinstance(statement, ast.stmt) and statement is not node:
                    value = getattr(statement, "value", None)
                    if not (isinstance(statement, ast.Expr) and isinstance(value, ast.Constant)):
                        yield statement.lineno
