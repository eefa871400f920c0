"""Detects changes of a CorDapp's files by polling, which works on every file system."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from host.tools.cordapps.project import PROJECT_FILE, CordappProject, CpkPlan, load_project

FILES_MAX = 10_000
_IGNORED = frozenset({"__pycache__", "build", "target", "node_modules"})

Stamp = tuple[int, int]
"""Modification time in nanoseconds, and size."""


class SourceWatch:
    """The files that a build of a project reads.

    A file counts as changed only if its content changed, not if it was only touched.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stamps: dict[Path, Stamp] = {}
        self._digests: dict[Path, bytes] = {}
        self.changes()

    def changes(self) -> tuple[Path, ...]:
        """Files that were changed, added or removed since the last call, by path."""
        found: dict[Path, Stamp] = {}
        changed: list[Path] = []
        for path in self._files():
            try:
                facts = path.stat()
                stamp = facts.st_mtime_ns, facts.st_size
                found[path] = stamp
                if self._stamps.get(path) != stamp and self._is_other(path):
                    changed.append(path)
            except OSError:  # deleted meanwhile: the next poll reports it
                found.pop(path, None)
        gone = set(self._stamps) - set(found)
        for path in gone:
            self._digests.pop(path, None)
        self._stamps = found
        return tuple(sorted({*changed, *gone}))

    def _is_other(self, path: Path) -> bool:
        digest = hashlib.sha256(path.read_bytes()).digest()
        before = self._digests.get(path)
        self._digests[path] = digest
        return before != digest

    def _files(self) -> Iterator[Path]:
        yield from islice(_watched(self._root), FILES_MAX)


def _watched(root: Path) -> Iterator[Path]:
    yield root / PROJECT_FILE
    for plan in _plans(root):
        yield from (f for f in (plan.component, plan.vendor_lock, *plan.dependency_files) if f)
        if plan.source is not None:
            yield from _tree(plan.source)


def _plans(root: Path) -> tuple[CpkPlan, ...]:
    """The project's parts; none while cordapp.toml is invalid, which the build reports."""
    try:
        project: CordappProject = load_project(root)
    except Exception:  # noqa: BLE001  # half a file may be anything
        return ()
    return tuple(plan for plan in (project.contract, project.workflow) if plan is not None)


def _tree(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _IGNORED:
            continue
        if path.is_dir():
            yield from _tree(path)
        else:
            yield path


def named(root: Path, changed: tuple[Path, ...]) -> str:
    """Changed files for messages, relative to the project."""
    root = root.resolve()
    names: Mapping[Path, str] = {
        path: str(path.relative_to(root) if path.is_relative_to(root) else path) for path in changed
    }
    shown = ", ".join(names[path] for path in changed[:5])
    return shown if len(changed) <= 5 else f"{shown} and {len(changed) - 5} more"
