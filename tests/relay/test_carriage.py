"""Work that a broker carries between databases arrives once, and that of a key in order.

Processes end before and after each operation, zombies go on with what they knew, the broker fails
in the middle of a sending, and loses its disk.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from host.domain.errors import HostError, UnavailableError
from host.domain.ids import EpochMs
from host.network.carriage import sender as sending
from host.network.carriage.lander import RENEW_MS, Lander
from host.network.carriage.sender import BYTES_MAX, RESEND_MS_MAX, WINDOW, Sender
from host.observe.carriage_observer import LeavingCollector
from host.ports.bus import TopicPartition
from host.ports.carriage import Carried
from host.ports.work import Backlog
from tests.relay.carried_memory import (
    TOPIC,
    Crash,
    MemoryBroker,
    MemoryDatabase,
    MemoryKafka,
    Operations,
)

PARTITIONS = {0: 1, 1: 1}
KEYS = ("a", "b", "c")


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> EpochMs:
        return EpochMs(self.now)

    def steady_ms(self) -> int:
        return self.now


class Quiet:
    """An observer that keeps verdicts."""

    def __init__(self) -> None:
        self.verdicts: list[str] = []

    def sent(self, records: int) -> None: ...
    def waits(self, failed: Mapping[TopicPartition, HostError]) -> None: ...
    def landed(self, records: int) -> None: ...
    def left(self, verdict: str, records: int) -> None:
        self.verdicts.append(verdict)


class Cluster:
    """Databases, a broker, and processes that carry between them."""

    def __init__(self, databases: int = 2, crashes: Collection[int] = ()) -> None:
        self.operations = Operations(crashes)
        self.kafka = MemoryKafka(self.operations)
        self.databases = [MemoryDatabase(n, self.operations) for n in range(databases)]
        self.clock = Clock()
        self.observer = Quiet()
        self.written: list[tuple[int, str, bytes]] = []
        self.brokers: list[MemoryBroker] = []
        self._numbers = count()

    def write(self, source: int, target: int, key: str) -> None:
        value = b"%d" % next(self._numbers)
        node = f"NODE-{key}-{target}"
        partition = KEYS.index(key) % 2
        self.databases[source].write(target, partition, node, f"{source}{key}", value)
        self.written.append((target, f"{source}{key}", value))

    def process(self) -> "Process":
        return Process(self)

    def run(self) -> None:
        """Carry until nothing is on its way; a process that ends is replaced."""
        process = self.process()
        for _ in range(300):
            try:
                busy = process.work()
            except Crash:
                process, busy = self.process(), True
            if not any(database.outbox for database in self.databases):
                return
            if not busy:
                self.clock.now += RESEND_MS_MAX
        raise AssertionError("records are still on their way")

    def check(self) -> None:
        """Each record is in its queue once, those of a key in their order."""
        assert not any(database.outbox for database in self.databases)
        for number, database in enumerate(self.databases):
            found: dict[str, list[bytes]] = {}
            for queue in database.queues.values():
                for each in queue:
                    found.setdefault(each.key, []).append(each.value)
            wanted: dict[str, list[bytes]] = {}
            for target, key, value in self.written:
                if target == number:
                    wanted.setdefault(key, []).append(value)
            assert found == wanted


class Process:
    """A sender and a lander for each database."""

    def __init__(self, cluster: Cluster) -> None:
        self.senders, self.landers = [], []
        sources = {each.store_id: each for each in cluster.databases}
        for database in cluster.databases:
            broker = MemoryBroker(cluster.kafka, database.number)
            cluster.brokers.append(broker)
            self.senders.append(Sender(database, broker, cluster.clock, cluster.observer))
            self.landers.append(
                Lander(database, sources, broker, [TOPIC], cluster.clock, cluster.observer)
            )
        for each in (*self.senders, *self.landers):
            each.adopt(PARTITIONS)

    def work(self) -> bool:
        done = [each.work() for each in self.senders]
        done += [each.work() for each in self.landers]
        return any(done)


def scenario(cluster: Cluster) -> None:
    """Two waves of records of both databases for both."""
    for _ in range(2):
        for source in (0, 1):
            for key in KEYS:
                for target in (0, 1):
                    cluster.write(source, target, key)
        cluster.run()


def points(crashes: Collection[int] = ()) -> int:
    """How many points there are at which a process can end."""
    cluster = Cluster(crashes=crashes)
    scenario(cluster)
    cluster.check()
    return cluster.operations.done


def test_a_process_may_end_at_any_point() -> None:
    for first in range(points()):
        cluster = Cluster(crashes=(first,))
        scenario(cluster)
        cluster.check()


def test_its_successor_may_end_at_any_point_too() -> None:
    for first in range(0, points(), 7):
        for second in range(first + 1, points((first,)), 3):
            cluster = Cluster(crashes=(first, second))
            scenario(cluster)
            cluster.check()


def actions() -> st.SearchStrategy[list[tuple[str, int, int, str]]]:
    kinds = ["write", "write", "send", "send", "land", "land", "lose", "wait", "part"]
    action = st.tuples(
        st.sampled_from(kinds), st.integers(0, 1), st.integers(0, 1), st.sampled_from(KEYS)
    )
    return st.lists(action, max_size=60)


@given(actions())
def test_two_processes_that_both_believe_to_own_everything_do_no_harm(
    wanted: list[tuple[str, int, int, str]],
) -> None:
    cluster = Cluster()
    processes = [cluster.process(), cluster.process()]
    for kind, who, where, key in wanted:
        process = processes[who]
        if kind == "write":
            cluster.write(who, where, key)
        elif kind == "send":
            process.senders[where].work()
        elif kind == "land":
            with suppress(HostError):  # the other one was faster
                process.landers[where].work()
        elif kind == "lose":
            cluster.kafka.lose_disk()
        elif kind == "wait":
            cluster.clock.now += RESEND_MS_MAX
        else:
            broker = cluster.brokers[2 * who + where]
            broker.stored_max = None if broker.stored_max is not None else len(key) + who
    for broker in cluster.brokers:
        broker.stored_max = None
    cluster.run()
    cluster.check()


def test_a_later_record_of_a_key_waits_for_one_that_the_broker_has_lost() -> None:
    cluster = Cluster(1)
    process = cluster.process()
    cluster.write(0, 0, "a")
    process.senders[0].work()
    cluster.kafka.lose_disk()
    cluster.write(0, 0, "a")
    cluster.write(0, 0, "c")  # of another node, in the same partition
    process.senders[0].work()
    process.landers[0].work()
    assert cluster.observer.verdicts == ["early"]
    assert [q.node for q in cluster.databases[0].queues] == ["NODE-c-0"]
    cluster.run()
    cluster.check()


def test_nodes_take_turns_however_many_records_one_has() -> None:
    cluster = Cluster(1)
    for _ in range(3 * WINDOW):
        cluster.write(0, 0, "a")
    cluster.write(0, 0, "c")
    cluster.process().senders[0].work()
    (log,) = cluster.kafka.logs.values()
    assert [each.queue.node for each in log[:3]] == ["NODE-a-0", "NODE-c-0", "NODE-a-0"]
    assert len(log) == WINDOW + 1


def test_what_is_sent_at_once_is_bounded() -> None:
    cluster = Cluster(1)
    for _ in range(3):
        cluster.databases[0].write(0, 0, "NODE", "k", b"x" * (BYTES_MAX // 2))
    process = cluster.process()
    process.senders[0].work()
    (log,) = cluster.kafka.logs.values()
    assert len(log) == 2
    process.senders[0].work()
    assert len(log) == 3


def test_what_does_not_land_is_sent_again_ever_less_often() -> None:
    cluster = Cluster(1)
    process = cluster.process()
    cluster.write(0, 0, "a")
    sent_at = list(_sendings(cluster, process, seconds=200))
    gaps = [b - a for a, b in pairwise(sent_at)]
    assert gaps == sorted(gaps)
    assert gaps[0] == sending.RESEND_MS_MIN
    assert gaps[-1] == RESEND_MS_MAX


def _sendings(cluster: Cluster, process: Process, *, seconds: int) -> Iterator[int]:
    logs: Sequence[Carried] = ()
    for _ in range(seconds):
        process.senders[0].work()
        (found,) = cluster.kafka.logs.values()
        if len(found) > len(logs):
            yield cluster.clock.now
        logs = list(found)
        cluster.clock.now += 1_000


def test_records_of_others_and_of_a_restored_past_do_not_land() -> None:
    cluster = Cluster(1)
    process = cluster.process()
    database = cluster.databases[0]
    cluster.write(0, 0, "a")
    process.senders[0].work()
    # The database is restored to before the record; another one gets its number.
    database.outbox.clear()
    database.outlets.clear()
    cluster.written.clear()
    cluster.write(0, 0, "a")
    process.landers[0].work()
    assert not database.queues
    cluster.run()
    cluster.check()


def test_a_client_that_hears_nothing_though_work_is_on_its_way_is_made_anew() -> None:
    cluster = Cluster(1)
    process = cluster.process()
    assert not process.landers[0].work()
    cluster.brokers[0].is_deaf = True
    cluster.clock.now += RENEW_MS
    assert not process.landers[0].work()
    assert cluster.brokers[0].is_deaf, "nothing is on its way"
    cluster.write(0, 0, "a")
    process.senders[0].work()
    cluster.clock.now += RENEW_MS - 1
    process.landers[0].work()
    assert not process.landers[0].work()
    cluster.clock.now += 1
    process.landers[0].work()
    assert process.landers[0].work()
    cluster.check()


def test_a_process_without_partitions_does_nothing() -> None:
    cluster = Cluster(1)
    cluster.write(0, 0, "a")
    process = cluster.process()
    for each in (process.senders[0], process.landers[0]):
        each.adopt({})
        assert not each.work()
    assert process.landers[0].pause_ms() > 0
    assert not cluster.kafka.logs


def test_metrics_tell_what_is_on_its_way_and_since_when() -> None:
    database = MemoryDatabase(0, Operations())
    registry = CollectorRegistry()
    registry.register(LeavingCollector(database.leaving, lambda: EpochMs(7_500)))
    assert registry.get_sample_value("cordbox_carriage_oldest_seconds") == 0
    database.write(0, 1, "A" * 12, "k", b"v")
    assert registry.get_sample_value("cordbox_carriage_oldest_seconds") == 7.5
    assert registry.get_sample_value("cordbox_carriage_leaving_records", {"topic": TOPIC}) == 1

    def away() -> Sequence[Backlog]:
        raise UnavailableError("the database is away")

    silent = CollectorRegistry()
    silent.register(LeavingCollector(away, lambda: EpochMs(0)))
    assert list(silent.collect()) == []
