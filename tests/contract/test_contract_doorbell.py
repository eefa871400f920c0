"""The doorbell: what one process commits, another hears of."""

import os
import queue
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from host.adapters.hint_messages import Ring
from host.adapters.partitions import committed_by, queue_of, target_of
from host.adapters.sqlite.commit_notifier import CommitNotifier, folder_for
from host.adapters.sqlite.store import SqliteStore
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import Committed, DuePlace, NewRecord, TopicPartition, WorkQueue
from host.ports.hints import Hint
from host.ports.state import StateWrite
from host.ports.units import Unit
from tests.contract.conftest import placed

WAIT_S = 20.0
SOURCE = TopicPartition(topic="t", partition=3)
QUEUE = WorkQueue(topic="w", partition=4, node=ShortHash("A" * 12))
PLACE = DuePlace(group="g", partition=5)


@pytest.fixture
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a path short enough for sockets."""
    made = Path("/tmp") / f"bell-{os.getpid()}-{tmp_path_factory.mktemp('n').name}"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def stack(base: Path) -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered
    for left in sorted(base.rglob("*"), reverse=True):
        left.rmdir()  # closed bells leave no files
    base.rmdir()


class Ear:
    """A bell and what it heard."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.bell = CommitNotifier(folder)
        stack.callback(self.bell.close)
        self.heard: queue.Queue[Hint] = queue.Queue()
        self.bell.listen(self.heard.put)

    def next(self) -> Hint:
        return self.heard.get(timeout=WAIT_S)


def meet(*ears: Ear) -> None:
    """Wait until each knows all others."""
    for ear in ears:
        while len(ear.bell._peers) < len(ears) - 1:
            os.sched_yield()


def test_everybody_else_hears_a_ring(base: Path, stack: ExitStack) -> None:
    first, second, third = (Ear(base / "u" / "s", stack) for _ in range(3))
    meet(first, second, third)
    committed = Committed(
        logs=frozenset({SOURCE}), work=frozenset({QUEUE}), due={PLACE: EpochMs(5)}
    )
    hint = Hint(committed=committed, groups=frozenset({"g"}))
    second.bell.tell(hint)
    assert first.next() == third.next() == hint
    assert second.heard.empty()


def test_a_bell_whose_process_died_is_taken_down(base: Path, stack: ExitStack) -> None:
    folder = base / "u" / "s"
    alive = Ear(folder, stack)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(folder / "dead"))
    dead.close()
    late = Ear(folder, stack)
    assert not (folder / "dead").exists()
    meet(alive, late)
    late.bell.tell(Hint(groups=frozenset({"g"})))
    assert alive.next() == Hint(groups=frozenset({"g"}))


def test_a_hint_that_is_too_long_says_so(base: Path, stack: ExitStack) -> None:
    first, second = (Ear(base / "u" / "s", stack) for _ in range(2))
    meet(first, second)
    many = frozenset(TopicPartition(topic=f"topic-{n}", partition=1) for n in range(500))
    earlier = {PLACE: EpochMs(7), DuePlace(group="g", partition=6): EpochMs(4)}
    first.bell.tell(Hint(committed=Committed(logs=many, due=earlier)))
    due = {DuePlace(group="g", partition=6): EpochMs(4)}
    assert second.next() == Hint(committed=Committed(due=due), is_incomplete=True)


def test_what_is_no_hint_is_not_heard(base: Path, stack: ExitStack) -> None:
    first, second = (Ear(base / "u" / "s", stack) for _ in range(2))
    meet(first, second)
    for rubbish in (b"", b"\x00", b"\xc1" * 10, b"x" * 2001, b"\x91\x81\xa1t\x01"):
        second.bell._socket.sendto(rubbish, str(first.bell._own))
    second.bell._ring(Ring(touched={"t": [3, 1024, -1]}, work={"w": {"A" * 12: [1024, 4]}}))
    assert first.next().committed == Committed(logs=frozenset({SOURCE}), work=frozenset({QUEUE}))


