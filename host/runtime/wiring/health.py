"""Whether a process can do its work: its storage, and the workers that it depends on."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.data_directory import probe
from host.domain.errors import HostError, UnavailableError
from host.ports.clock import Clock
from host.ports.database import SqlDatabase

_REMEMBER_MS = 1000
_GLANCE_MS = 10_000

Check = Callable[[], object]
"""Raises a `HostError` if something is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The result of a check."""

    check: str
    error: HostError


class Health:
    """Checks that unauthenticated callers may run: results are cached for a second. Thread-safe."""

    def __init__(self, checks: Mapping[str, Check], clock: Clock) -> None:
        self._checks = checks
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: int | None = None
        self._problems: Sequence[Problem] = ()

    def check(self) -> None:
        """Run all checks.

        Raises:
            HostError: the first thing that is wrong.
        """
        for problem in self.problems():
            raise type(problem.error)(problem.error.message)

    def problems(self) -> Sequence[Problem]:
        """All problems found."""
        with self._lock:
            now = self._clock.now_ms()
            if self._looked_at is None or not 0 <= now - self._looked_at < _REMEMBER_MS:
                self._problems = [
                    Problem(check=name, error=error)
                    for name, check in self._checks.items()
                    if (error := _failure(name, check)) is not None
                ]
                self._looked_at = now
            return self._problems


class Glance:
    """A costly check that returns a text, cached for ten seconds. Thread-safe."""

    def __init__(self, look: Callable[[], str], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: int | None = None
        self._text = ""

    def text(self) -> str:
        """The latest result; empty if there is nothing to report."""
        with self._lock:
            now = self._clock.now_ms()
            if self._looked_at is None or not 0 <= now - self._looked_at < _GLANCE_MS:
                self._text, self._looked_at = self._look(), now
            return self._text


def _failure(name: str, check: Check) -> HostError | None:
    try:
        check()
    except HostError as problem:
        return problem
    except Exception as problem:  # noqa: BLE001  # health must always have an answer
        return UnavailableError(f"{name}: {type(problem).__name__}")
    return None


def storage_checks(folder: Path, database: SqlDatabase) -> Mapping[str, Check]:
    """Checks that the disk accepts writes and the cluster's database answers."""

    def ask() -> None:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM schema_version").scalar_one()

    return {"disk": lambda: probe(folder), "database": ask}
