"""The writer of the SQLite store: many units in one transaction, turns among processes."""

import fcntl
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host.adapters.partitions import target_of
from host.adapters.sqlite.group_commit import GroupCommit
from host.adapters.sqlite.store import SqliteStore
from host.database.lane_queue import LaneQueue
from host.domain.accounts import Account, Charge
from host.domain.errors import StorageError
from host.domain.ids import ShortHash
from host.ports.bus import NewRecord
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import Unit

WAIT_S = 20.0


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "flows.sqlite")
    yield store
    store.close()


def put(key: str, expected: int = 0) -> Unit:
    return Unit(states=(StateWrite(key=key, value=b"x", expected=expected),))


class Noticing(LaneQueue[Any]):
    """A queue that tells when something is appended."""

    def __init__(self, content: LaneQueue[Any], appended: threading.Event) -> None:
        super().__init__()
        self.__dict__.update(content.__dict__)
        self._appended = appended

    def append(self, item: Any, *, lane: Hashable = None, size: int = 0) -> None:
        super().append(item, lane=lane, size=size)
        self._appended.set()


class Crowd:
    """Threads whose writes wait while one that leads is held up, so that they are one batch."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._writer = store._writer
        self._leads, self._released = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self.outcomes: dict[str, Exception | None] = {}
        self.run("leader", lambda: self._writer.write(self._hold))
        assert self._leads.wait(WAIT_S)

    def commit(self, name: str, unit: Unit) -> None:
        self.run(name, lambda: self._store.commit(unit))

    def write(self, name: str, write: Callable[[sqlite3.Connection], object]) -> None:
        self.run(name, lambda: self._writer.write(write))

    def release(self) -> None:
        self._released.set()
        for thread in self._threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()

    def _hold(self, connection: sqlite3.Connection) -> None:
        self._leads.set()
        assert self._released.wait(WAIT_S)

    def run(self, name: str, action: Callable[[], object]) -> None:
        queued = threading.Event()

        def run() -> None:
            batches = self._writer._batches
            batches._queue = Noticing(batches._queue, queued)
            try:
                action()
                self.outcomes[name] = None
            except Exception as exc:  # noqa: BLE001  # judged by the test
                self.outcomes[name] = exc

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()
        assert queued.wait(WAIT_S)


def charged(node: str, key: str, size: int) -> Unit:
    charge = Charge(node=ShortHash(node), account=Account.BUS)
    return Unit(states=(StateWrite(key=key, value=bytes(size), expected=0, charge=charge),))


def test_a_node_with_many_bytes_waiting_delays_another_by_one_batch(
    sqlite_store: SqliteStore,
) -> None:
    crowd = Crowd(sqlite_store)
    for number in range(12):
        crowd.commit(f"busy-{number}", charged("B" * 12, f"busy-{number}", 60 * 1024))
    crowd.commit("neighbour", charged("A" * 12, "neighbour", 100))
    seen = statements(sqlite_store)
    crowd.release()
    assert set(crowd.outcomes.values()) == {None}
    batches = " ".join(sql for sql in seen if "COMMIT" in sql or "INTO states" in sql)
    (_, first, *_) = batches.split("COMMIT")
    assert "'neighbour'" in first


def statements(store: SqliteStore) -> list[str]:
    seen: list[str] = []
    store._writer._connection.set_trace_callback(seen.append)
    return seen


def test_waiting_units_are_one_transaction(sqlite_store: SqliteStore) -> None:
    crowd = Crowd(sqlite_store)
    seen = statements(sqlite_store)
    for number in range(20):
        crowd.commit(f"u{number}", put(f"k{number}"))
    crowd.release()
    assert seen.count("COMMIT") == 2
    assert len(sqlite_store.scan("k")) == 20
    assert set(crowd.outcomes.values()) == {None}


def test_units_of_some_size_do_not_wait_for_one_another(sqlite_store: SqliteStore) -> None:
    """The first of a crowd would else wait until all that they write is on the disk."""
    crowd = Crowd(sqlite_store)
    seen = statements(sqlite_store)
    for number in range(5):
        write = StateWrite(key=f"k{number}", value=b"x" * 60_000, expected=0)
        crowd.commit(f"u{number}", Unit(states=(write,)))
    crowd.release()
    assert seen.count("COMMIT") == 1 + 2
    assert len(sqlite_store.scan("k")) == 5


def test_a_conflict_takes_out_its_unit_and_no_other(sqlite_store: SqliteStore) -> None:
    record = NewRecord(topic="t", key="k", value=b"v")
    crowd = Crowd(sqlite_store)
    crowd.commit("first", put("a"))
    crowd.commit("refused", Unit(states=put("b", expected=7).states, records=(record,)))
    crowd.commit("second", put("a"))
    crowd.commit("last", put("c"))
    crowd.release()
    assert isinstance(crowd.outcomes.pop("refused"), StateConflictError)
    assert isinstance(crowd.outcomes.pop("second"), StateConflictError)
    assert set(crowd.outcomes.values()) == {None}
    assert [state.key for state in sqlite_store.scan("")] == ["a", "c"]
    assert list(sqlite_store.poll("g", target_of(record), 9)) == []


def test_a_unit_that_does_not_fit_does_not_take_others_with_it(sqlite_store: SqliteStore) -> None:
    connection = sqlite_store._writer._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    crowd = Crowd(sqlite_store)
    crowd.commit("small", put("a"))
    huge = StateWrite(key="huge", value=b"x" * 1_000_000, expected=0)
    crowd.commit("huge", Unit(states=(huge,)))
    crowd.commit("other", put("b"))
    crowd.release()
    refused = crowd.outcomes.pop("huge")
    assert isinstance(refused, StorageError)
    assert "full" in refused.message
    assert set(crowd.outcomes.values()) == {None}
    assert [state.key for state in sqlite_store.scan("")] == ["a", "b"]


def test_a_programming_error_is_raised_to_its_caller_alone(sqlite_store: SqliteStore) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO states (key, version, value) VALUES ('broken', 1, x'00')")
        raise LookupError("mine")

    crowd = Crowd(sqlite_store)
    crowd.write("broken", broken)
    crowd.commit("other", put("a"))
    crowd.release()
    assert isinstance(crowd.outcomes.pop("broken"), LookupError)
    assert set(crowd.outcomes.values()) == {None}
    assert [state.key for state in sqlite_store.scan("")] == ["a"]


def test_a_stopped_leader_leaves_nobody_waiting(sqlite_store: SqliteStore) -> None:
    class StoppedError(BaseException):
        pass

    def stop(connection: sqlite3.Connection) -> None:
        raise StoppedError

    writer = sqlite_store._writer
    with pytest.raises(StoppedError):
        writer.write(stop)
    sqlite_store.commit(put("a"))
    assert sqlite_store.get("a") is not None


def test_those_behind_a_stopped_leader_learn_that_their_outcome_is_unknown(
    sqlite_store: SqliteStore,
) -> None:
    class StoppedError(BaseException):
        pass

    def stop(connection: sqlite3.Connection) -> None:
        raise StoppedError

    def lead() -> None:
        with pytest.raises(StoppedError):
            sqlite_store._writer.write(stop)

    crowd = Crowd(sqlite_store)
    crowd.run("stopped", lead)
    for name in ("a", "b"):
        crowd.commit(name, put(name))
    crowd.release()
    assert crowd.outcomes["stopped"] is None
    for name in ("a", "b"):
        failure = crowd.outcomes[name]
        assert isinstance(failure, StorageError)
        assert "the outcome is unknown" in failure.message
    assert sqlite_store.scan("") == []
    sqlite_store.commit(put("a"))
    assert [state.key for state in sqlite_store.scan("")] == ["a"]


class Faulty:
    """A connection whose COMMIT fails as on a disk that does not sync."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.is_broken = False

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        if self.is_broken and sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, *values)

    def close(self) -> None:
        self._connection.close()


