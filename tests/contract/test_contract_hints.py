"""What every adapter of hints must do: processes that use one store hear of each other."""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from host.adapters.sqlite.commit_notifier import CommitNotifier
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import Committed, DuePlace, TopicPartition, WorkQueue
from host.ports.hints import Hint, Hints

WAIT_S = 20.0
LOG = TopicPartition(topic="t", partition=3)
QUEUE = WorkQueue(topic="w", partition=4, node=ShortHash("A" * 12))
PLACE = DuePlace(group="g", partition=5)
HINTS = [
    Hint(committed=Committed(logs=frozenset({LOG}))),
    Hint(committed=Committed(work=frozenset({QUEUE}))),
    Hint(committed=Committed(due={PLACE: EpochMs(7)})),
    Hint(groups=frozenset({"g", "h"})),
    Hint(is_incomplete=True),
    Hint(
        committed=Committed(
            logs=frozenset({LOG}), work=frozenset({QUEUE}), due={PLACE: EpochMs(7)}
        ),
        groups=frozenset({"g"}),
        is_incomplete=True,
    ),
]


@pytest.fixture(params=["doorbell", "postgres"])
def make(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Hints]]:
    """Makes the ends of processes that use one store."""
    folder = Path("/tmp") / f"hints-{os.getpid()}-{tmp_path_factory.mktemp('n').name}"
    with ExitStack() as stack:

        def made() -> Hints:
            end: Hints
            if request.param == "doorbell":
                end = CommitNotifier(folder / "store")
            else:
                access = request.getfixturevalue("postgres_database")
                from plugins.postgres.hints import PostgresHints  # of an extra

                end = PostgresHints(access)
            stack.callback(end.close)
            return end

        yield made
    with suppress(FileNotFoundError):
        folder.rmdir()


class Heard:
    """What one end hears."""

    def __init__(self, end: Hints) -> None:
        self.end = end
        self._hints: queue.Queue[Hint] = queue.Queue()
        end.listen(self._hints.put)

    def next(self) -> Hint:
        return self._hints.get(timeout=WAIT_S)

    def is_empty(self) -> bool:
        return self._hints.empty()


def pair(make: Callable[[], Hints]) -> tuple[Heard, Heard]:
    """Two ends that know each other."""
    first, second = Heard(make()), Heard(make())
    while not (first.end.has_listeners and second.end.has_listeners):
        os.sched_yield()
    return first, second


@pytest.mark.parametrize("hint", HINTS)
def test_the_others_hear_a_hint_as_it_was_told(make: Callable[[], Hints], hint: Hint) -> None:
    first, second = pair(make)
    second.end.tell(hint)
    assert first.next() == hint
    assert second.is_empty()


def test_who_is_alone_is_told_of_nobody(make: Callable[[], Hints]) -> None:
    alone = Heard(make())
    assert not alone.end.has_listeners
    alone.end.tell(HINTS[0])
    assert alone.is_empty()


def test_hints_of_many_threads_all_come(make: Callable[[], Hints]) -> None:
    """They may come joined, or as one that says that there is more."""
    first, second = pair(make)
    names = {f"g{number}" for number in range(8)}
    threads = [
        threading.Thread(target=second.end.tell, args=[Hint(groups=frozenset({name}))])
        for name in names
    ]
    for thread in threads:
        thread.start()
    heard = set[str]()
    while heard < names:
        heard |= first.next().groups
    for thread in threads:
        thread.join()
    assert heard == names


def test_of_much_at_least_that_there_is_more_is_told(make: Callable[[], Hints]) -> None:
    first, second = pair(make)
    many = frozenset(TopicPartition(topic=f"topic-{n}", partition=1) for n in range(5000))
    second.end.tell(Hint(committed=Committed(logs=many, due={PLACE: EpochMs(7)})))
    heard = first.next()
    assert heard.is_incomplete or heard.committed.logs == many
    assert min(heard.committed.due.values()) == 7


def test_who_is_closed_tells_and_hears_nothing(make: Callable[[], Hints]) -> None:
    first, second = pair(make)
    first.end.close()
    second.end.tell(HINTS[0])
    first.end.tell(HINTS[0])
    assert first.is_empty()
    assert second.is_empty()
    first.end.close()