def test_nobody_is_waited_for(base: Path, stack: ExitStack) -> None:
    deaf = CommitNotifier(base / "u" / "s")
    stack.callback(deaf.close)
    ringing = Ear(base / "u" / "s", stack)
    for _ in range(5000):
        ringing.bell.tell(Hint(groups=frozenset({"g"})))


def test_rings_are_joined() -> None:
    one = Ring(
        touched={"t": [1], "u": [2]},
        work={"w": {"A": [1]}, "x": {"B": [2]}},
        due={"g": {1: 9, 2: 9}},
        groups=["g"],
    )
    other = Ring(
        touched={"t": [1, 4]},
        work={"w": {"A": [1, 3], "B": [1]}},
        due={"g": {1: 3}, "h": {1: 8}},
        groups=["g", "h"],
    )
    both = one.with_(other)
    assert both.hint().committed == Committed(
        logs=frozenset(
            TopicPartition(topic=t, partition=n) for t, n in (("t", 1), ("t", 4), ("u", 2))
        ),
        work=frozenset(
            WorkQueue(topic=t, partition=n, node=ShortHash(node))
            for t, n, node in (("w", 1, "A"), ("w", 3, "A"), ("w", 1, "B"), ("x", 2, "B"))
        ),
        due={
            DuePlace(group=g, partition=n): EpochMs(at)
            for g, n, at in (("g", 1, 3), ("g", 2, 9), ("h", 1, 8))
        },
    )
    assert (sorted(both.groups), both.too_many) == (["g", "h"], False)
    assert one.with_(Ring(too_many=True)).too_many


def test_a_folder_that_others_can_use_is_refused(base: Path, stack: ExitStack) -> None:
    del stack
    (base / "u").mkdir(mode=0o700)
    (base / "u").chmod(0o755)
    with pytest.raises(PermissionError, match="not this user's own"):
        CommitNotifier(base / "u" / "s")


def test_a_folder_that_is_a_link_is_refused(base: Path, stack: ExitStack, tmp_path: Path) -> None:
    (base / "u").symlink_to(tmp_path)
    stack.callback((base / "u").unlink)
    with pytest.raises(PermissionError):
        CommitNotifier(base / "u" / "s")


def test_the_folder_is_short_and_the_same_for_every_way_to_the_store(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["long-name"] * 12)
    deep.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(deep)
    folder = folder_for(deep / "flows.sqlite")
    assert folder == folder_for(link / "flows.sqlite")
    assert folder != folder_for(tmp_path / "flows.sqlite")
    assert len(os.fsencode(folder)) < 80


def test_stores_tell_each_other_of_commits_and_rebalances(
    base: Path, stack: ExitStack, tmp_path: Path
) -> None:
    heard: queue.Queue[object] = queue.Queue()
    folder, path = base / "u" / "s", tmp_path / "flows.sqlite"
    # The later bell knows the earlier one from the start; the other way, it is met by its hello.
    hearing = SqliteStore(path, hints=CommitNotifier(folder))
    bell = CommitNotifier(folder)
    writing = SqliteStore(path, hints=bell)
    stack.callback(writing.close)
    stack.callback(hearing.close)
    hearing.on_commit(heard.put)
    hearing.on_rebalance(heard.put)
    record = NewRecord(topic="t", key="k", value=b"v")
    work = NewRecord(topic="w", key="k", value=b"v", node=QUEUE.node)
    state = StateWrite(key="s", value=b"", expected=0, due_at=EpochMs(4), place=placed("g", 5))
    unit = Unit(records=(record, work), states=(state,))
    writing.commit(unit)
    assert heard.get(timeout=WAIT_S) == committed_by(unit)
    assert len(hearing.poll("g", target_of(record), 9)) == 1
    writing.join("g", "m", ttl_ms=1000)
    assert heard.get(timeout=WAIT_S) == "g"
    writing.commit(Unit(states=(StateWrite(key="u", value=b"", expected=0),)))
    bell.tell(Hint(is_incomplete=True))
    assert heard.get(timeout=WAIT_S) == Committed(
        logs=frozenset({target_of(record)}), work=frozenset({queue_of(work)})
    )