def test_a_sync_error_fails_all_that_were_to_be_committed(sqlite_store: SqliteStore) -> None:
    writer = sqlite_store._writer
    faulty = Faulty(writer._connection)
    writer._connection = faulty  # type: ignore[assignment]
    heard: list[object] = []
    sqlite_store.on_commit(lambda committed: heard.append(committed.logs))
    crowd = Crowd(sqlite_store)
    record = NewRecord(topic="t", key="k", value=b"v")
    for number in range(3):
        crowd.commit(f"u{number}", Unit(records=(record,)))
    faulty.is_broken = True
    crowd.release()
    assert all(
        isinstance(failure, StorageError) and "disk I/O error" in failure.message
        for failure in crowd.outcomes.values()
    )
    assert list(sqlite_store.poll("g", target_of(record), 9)) == []
    assert heard == []
    faulty.is_broken = False
    sqlite_store.commit(Unit(records=(record,)))
    assert [r.offset for r in sqlite_store.poll("g", target_of(record), 9)] == [0]
    assert sqlite_store._read("PRAGMA integrity_check", ()) == [("ok",)]


def test_processes_take_turns_by_the_lock_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    done = threading.Event()

    def commit() -> None:
        store.commit(put("a"))
        done.set()

    with (tmp_path / "flows.sqlite-writer").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=commit)
        thread.start()
        assert not done.wait(0.05)
        assert store.get("a") is None
    assert done.wait(WAIT_S)
    thread.join()
    store.close()


def test_a_process_that_waits_writes_before_the_one_that_has_written(tmp_path: Path) -> None:
    """Two stores of one file stand for two processes: flocks belong to open files."""
    path = tmp_path / "flows.sqlite"
    busy, other = (GroupCommit(path, *(_connected(path) for _ in range(2))) for _ in range(2))
    order, writes, ends = list[str](), threading.Event(), threading.Event()

    def first(_: sqlite3.Connection) -> None:
        order.append("busy")
        writes.set()
        assert ends.wait(WAIT_S)

    def write(writer: GroupCommit, name: str) -> threading.Thread:
        thread = threading.Thread(
            target=writer.write, args=(first if not order else lambda _: order.append(name),)
        )
        thread.start()
        return thread

    threads = [write(busy, "busy")]
    assert writes.wait(WAIT_S)
    threads.append(write(other, "other"))
    _until_taken(path.with_name("flows.sqlite-place"))
    threads.append(write(busy, "busy"))
    ends.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert order == ["busy", "other", "busy"]
    busy.close()
    other.close()


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _until_taken(path: Path) -> None:
    """Wait until somebody holds the lock on a file."""
    until = time.monotonic() + WAIT_S
    with path.open("rb") as lock:
        while time.monotonic() < until:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            fcntl.flock(lock, fcntl.LOCK_UN)
    pytest.fail(f"nobody holds {path}")


HOLDER = """
import fcntl, sqlite3, sys
lock = open(sys.argv[1] + "-writer", "rb")
fcntl.flock(lock, fcntl.LOCK_EX)
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO states (key, version, value) VALUES ('torn', 1, x'00')")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_writer_that_is_killed_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    store = SqliteStore(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
        holder.wait(WAIT_S)
    store.commit(put("a"))
    assert [state.key for state in store.scan("")] == ["a"]
    store.close()


def test_a_writer_is_not_usable_after_its_close(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    writer = GroupCommit(path, sqlite3.connect(path), sqlite3.connect(path))
    writer.close()
    with pytest.raises(StorageError, match="is closed"):
        writer.write(lambda connection: None)
