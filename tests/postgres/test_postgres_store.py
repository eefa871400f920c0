"""What a flow store in PostgreSQL promises beyond the contract of all stores."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import partition_of, queue_of
from host.domain.accounts import NOTHING, Account, Balance, Charge
from host.domain.errors import StorageBusyError, StorageError
from host.domain.ids import FlowId, ShortHash
from host.ports.bus import NewRecord
from host.ports.groups import Fence, FencedError
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import FlowStore, JournalRow, Passed, Unit
from host.ports.work import Done
from plugins.postgres.connections import Access, Session
from plugins.postgres.store import PostgresStore, make_tables
from plugins.postgres.unit_arguments import arguments_of
from tests.support.postgres import PostgresServer

A, B = ShortHash("A" * 12), ShortHash("B" * 12)
TTL_MS = 3_600_000
STATUS = Charge(node=A, account=Account.STATUS, peer=B)


@pytest.fixture
def store(postgres_flows: Access) -> Iterator[PostgresStore]:
    made = PostgresStore(postgres_flows)
    yield made
    made.close()


@pytest.fixture
def other(postgres_flows: Access) -> Iterator[PostgresStore]:
    """The same store in another process."""
    made = PostgresStore(postgres_flows)
    yield made
    made.close()


@pytest.fixture
def session(postgres_flows: Access) -> Iterator[Session]:
    made = Session(replace(postgres_flows, session={"search_path": "cordbox_flow"}))
    yield made
    made.close()


def state(key: str, expected: int, fences: tuple[Fence, ...] = ()) -> Unit:
    return Unit(states=(StateWrite(key=key, value=b"x", expected=expected),), fences=fences)


def until(session: Session, is_so: str) -> None:
    """Wait until the query gives true."""
    while not session.run(f"SELECT {is_so}")[0][0]:
        os.sched_yield()


IS_WAITING = "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"


def test_of_steps_that_write_one_state_at_once_one_is_committed(
    store: PostgresStore, other: PostgresStore
) -> None:
    start = threading.Barrier(4)

    def write(number: int) -> int:
        start.wait()
        done = 0
        for version in range(20):
            try:
                (store, other)[number % 2].commit(state("s", version))
            except StateConflictError:
                continue
            done += 1
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == store.get("s").version


def test_a_takeover_waits_for_a_step_that_is_being_written(
    store: PostgresStore, other: PostgresStore, session: Session, postgres_flows: Access
) -> None:
    before = store.join("g", "first", ttl_ms=TTL_MS)
    (partition, epoch), *_ = before.epochs.items()
    fence = Fence(group="g", partition=partition, epoch=epoch)
    said, values = arguments_of(state("s", 0, (fence,)))
    session.simple("BEGIN")
    session.run("SELECT commit_unit(:u::jsonb, :v::bytea[], NULL)", u=said, v=list(values))
    watch = Session(postgres_flows)
    with ThreadPoolExecutor(1) as pool:
        moved = pool.submit(lambda: other.leave("g", "first"))
        until(watch, IS_WAITING)
        assert not moved.done()
        session.simple("COMMIT")
        moved.result()
    watch.close()
    assert store.get("s").version == 1
    with pytest.raises(FencedError, match="given away"):
        store.commit(state("s", 1, (fence,)))


def test_a_step_waits_for_a_takeover_and_changes_nothing_then(
    store: PostgresStore, session: Session, postgres_flows: Access
) -> None:
    (partition, epoch), *_ = store.join("g", "first", ttl_ms=TTL_MS).epochs.items()
    session.simple("BEGIN")
    session.run("UPDATE owners SET epoch = epoch + 1 WHERE partition = :p", p=partition)
    fence = Fence(group="g", partition=partition, epoch=epoch)
    watch = Session(postgres_flows)
    with ThreadPoolExecutor(1) as pool:
        refused: Future[None] = pool.submit(store.commit, state("s", 0, (fence,)))
        until(watch, IS_WAITING)
        session.simple("COMMIT")
        with pytest.raises(FencedError, match=f"epoch {epoch}, now {epoch + 1}"):
            refused.result()
    watch.close()
    assert store.get("s") is None


def test_units_that_lock_the_same_rows_do_not_wait_in_a_circle(
    store: PostgresStore, other: PostgresStore
) -> None:
    keys = [f"k{n}" for n in range(6)]
    store.commit(Unit(states=tuple(StateWrite(key=k, value=b"", expected=0) for k in keys)))

    def write(number: int) -> None:
        rng = random.Random(number)
        for _ in range(25):
            some = rng.sample(keys, 4)
            found = store.get_many(some)
            unit = Unit(
                states=tuple(StateWrite(key=k, value=b"", expected=found[k].version) for k in some),
                records=tuple(NewRecord(topic=rng.choice("tu"), key=k, value=b"") for k in some),
            )
            try:
                (store, other)[number % 2].commit(unit)
            except StateConflictError:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    ends = [store.poll("g", source, 1000) for source in store.ready("g", ["t", "u"])]
    assert ends
    assert all([r.offset for r in records] == list(range(len(records))) for records in ends)


def apply(store: FlowStore, rng: random.Random, name: str) -> None:
    """One of the changes that accounts count."""
    found, flow = store.get(name), FlowId(name)
    charge = Charge(node=rng.choice((A, B)), account=Account.STATUS, peer=rng.choice((None, A, B)))
    work = NewRecord(
        topic="w", key=name, value=rng.randbytes(9), node=A, peer=rng.choice((None, B))
    )
    waiting = store.take(queue_of(work), 9).records
    done = Done(queue=queue_of(work), positions=tuple(r.position for r in waiting))
    length = len(store.journal(flow))
    row = JournalRow(flow_id=flow, number=length, value=rng.randbytes(5), charge=charge)
    version = 0 if found is None else found.version
    write = StateWrite(key=name, value=rng.randbytes(7), expected=version, charge=charge)
    choices: list[Callable[[], Unit]] = [
        lambda: Unit(states=(write,), records=(work,)),
        lambda: Unit(states=(StateWrite(key=name, value=None, expected=version),)),
        lambda: Unit(journal=(row,), records=(work, work)),
        lambda: Unit(passed=(Passed(flow_id=flow, charge=charge),)),
        lambda: Unit(forget=(flow,)),
        lambda: Unit(done=(done,) if waiting else ()),
        lambda: Unit(records=(NewRecord(topic="l", key=name, value=b"1", owner=B),)),
    ]
    store.commit(rng.choice(choices)())


def test_accounts_are_those_of_the_store_in_memory_whenever_they_are_added_up(
    store: PostgresStore,
) -> None:
    memory = MemoryStore()
    for number in range(120):
        for each in (memory, store):
            rng = random.Random(number)
            apply(each, rng, rng.choice("xyz"))
        if number % 40 == 20:
            store.shrink()
            assert not store.recount()
    assert not store.recount()
    for node in (A, B):
        for account in Account:
            assert store.balance(node, account) == memory.balance(node, account)
            ours = {p: b for p, b in store.shares(node, account).items() if b != NOTHING}
            theirs = {p: b for p, b in memory.shares(node, account).items() if b != NOTHING}
            assert ours == theirs


def test_steps_of_one_node_do_not_wait_for_each_others_account(
    store: PostgresStore, session: Session
) -> None:
    said, values = arguments_of(Unit(records=(NewRecord(topic="w", key="k", value=b"", node=A),)))
    session.simple("BEGIN")
    session.run("SELECT commit_unit(:u::jsonb, :v::bytea[], NULL)", u=said, v=list(values))
    store.commit(Unit(records=(NewRecord(topic="w", key="k", value=b"", node=A),)))
    store.shrink()
    assert store.balance(A, Account.BUS) == Balance(bytes=1, rows=1)
    session.simple("COMMIT")
    assert store.balance(A, Account.BUS) == Balance(bytes=2, rows=2)


def test_changes_of_accounts_are_added_up_while_steps_are_written(
    store: PostgresStore, session: Session
) -> None:
    for number in range(300):
        store.commit(Unit(records=(NewRecord(topic="w", key=str(number), value=b"", node=A),)))
    ((left,),) = session.run("SELECT count(*) FROM account_changes")
    assert left < 300
    assert store.balance(A, Account.BUS).rows == 300


def test_a_wrong_account_is_found_and_set_right(store: PostgresStore, session: Session) -> None:
    store.commit(Unit(states=(StateWrite(key="s", value=b"1", expected=0, charge=STATUS),)))
    row = JournalRow(
        flow_id=FlowId("f"), number=0, value=b"12", charge=Charge(node=A, account=Account.JOURNAL)
    )
    store.commit(Unit(journal=(row,)))
    store.shrink()
    session.run("UPDATE accounts SET bytes = 99 WHERE node = :n", n=A)
    session.run("UPDATE journals SET bytes = 98")
    found = store.recount(repair=True)
    assert [(d.account, d.peer, d.counted.bytes) for d in found] == [
        (Account.JOURNAL, None, 2),
        (Account.STATUS, None, 2),
        (Account.STATUS, B, 2),
    ]
    assert not store.recount()
    store.commit(Unit(forget=(FlowId("f"),)))
    assert store.balance(A, Account.JOURNAL) == NOTHING


def test_lost_connections_are_an_outage_and_no_more(
    store: PostgresStore, postgres_server: PostgresServer
) -> None:
    store.commit(state("s", 0))
    end_all = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{store._sessions.place.split()[0]}' AND pid <> pg_backend_pid()"
    )
    postgres_server.execute(end_all)
    assert store.get("s").version == 1
    postgres_server.execute(end_all)
    with pytest.raises(StorageError, match="connection"):
        store.commit(state("s", 1))
    store.commit(state("s", 1))
    assert store.get("s").version == 2


def test_what_was_committed_survives_a_crash_of_the_server(postgres_server: PostgresServer) -> None:
    access = postgres_server.new_database(is_durable=True)
    make_tables(access)
    store = PostgresStore(access)
    store.commit(state("s", 0))
    for version in range(1, 4):
        postgres_server.stop("immediate")
        with pytest.raises(StorageError, match="cannot be used"):
            store.get("s")
        postgres_server.start()
        assert store.get("s").version == version
        store.commit(state("s", version))
    store.close()


def test_a_lock_that_is_not_released_is_waited_for_ten_seconds_at_most(
    postgres_flows: Access, session: Session
) -> None:
    impatient = PostgresStore(replace(postgres_flows, session={"lock_timeout": "50"}))
    session.simple("BEGIN; LOCK TABLE states")
    with pytest.raises(StorageBusyError):
        impatient.commit(state("s", 0))
    session.simple("COMMIT")
    impatient.commit(state("s", 0))
    impatient.close()
    assert session.run("SHOW lock_timeout") == [["10s"]]
    assert session.run("SHOW idle_in_transaction_session_timeout") == [["5s"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"database": "none"}, "there is no such database"),
        ({"user": "nobody"}, 'access is denied: password authentication failed for user "nobody"'),
        ({"port": 1}, "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_named(
    postgres_server: PostgresServer, change: dict[str, object], message: str
) -> None:
    access = postgres_server.access("postgres")
    access = replace(access, address=replace(access.address, **change))
    with pytest.raises(StorageError, match=message) as refused:
        PostgresStore(access)
    assert str(access.address) in refused.value.message
    assert postgres_server.password not in repr(access)


def test_a_server_is_reached_by_its_socket(postgres_server: PostgresServer) -> None:
    access = postgres_server.new_database()
    folder = str(postgres_server.folder)
    local = replace(access, address=replace(access.address, host="", socket_folder=folder))
    make_tables(local)
    make_tables(local)
    store = PostgresStore(local)
    store.commit(state("s", 0))
    store.close()


def test_tables_are_made_by_one_of_several_processes(postgres_server: PostgresServer) -> None:
    access = postgres_server.new_database()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: make_tables(access), range(3)))
    store = PostgresStore(access)
    store.commit(state("s", 0))
    store.close()


def test_the_time_is_the_databases(store: PostgresStore, session: Session) -> None:
    ((before,),) = session.run("SELECT present_ms()")
    store.commit(Unit(records=(NewRecord(topic="t", key="k", value=b""),)))
    told = store.time.now_ms()
    ((after,),) = session.run("SELECT present_ms()")
    (record,) = store.newest("t", 1)
    assert before <= record.written_at <= after
    assert abs(told - record.written_at) <= after - before + 1
    assert record.source.partition == partition_of("k")
