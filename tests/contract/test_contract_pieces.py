"""Large units of a store: written in portions before their commit, all of them or nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host.adapters.partitions import target_of
from host.adapters.sqlite import store_schema
from host.adapters.sqlite.accounts import RECORD_TRIGGERS
from host.adapters.sqlite.pieces import (
    PORTION_BYTES,
    STAGED_BYTES,
    STALE_MS,
    VALUE_BYTES_MIN,
    portions,
)
from host.adapters.sqlite.store import SqliteStore
from host.domain.accounts import Account, Charge
from host.domain.clock import SimClock
from host.domain.errors import StorageError
from host.domain.ids import FlowId, ShortHash
from host.ports.bus import NewRecord
from host.ports.state import StateConflictError, StateWrite
from host.ports.topics import Retention
from host.ports.units import JournalRow, Unit
from host.ports.work import Done

NODE = ShortHash("A" * 12)
FLOW = FlowId("flow")
BIG = bytes(range(256)) * 1024 + b"the end"


@pytest.fixture
def clock() -> SimClock:
    return SimClock()


@pytest.fixture
def store(tmp_path: Path, clock: SimClock) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "flows.sqlite", clock=clock)
    opened._writer._large._sleep = lambda _: None
    yield opened
    assert not opened.recount()
    opened.close()


def everywhere(value: bytes = BIG, *, expected: int = 0) -> Unit:
    """A unit with a value in each place that units have."""
    charge = Charge(node=NODE, account=Account.JOURNAL)
    status = Charge(node=NODE, account=Account.STATUS)
    return Unit(
        states=(StateWrite(key="s", value=value, expected=expected, charge=status),),
        journal=(
            JournalRow(flow_id=FLOW, number=0, value=b"first", charge=charge),
            JournalRow(flow_id=FLOW, number=1, value=value, charge=charge),
        ),
        records=(
            NewRecord(topic="flow.event", key="k", value=value, node=NODE),
            NewRecord(topic="out", key="k", value=value, owner=NODE),
        ),
    )


def stored(store: SqliteStore) -> list[bytes]:
    state = store.get("s")
    assert state is not None
    (queue,) = store.waiting(["flow.event"])
    (taken,) = store.take(queue, 10).records
    (published,) = store.newest("out", 10)
    (polled,) = store.poll("g", target_of(NewRecord(topic="out", key="k", value=b"")), 10)
    journal = store.journal(FLOW)
    assert journal[0] == b"first"
    assert store.journal_rows(FLOW, 1, 1) == journal[1:]
    return [state.value, taken.value, published.value, polled.value, *journal[1:]]


def count(store: SqliteStore, table: str) -> int:
    (found,) = store._read(f"SELECT count(*) FROM {table}", ())[0]
    return int(found)


def test_a_large_unit_is_written_in_portions_between_which_others_commit(
    store: SqliteStore,
) -> None:
    sizes: list[int] = []
    write = store._writer.write

    def watched(work: Callable[[sqlite3.Connection], object], **named: Any) -> None:
        write(work, **named)
        sizes.append(named.get("size", 0))
        if len(sizes) == 3:
            key = "between"
            write(lambda c: c.execute("INSERT INTO groups VALUES (?, 0)", (key,)))
            assert store.get("s") is None, "nothing is seen of a unit that is not complete"

    store._writer.write = watched  # type: ignore[method-assign]
    store.commit(everywhere())
    assert max(sizes) == PORTION_BYTES
    assert sizes[-1] < VALUE_BYTES_MIN, "the unit itself is small"
    assert len(sizes) == -(-4 * len(BIG) // PORTION_BYTES) + 1
    assert stored(store) == [BIG] * 5
    assert store.balance(NODE, Account.JOURNAL).bytes == len(BIG) + len(b"first")
    assert store.balance(NODE, Account.BUS).bytes == 2 * (len(BIG) + 1)
    assert store.journal_bytes(FLOW) == len(BIG) + len(b"first")


def test_small_units_are_written_at_once(store: SqliteStore) -> None:
    store.commit(everywhere(b"x" * ((STAGED_BYTES - 10) // 4)))
    assert count(store, "large") == 0
    assert stored(store) == [b"x" * ((STAGED_BYTES - 10) // 4)] * 5


def test_what_is_deleted_leaves_no_pieces(store: SqliteStore) -> None:
    store.commit(everywhere())
    assert count(store, "large") == 4
    (queue,) = store.waiting(["flow.event"])
    (record,) = store.take(queue, 10).records
    gone = StateWrite(key="s", value=None, expected=1)
    done = Done(queue=queue, positions=(record.position,))
    store.commit(Unit(states=(gone,), forget=(FLOW,), done=(done,)))
    assert count(store, "large") == 1, "of the log's record"
    assert store.expire("out", Retention(bytes_max=0)) == 1
    while store._sweep(1):
        pass
    assert (count(store, "large"), count(store, "pieces")) == (0, 0)
    assert {balance.bytes for balance in store.balances(NODE).values()} == {0}


def test_a_unit_that_is_refused_leaves_no_pieces(store: SqliteStore) -> None:
    with pytest.raises(StateConflictError):
        store.commit(everywhere(expected=7))
    while store._sweep(1):
        pass
    assert (count(store, "large"), count(store, "pieces")) == (0, 0)


def test_a_portion_that_cannot_be_written_fails_the_unit(store: SqliteStore) -> None:
    written: list[int] = []
    write = store._writer.write

    def failing(work: Callable[[sqlite3.Connection], object], **named: Any) -> None:
        written.append(named.get("size", 0))
        if len(written) == 3:
            raise StorageError("told to fail")
        write(work, **named)

    store._writer.write = failing  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="told to fail"):
        store.commit(everywhere())
    store._writer.write = write  # type: ignore[method-assign]
    while store._sweep(1):
        pass
    assert (count(store, "large"), count(store, "pieces")) == (0, 0)
    store.commit(everywhere())
    assert stored(store) == [BIG] * 5


@pytest.mark.parametrize("passed_ms", [STALE_MS + 1, -1], ids=["an hour ago", "before the boot"])
def test_pieces_of_a_killed_process_are_deleted_some_time(
    store: SqliteStore, clock: SimClock, passed_ms: int
) -> None:
    at = clock.steady_ms()
    store._writer.write(
        lambda c: [
            c.execute("INSERT INTO large VALUES (1, 0, ?)", (at - passed_ms,)),
            c.execute("INSERT INTO large VALUES (2, 0, ?)", (at,)),
            c.execute("INSERT INTO pieces VALUES (1, 0, x'00'), (2, 0, x'00')"),
        ]
    )
    for _ in range(3):
        store.shrink()
    assert store._read("SELECT owner FROM large", ()) == [(2,)], "that one may be claimed yet"


def test_a_unit_whose_pieces_were_deleted_meanwhile_is_not_written(
    store: SqliteStore, clock: SimClock
) -> None:
    """Its process was suspended for an hour after it had stored them."""
    write = store._writer.write

    def late(work: Callable[[sqlite3.Connection], object], **named: Any) -> None:
        if named.get("size", 0) < VALUE_BYTES_MIN and not clock_was_late:
            clock_was_late.append(True)
            clock.advance(STALE_MS + 1)
            store.shrink()
        write(work, **named)

    clock_was_late: list[bool] = []
    store._writer.write = late  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="no longer there"):
        store.commit(everywhere())
    assert store.get("s") is None
    store.commit(everywhere())
    assert stored(store) == [BIG] * 5


def test_portions_hold_all_bytes_of_large_values_in_order_and_no_more_than_they_may() -> None:
    values = [b"small", b"a" * 300_000, b"", b"b" * VALUE_BYTES_MIN, b"c" * (2 * PORTION_BYTES)]
    found = list(portions(iter(values)))
    assert all(sum(len(p.data) for p in portion) == PORTION_BYTES for portion in found[:-1])
    parts = [part for portion in found for part in portion]
    for place in (1, 3, 4):
        own = [part for part in parts if part.value == place]
        assert [part.number for part in own] == list(range(len(own)))
        assert b"".join(part.data for part in own) == values[place]
    assert {part.value for part in parts} == {1, 3, 4}


def test_a_file_of_the_first_version_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    store = SqliteStore(path)
    store.commit(everywhere(b"before"))
    store.close()
    with sqlite3.connect(path) as connection:
        for table in ("records", "work", "journal"):
            connection.execute(f"DROP TRIGGER {table}_pieces")
        for trigger in ("in", "out"):
            connection.execute(f"DROP TRIGGER records_{trigger}_whole")
        for table in ("records", "work", "journal"):
            for column in ("pieces", "large_bytes"):
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for trigger in RECORD_TRIGGERS:
            connection.execute(
                trigger.replace(" + NEW.large_bytes", "").replace(" + OLD.large_bytes", "")
            )
        for statement in store_schema.FLOWS.migrations[2]["sqlite"]:
            index = statement.split()[2]
            connection.execute(f"DROP INDEX {index}")
        connection.execute("DROP INDEX large_staged")
        connection.execute("ALTER TABLE large DROP COLUMN staged_at")
        connection.execute("UPDATE schema_version SET version = 1 WHERE name = 'flows'")
    store = SqliteStore(path)
    assert stored(store) == [b"before"] * 5
    store.commit(
        Unit(
            states=(StateWrite(key="s", value=BIG, expected=1),),
            records=(NewRecord(topic="out", key="k", value=BIG, owner=NODE),),
        )
    )
    assert [record.value for record in store.newest("out", 10)] == [BIG, b"before"]
    assert not store.recount()
    assert store._read("SELECT version FROM schema_version", ()) == [(store_schema.FLOWS.version,)]
    store.close()
