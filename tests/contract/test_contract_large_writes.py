"""Large writes of a store: a small one waits for one of them at most, in any process."""

import fcntl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.adapters.sqlite.connections import open_connection
from host.adapters.sqlite.large_writes import (
    LARGE_BYTES,
    PAUSE_MAX_S,
    SHARED_PAUSE_MAX_S,
    LargeWrites,
)
from host.adapters.sqlite.store import SqliteStore
from host.domain.accounts import Account, Charge
from host.domain.ids import ShortHash
from host.domain.pace import SHARED_S
from host.ports.state import StateWrite
from host.ports.units import Unit

WAIT_S = 20.0
MIB = 1024 * 1024


class Pauses:
    """Takes the place of sleeping: each pause lasts until `released` has been set once more."""

    def __init__(self) -> None:
        self.began, self.released = threading.Semaphore(0), threading.Semaphore(0)
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.began.release()
        assert self.released.acquire(timeout=WAIT_S)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "flows.sqlite")
    yield opened
    opened.close()


def put(key: str, size: int) -> Unit:
    return Unit(states=(StateWrite(key=key, value=b"x" * size, expected=0),))


def test_small_units_are_committed_while_large_ones_wait_for_their_turns(
    store: SqliteStore,
) -> None:
    pauses = Pauses()
    store._writer._large._sleep = pauses
    threads = [
        threading.Thread(target=store.commit, args=(put(f"large{n}", LARGE_BYTES),))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for number in range(4):
        assert pauses.began.acquire(timeout=WAIT_S)
        store.commit(put(f"small{number}", 10))
        assert len(store.scan("small")) == number + 1
        assert len(store.scan("large")) == number + 1, "the next one waits for the pause"
        pauses.released.release()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_large_units_of_two_processes_are_not_committed_at_once(
    store: SqliteStore, tmp_path: Path
) -> None:
    holder = (
        "import fcntl, sys; lock = open(sys.argv[1], 'r+b'); fcntl.lockf(lock, fcntl.LOCK_EX);"
        " print('held', flush=True); sys.stdin.read()"
    )
    lock = tmp_path / "flows.sqlite-writer"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        thread = threading.Thread(target=store.commit, args=(put("large", MIB),))
        thread.start()
        store.commit(put("small", 10))
        assert [state.key for state in store.scan("")] == ["small"]
        process.kill()
        process.wait(WAIT_S)
    thread.join(WAIT_S)
    assert len(store.scan("")) == 2


def test_a_pause_is_as_long_as_the_commit_and_bounded(tmp_path: Path) -> None:
    slept: list[float] = []
    clock = [0.0]
    with (tmp_path / "lock").open("wb") as lock:
        writes = LargeWrites(
            fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC),
            open_connection(tmp_path / "x.sqlite"),
            now=lambda: clock[0],
            sleep=slept.append,
        )

        def take(seconds: float) -> None:
            clock[0] += seconds

        writes.run(lambda: take(0.01))
        writes.run(lambda: take(9.0))
        writes.close()
        writes.close()
    assert slept == [pytest.approx(0.01), pytest.approx(PAUSE_MAX_S)]


@pytest.mark.parametrize(
    ("other", "later_s", "took_s", "pause_s"),
    [
        ("B", 0.0, 0.01, 0.03),
        ("B", SHARED_S / 2, 0.01, 0.03),
        ("B", 0.0, 1.0, SHARED_PAUSE_MAX_S),
        ("B", SHARED_S, 0.01, 0.01),
        ("A", 0.0, 0.01, 0.01),
    ],
    ids=["another", "another before", "an outage", "another long before", "the same"],
)
def test_a_pause_is_longer_while_others_write(
    tmp_path: Path, other: str, later_s: float, took_s: float, pause_s: float
) -> None:
    slept, clock = list[float](), [0.0]
    with (tmp_path / "lock").open("wb") as lock:
        writes = LargeWrites(
            fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC),
            open_connection(tmp_path / "x.sqlite"),
            now=lambda: clock[0],
            sleep=slept.append,
        )

        def take() -> None:
            clock[0] += took_s

        writes.note_small(other)
        clock[0] += later_s
        writes.run(take, lane="A")
        writes.close()
    assert slept == [pytest.approx(pause_s)]


def test_small_writes_of_a_node_are_noted_and_those_of_nobody_are_not(store: SqliteStore) -> None:
    noted: list[object] = []
    store._writer._large.note_small = noted.append  # type: ignore[method-assign]
    node = ShortHash("A" * 12)
    charge = Charge(node=node, account=Account.STATUS)
    owned = StateWrite(key="owned", value=b"x", expected=0, charge=charge)
    store.commit(Unit(states=(owned,)))
    store.commit(put("nobody's", 10))
    assert noted == [node]


def test_a_failure_of_a_large_write_is_its_own_and_ends_its_turn(store: SqliteStore) -> None:
    with pytest.raises(ZeroDivisionError):
        store._writer.write(lambda _: 1 / 0, size=MIB)
    store.commit(put("large", MIB))
    assert [state.key for state in store.scan("")] == ["large"]


def test_the_log_of_large_units_is_copied_outside_of_their_commits(
    store: SqliteStore, tmp_path: Path
) -> None:
    """It would else grow to the 4 MiB at which a commit has to copy it."""
    for number in range(8):
        store.commit(put(f"k{number}", MIB))
    assert (tmp_path / "flows.sqlite-wal").stat().st_size < 2 * MIB


def test_a_store_can_be_closed_while_a_large_unit_pauses(store: SqliteStore) -> None:
    pauses = Pauses()
    store._writer._large._sleep = pauses
    thread = threading.Thread(target=store.commit, args=(put("large", LARGE_BYTES),))
    thread.start()
    assert pauses.began.acquire(timeout=WAIT_S)
    store.close()
    pauses.released.release()
    thread.join(WAIT_S)
    assert not thread.is_alive()
