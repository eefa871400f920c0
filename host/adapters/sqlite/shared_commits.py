"""Write transactions of several threads on one database that share a commit.

A commit costs one synchronisation of the log, whatever it holds. So threads queue their work, and
the first of them executes what waits in one transaction, each work in a savepoint: one that fails
is rolled back alone.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from host.adapters.sqlite.database import Database, driver_of
from host.database.shared_batches import Queued, SharedBatches
from host.domain.call_time import carried_call

T = TypeVar("T")
_Work: TypeAlias = Callable[[Connection], None]
_Queued: TypeAlias = Queued[_Work, None]

BATCH_MAX = 256
"""Works of one transaction, so that the first of many does not wait for long."""
SECONDS_MAX = 0.02
"""No work joins a transaction that was executing for so long."""


class _TransactionLostError(Exception):
    """The database has rolled back a transaction for the sake of one of its works."""


class SharedCommits:
    """Executes works on a database, those of threads that wait at the same time together.

    Thread-safe. Works run in the order of their calls, perhaps in another thread, within the time
    of the host call that they belong to.

    Attributes:
        database: reads, and transactions that share nothing.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._batches: SharedBatches[_Work, None] = SharedBatches(
            self._execute, batch_max=BATCH_MAX
        )

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, and commit it; see `SqlDatabase.transact`.

        Raises:
            StorageError: the file cannot be written; nothing has changed.
            StorageBusyError: another process held the write lock for longer than the busy timeout.
            RuntimeError: called within `work`.
        """
        self.database.refuse_second()
        results: list[T] = []
        with carried_call() as own:

            def execute(connection: Connection) -> None:
                results[:] = [own.run(lambda: work(connection))]

            self._batches.run(execute)
        return results[0]

    def _execute(self, batch: Sequence[_Queued]) -> None:
        left = batch
        while left:
            ended = self._execute_together(left) if len(left) > 1 else 0
            if not ended:
                for queued in left:
                    self._execute_alone(queued)
                return
            left = left[ended:]

    def _execute_together(self, batch: Sequence[_Queued]) -> int:
        """Execute works in one transaction; how many have ended. 0: each has to be alone.

        Raises:
            StorageError: the transaction cannot be begun or committed; nothing has changed.
        """
        failures: list[Exception | None] = []

        def execute(connection: Connection) -> None:
            failures.clear()  # this may be executed again
            until = time.monotonic() + SECONDS_MAX
            for queued in batch:
                failures.append(_failure(connection, queued.item))
                if time.monotonic() > until:
                    return

        try:
            self.database.transact(execute)
        except _TransactionLostError:
            return 0
        for queued, failure in zip(batch, failures, strict=False):
            if failure is None:
                queued.end(None)
            else:
                queued.fail(failure)
        return len(failures)

    def _execute_alone(self, queued: _Queued) -> None:
        try:
            queued.end(self.database.transact(queued.item))
        except Exception as exc:  # noqa: BLE001  # raised to the caller whose work it is
            queued.fail(exc)


def _failure(connection: Connection, work: _Work) -> Exception | None:
    """Execute a work in a savepoint; why it failed, if it did: then it has changed nothing.

    Raises:
        _TransactionLostError: the database failed, not the work alone.
    """
    driver = driver_of(connection)
    driver.execute("SAVEPOINT work")
    try:
        work(connection)
    except IntegrityError as exc:
        return _rolled_back(driver, exc)
    except DBAPIError as exc:
        raise _TransactionLostError from exc
    except Exception as exc:  # noqa: BLE001  # raised to the caller whose work it is
        return _rolled_back(driver, exc)
    driver.execute("RELEASE work")
    return None


def _rolled_back(driver: sqlite3.Connection, failure: Exception) -> Exception:
    if not driver.in_transaction:
        # As where a statement was interrupted.
        raise _TransactionLostError from failure
    driver.execute("ROLLBACK TO work")
    driver.execute("RELEASE work")
    return failure
