"""Third-party packages of a CPK: turns a lock and a folder of wheels into sources and entries.

It uses no network and no installer: a wheel is used only if the lock names its hash. The CPK gets
the packages' modules as if they were its own, a record of the wheels (`wasm/vendored.json`), and
the packages' licence files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import rfc8785

from cpi.package.descriptor import PYTHON_PREFIX
from host.tools.cordapps.module_names import module_name
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.requirements_lock import VendoringRefusedError, read_lock
from host.tools.cordapps.wheels import Wheel, locked_wheel, wheels_in

RECORD_ENTRY = "wasm/vendored.json"
T = TypeVar("T")
NOTICES_PREFIX = "wasm/licences/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendored:
    """Third-party code of a CPK.

    Attributes:
        modules: path -> text.
        data: path -> content of the data files that the project names.
        entries: of the CPK, beside the code.
        wheels: their file names.
    """

    modules: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, bytes] = field(default_factory=dict)
    entries: Mapping[str, bytes] = field(default_factory=dict)
    wheels: tuple[str, ...] = ()


def vendored_packages(plan: CpkPlan) -> Vendored:
    """The content of `vendor-lock` and `vendor-wheels` of a CPK; empty if it has neither.

    Raises:
        VendoringRefusedError: the lock or a wheel; names package, file and reason.
    """
    if plan.vendor_lock is None or plan.vendor_wheels is None:
        return Vendored()
    problems: list[str] = []
    pins = read_lock(plan.vendor_lock)
    files = wheels_in(plan.vendor_wheels, problems)
    wheels = [
        wheel for pin in pins if (wheel := locked_wheel(pin, files, plan, problems)) is not None
    ]
    modules = _merged(wheels, [wheel.modules for wheel in wheels], problems)
    data = _merged(wheels, [wheel.data for wheel in wheels], problems)
    problems += _ambiguous(modules)
    if problems:
        raise VendoringRefusedError(tuple(problems))
    return Vendored(
        modules=modules,
        data=data,
        entries=dict(_entries(wheels)),
        wheels=tuple(wheel.file_name for wheel in wheels),
    )


def _merged(
    wheels: Sequence[Wheel], parts: Sequence[Mapping[str, T]], problems: list[str]
) -> dict[str, T]:
    """The files of all wheels, which may share those that are equal."""
    origin: dict[str, Wheel] = {}
    result: dict[str, T] = {}
    for wheel, part in zip(wheels, parts, strict=True):
        for path, content in part.items():
            other = origin.setdefault(path, wheel)
            if result.setdefault(path, content) != content:
                problems.append(f"{path}: is in {other.file_name} and in {wheel.file_name}")
    return dict(sorted(result.items()))


def _ambiguous(modules: Mapping[str, str]) -> Iterator[str]:
    """Modules of one name, and names that a disk without upper and lower case takes for one."""
    taken: dict[str, str] = {}
    for path in modules:
        other = taken.setdefault(module_name(path).casefold(), path)
        if other != path:
            yield f"{path}: has the name of the module {other}, apart from upper and lower case"


def _entries(wheels: Sequence[Wheel]) -> Iterator[tuple[str, bytes]]:
    record = [
        {"name": w.name, "version": w.version, "wheel": w.file_name, "digest": w.digest}
        for w in wheels
    ]
    yield RECORD_ENTRY, rfc8785.dumps({"wheels": record})
    for wheel in wheels:
        for path, content in wheel.notices.items():
            yield f"{NOTICES_PREFIX}{wheel.name}-{wheel.version}/{path}", content


def import_paths(plan: CpkPlan) -> tuple[Path, ...]:
    """The import paths of a CPK's sources for plain Python, for tests outside of the sandbox.

    The CPK's own folder, its locked wheels and the sources inside the CPKs that it depends on:
    Python imports from ZIP archives.
    """
    if plan.source is None:
        return ()
    wheels: tuple[Path, ...] = ()
    if plan.vendor_wheels is not None:
        wheels = tuple(plan.vendor_wheels / name for name in vendored_packages(plan).wheels)
    others = tuple(path / PYTHON_PREFIX for path in plan.dependency_files)
    return (plan.source, *wheels, *others)
