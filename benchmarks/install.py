"""Installing Python CPKs on a host that has the runtimes: time, and bytes in the cache.

Each CPK is new: its sources differ from all others by a line. The host has a cache of its own, so
that nothing of the build is found there. Against a Python process that imports the same sources.
"""

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks import workshop
from benchmarks.contracts import SAMPLES
from benchmarks.measure import BenchmarkError, Measurement, seconds_of
from benchmarks.processor import used_with_children
from cpi.package.verify import read_package
from host.guests.code import CpkCode, code_of, prove
from sandbox.runtime import Sandbox

_ROUNDS = 5
_MB = 1_000_000
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A CorDapp whose code is new, its CPKs' code, and the sizes of their files in bytes."""

    project: Path
    codes: tuple[CpkCode, ...]
    sizes: tuple[int, ...]


def packages() -> list[Measurement]:
    """Seconds for each CPK of the IOU: what an upload does with its code."""
    with _host() as host:
        seconds: dict[str, list[float]] = {}
        cpu: dict[str, list[float]] = {}
        imports: list[float] = []
        for _ in range(_ROUNDS):
            fresh = _fresh()
            imports.append(seconds_of(lambda fresh=fresh: _import(fresh.project)))  # type: ignore[misc]
            for code in fresh.codes:
                before = used_with_children(os.getpid())
                taken = seconds_of(lambda code=code: prove(host, code))  # type: ignore[misc]
                after = used_with_children(os.getpid())
                cpu.setdefault(code.world.value, []).append(after.cpu_seconds - before.cpu_seconds)
                seconds.setdefault(code.world.value, []).append(taken)
    process = statistics.median(imports)
    return [
        Measurement(
            name=f"install of a Python {world} CPK, runtimes compiled",
            value=statistics.median(taken),
            unit="s",
            against=f"a Python process that imports its sources ({process:.3f} s)",
            ratio=process / statistics.median(taken),
            note=f"{statistics.median(cpu[world]):.2f} s of processor time; goal: at most 0.3 s",
        )
        for world, taken in seconds.items()
    ]


def cache() -> list[Measurement]:
    """Bytes in the cache for each Python CPK of the IOU."""
    with _host() as host:
        folder = workshop.folder() / "host-cache"
        grown: dict[str, list[int]] = {}
        sizes: dict[str, int] = {}
        for _ in range(2):
            fresh = _fresh()
            for code, size in zip(fresh.codes, fresh.sizes, strict=True):
                before = _bytes_in(folder)
                prove(host, code)
                grown.setdefault(code.world.value, []).append(_bytes_in(folder) - before)
                sizes[code.world.value] = size
    return [
        Measurement(
            name=f"cache of a Python {world} CPK",
            value=statistics.median(sizes_in_cache) / _MB,
            unit="MB",
            against=f"the CPK itself ({sizes[world] / _MB:.3f} MB)",
            ratio=sizes[world] / statistics.median(sizes_in_cache),
            note="goal: at most 3 MB",
        )
        for world, sizes_in_cache in grown.items()
    ]


@contextmanager
def _host() -> Iterator[Sandbox]:
    """A sandbox with a cache of its own, in which the runtimes are compiled."""
    folder = workshop.folder() / "host-cache"
    host = Sandbox(cache_dir=folder)
    for code in _fresh().codes:
        prove(host, code)
    yield host
    shutil.rmtree(folder, ignore_errors=True)


def _fresh() -> Fresh:
    """The IOU with a line in each module that no other CorDapp has."""
    number = next(_numbers)
    project = workshop.folder() / f"iou-{number}"
    shutil.copytree(SAMPLES / "iou", project)
    for module in (*project.glob("contracts/*.py"), *project.glob("workflows/*.py")):
        module.write_text(f"{module.read_text(encoding='utf-8')}\n_NUMBER = {number}\n")
    built = workshop.built(project)
    packaged = read_package(built.cpb.path.read_bytes())
    if len(packaged.cpks) != len(built.cpks):
        raise BenchmarkError(f"{built.cpb.path} has {len(packaged.cpks)} CPKs")
    return Fresh(
        project,
        tuple(code_of(cpk, packaged.cpks) for cpk in packaged.cpks),
        tuple(cpk.file.size for cpk in built.cpks),
    )


def _import(project: Path) -> None:
    paths = [str(project / "contracts"), str(project / "workflows"), "sandbox/sdk"]
    program = f"import sys; sys.path[:0] = {paths!r}; import iou_contracts, iou_flows"
    words = [sys.executable, "-I", "-c", program]
    subprocess.run(words, check=True, env=workshop.child_environment())


def _bytes_in(folder: Path) -> int:
    """Disk space of the files in a folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
