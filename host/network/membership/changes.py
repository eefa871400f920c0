"""A database that tells the worker of membership of changes by others of its process."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from host.ports.database import SqlDatabase

_T = TypeVar("_T")


class Changes:
    """Changes of the tables of membership in one process, and who follows them."""

    def __init__(self) -> None:
        self._followers: tuple[Callable[[], None], ...] = ()

    def follow(self, told: Callable[[], None]) -> None:
        """Call `told` after each change, on the thread that made it; it must not block."""
        self._followers = (*self._followers, told)

    def __call__(self) -> None:
        """There was a change."""
        for told in self._followers:
            told()


@dataclass(frozen=True, slots=True)
class ToldDatabase:
    """A `SqlDatabase`; `told` is called after each commit, and must not block."""

    database: SqlDatabase
    told: Callable[[], None]

    def read(self) -> AbstractContextManager[Connection]:
        return self.database.read()

    def transact(self, work: Callable[[Connection], _T]) -> _T:
        done = self.database.transact(work)
        self.told()
        return done

    def scrub(self) -> None:
        self.database.scrub()

    def revision(self) -> int:
        return self.database.revision()
