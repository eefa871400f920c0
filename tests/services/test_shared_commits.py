"""Writers of one vault at the same time share a commit; what fails is undone alone."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from host.adapters.sqlite import shared_commits
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.shared_commits import BATCH_MAX, SharedCommits
from host.domain.call_time import CallTooSlowError, check_call_time, limited_call
from host.domain.errors import StorageError
from host.ports.database import Schema
from tests.support.statements import watched

METADATA = MetaData()
ITEM = Table("item", METADATA, Column("number", Integer, primary_key=True))
SCHEMA = Schema(name="items", metadata=METADATA)
SECONDS_MAX = 60


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "a.sqlite", [SCHEMA], has_revision=False) as database:
        yield database


@pytest.fixture
def commits(database, monkeypatch):
    # On a busy machine a few works may take as long as a transaction may last.
    monkeypatch.setattr(shared_commits, "SECONDS_MAX", 3600)
    return SharedCommits(database)


@pytest.fixture
def counted(database):
    """Commits so far."""
    found = []

    def note(statement, _parameters):
        if statement == "COMMIT":
            found.append(statement)

    with watched(database, note):
        yield found


def added(number):
    def work(connection):
        connection.execute(insert(ITEM), {"number": number})
        return number

    return work


def numbers(database):
    with database.read() as connection:
        return sorted(connection.execute(select(ITEM.c.number)).scalars())


def together(commits, works):
    """Have works wait behind another one, and end at the same time; their results or failures."""
    entered, go = threading.Event(), threading.Event()

    def block(_connection):
        entered.set()
        assert go.wait(SECONDS_MAX)

    def outcome(work):
        try:
            return commits.transact(work)
        except Exception as failed:  # noqa: BLE001  # compared by the test
            return failed

    with ThreadPoolExecutor(len(works) + 1) as pool:
        blocked = pool.submit(commits.transact, block)
        assert entered.wait(SECONDS_MAX)
        ends = []
        for work in works:
            ends.append(pool.submit(outcome, work))
            until(lambda: len(commits._batches._queue) == len(ends))
        go.set()
        blocked.result(SECONDS_MAX)
        return [end.result(SECONDS_MAX) for end in ends]


def until(holds):
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0)


def test_works_that_wait_at_the_same_time_share_a_commit(commits, database, counted):
    assert together(commits, [added(n) for n in range(10)]) == list(range(10))
    assert len(counted) == 2, "one of the work before, one of all others"
    assert numbers(database) == list(range(10))


def test_no_work_joins_a_transaction_that_has_lasted(commits, database, counted, monkeypatch):
    monkeypatch.setattr(shared_commits, "SECONDS_MAX", -1)
    assert together(commits, [added(n) for n in range(10)]) == list(range(10))
    assert len(counted) == 11
    assert numbers(database) == list(range(10))


def test_a_work_that_fails_is_undone_alone(commits, database, counted):
    def refused(connection):
        added(100)(connection)
        raise ValueError("refused")

    violating, other = added(1), added(2)
    found = together(commits, [added(1), refused, violating, other])
    assert found[0] == 1
    assert isinstance(found[1], ValueError)
    assert isinstance(found[2], IntegrityError)
    assert found[3] == 2
    assert len(counted) == 2
    assert numbers(database) == [1, 2]


def test_a_work_whose_statement_is_interrupted_takes_nothing_from_the_others(commits, database):
    """SQLite then rolls the whole transaction back."""
    tries = []

    def interrupted(connection):
        tries.append(1)
        raw = connection.connection.driver_connection
        raw.set_progress_handler(lambda: 1, 1)
        try:
            added(100)(connection)
        finally:
            raw.set_progress_handler(None, 0)

    def swallowing(connection):
        try:
            interrupted(connection)
        except OperationalError:
            raise ValueError("interrupted") from None

    found = together(commits, [added(1), interrupted, swallowing, added(2)])
    assert found[0] == 1
    assert isinstance(found[1], StorageError)
    assert isinstance(found[2], ValueError)
    assert found[3] == 2
    assert numbers(database) == [1, 2]


def test_a_commit_that_fails_fails_all_of_its_works(commits, database, monkeypatch):
    def fail(_connection):
        raise sqlite3.OperationalError("disk I/O error")

    def works():
        monkeypatch.setattr("host.adapters.sqlite.database.give_back", fail)

    def first(connection):
        works()
        added(1)(connection)

    found = together(commits, [first, added(2)])
    assert [type(each) for each in found] == [StorageError, StorageError]
    assert found[0] is not found[1]
    monkeypatch.undo()
    assert numbers(database) == []
    assert commits.transact(added(3)) == 3


def test_a_transaction_within_another_is_refused(commits):
    with pytest.raises(RuntimeError, match="inside the first"):
        commits.transact(lambda _connection: commits.transact(added(1)))


def test_each_work_costs_its_own_call_wherever_it_runs(commits):
    """CPU clocks are of threads; here each thread's begins at another time."""
    clocks = threading.local()

    def seconds():
        clocks.now = getattr(clocks, "now", threading.get_ident() % 1000)
        return clocks.now

    def taking(cost):
        def work(_connection):
            clocks.now = seconds() + cost
            check_call_time()
            return cost

        return work

    def called(work):
        def call(connection):
            return work(connection)

        return call

    entered, go = threading.Event(), threading.Event()

    def block(_connection):
        entered.set()
        assert go.wait(SECONDS_MAX)

    def call(cost):
        with limited_call(seconds, seconds_max=5):
            try:
                first = commits.transact(called(taking(cost)))
                clocks.now += 3
                check_call_time()
            except CallTooSlowError:
                return "too slow"
            return first

    with ThreadPoolExecutor(5) as pool:
        blocked = pool.submit(commits.transact, block)
        assert entered.wait(SECONDS_MAX)
        ends = []
        for cost in (1, 6, 1, 4):
            ends.append(pool.submit(call, cost))
            until(lambda: len(commits._batches._queue) == len(ends))
        go.set()
        blocked.result(SECONDS_MAX)
        assert [end.result(SECONDS_MAX) for end in ends] == [1, "too slow", 1, "too slow"]


def test_more_works_than_a_batch_holds_all_end(commits, database):
    count = BATCH_MAX + 20
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(commits.transact, map(added, range(count)))) == list(range(count))
    assert numbers(database) == list(range(count))
