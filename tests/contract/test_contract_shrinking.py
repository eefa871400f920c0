"""Files give the disk back what deleted rows have left."""

import sqlite3
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from host.adapters.sqlite.accounts import Changes
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.files import let_shrink
from host.adapters.sqlite.journals import forget
from host.adapters.sqlite.store import SqliteStore
from host.domain.accounts import Account, Charge
from host.domain.clock import SimClock
from host.domain.ids import FlowId, ShortHash
from host.flow.engine.upkeep import EXPIRE_EVERY_MS, Upkeep
from host.ports.bus import NewRecord
from host.ports.live import Fixed
from host.ports.state import StateWrite
from host.ports.topics import Retention
from host.ports.units import JournalRow, Unit

MIB = 1024 * 1024
NODE = ShortHash("A" * 12)


def sizes(path: Path) -> tuple[int, int]:
    return path.stat().st_size, Path(f"{path}-wal").stat().st_size


def test_the_store_shrinks_in_upkeep_after_what_it_held_has_expired(tmp_path: Path) -> None:
    path, clock = tmp_path / "flows.sqlite", SimClock()
    store = SqliteStore(path, clock=clock)
    upkeep = Upkeep(store, clock, Fixed(Retention(age_ms=EXPIRE_EVERY_MS)))
    for number in range(40):
        record = NewRecord(topic="flow.event.dlq", key=str(number), value=b"x" * MIB)
        store.commit(Unit(records=(record,)))
    upkeep.run()
    assert sum(sizes(path)) > 40 * MIB
    clock.advance(EXPIRE_EVERY_MS)
    upkeep.run()
    assert not store.newest("flow.event.dlq", 1)
    while store.shrink():
        pass
    for _ in range(2):  # the log begins anew with what is written after a checkpoint
        store.commit(Unit(records=(NewRecord(topic="t", key="k", value=b"v"),)))
    assert sizes(path)[0] <= 6 * MIB
    assert sizes(path)[1] <= 16 * MIB
    assert store._read("PRAGMA integrity_check", ()) == [("ok",)]
    store.close()


def test_one_turn_gives_a_bounded_part_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    record = NewRecord(topic="t", key="k", value=b"x" * 20 * MIB)
    store.commit(Unit(records=(record,)))
    store.expire("t", Retention(bytes_max=0))
    while store._sweep(1):
        pass
    left = [store.shrink() for _ in range(3)]
    assert [a - b for a, b in pairwise(left)] == [2 * MIB, 2 * MIB]
    while store.shrink():
        pass
    (free,) = store._read("PRAGMA freelist_count", ())[0]
    assert free * 4096 == 4 * MIB
    store.close()


def test_the_more_is_free_the_less_one_turn_gives_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    insert = "INSERT INTO records VALUES ('t', 0, 0, 'k', 0, NULL, NULL, 0, zeroblob(?))"
    store._writer.write(lambda c: c.execute(insert, (200 * MIB,)))  # as no unit does: for the time
    store.expire("t", Retention(bytes_max=0))
    (free,) = store._read("PRAGMA freelist_count", ())[0]
    before, after = store.shrink(), store.shrink()
    assert 0 < (before - after) // 4096 * free <= 5_000_000
    store.close()


def held(flow_id: str, megabytes: int) -> Unit:
    charge = Charge(node=NODE, account=Account.JOURNAL)
    return Unit(
        journal=[
            JournalRow(flow_id=FlowId(flow_id), number=number, value=b"x" * MIB, charge=charge)
            for number in range(megabytes)
        ]
    )


def test_large_journals_are_forgotten_in_portions_between_which_others_commit(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    flows = [FlowId(f"flow{number}") for number in range(4)]
    for flow_id in flows:
        store.commit(held(flow_id, 8))
    left: list[int] = []
    write = store._writer.write

    def watched(work: Callable[[sqlite3.Connection], object], **named: Any) -> None:
        write(work, **named)
        left.append(store._read("SELECT count(*) FROM pieces", ())[0][0])

    store._writer.write = watched  # type: ignore[method-assign]
    store.commit(Unit(forget=flows[:3]))
    assert max(a - b for a, b in pairwise([32 * 8, *left])) == 8, "a portion is 1 MiB"
    assert left[-1] == 8 * 8
    assert len(store.journal(flows[3])) == 8
    assert store.balance(NODE, Account.JOURNAL).bytes == 8 * MIB
    assert not store.recount()
    store.close()


@pytest.mark.parametrize("replaced_by", [None, b"small"])
def test_large_states_are_forgotten_in_portions_between_which_others_commit(
    tmp_path: Path, replaced_by: bytes | None
) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    keys = [f"status/{number}" for number in range(4)]
    for key in keys:
        state = StateWrite(key=key, value=b"x" * 8 * MIB, expected=0)
        store.commit(Unit(states=(state,)))
    left: list[int] = []
    write = store._writer.write

    def watched(work: Callable[[sqlite3.Connection], object], **named: Any) -> None:
        write(work, **named)
        left.append(store._read("SELECT count(*) FROM pieces", ())[0][0])

    store._writer.write = watched  # type: ignore[method-assign]
    gone = [StateWrite(key=key, value=replaced_by, expected=1) for key in keys[:3]]
    store.commit(Unit(states=tuple(gone)))
    assert max(a - b for a, b in pairwise([32 * 8, *left])) == 8, "a portion is 1 MiB"
    assert left[-1] == 8 * 8
    kept = store.get(keys[3])
    assert kept is not None
    assert kept.value == b"x" * 8 * MIB
    assert store._read("SELECT count(*) FROM large", ()) == [(1,)]
    store.close()


def test_a_large_state_is_read_whole_while_it_is_replaced(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    values = [b"a" * 2 * MIB, b"b" * 3 * MIB]
    store.commit(Unit(states=(StateWrite(key="k", value=values[0], expected=0),)))
    over, found = threading.Event(), set[bytes]()

    def read() -> None:
        while not over.is_set():
            state = store.get("k")
            found.add(b"" if state is None else state.value)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 12):
        write = StateWrite(key="k", value=values[number % 2], expected=number)
        store.commit(Unit(states=(write,)))
    over.set()
    reader.join()
    assert found <= {*values}
    store.close()


def test_what_a_killed_process_had_not_deleted_goes_with_upkeep(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    store = SqliteStore(path)
    store.commit(held("flow", 8))

    def forgotten(connection: sqlite3.Connection) -> None:
        changes = Changes()
        forget(connection, [FlowId("flow")], changes)
        changes.write(connection)

    store._writer.write(forgotten)
    assert store.balance(NODE, Account.JOURNAL).bytes == 0
    assert len(store.journal(FlowId("flow"))) == 8
    store.close()
    again = SqliteStore(path)
    upkeep = Upkeep(again, SimClock(), Fixed(Retention()))
    upkeep.run()
    assert not again.journal(FlowId("flow"))
    assert not again._read("SELECT * FROM forgotten", ())
    assert not again.recount()
    again.close()


def test_a_file_is_opened_while_somebody_writes_for_long(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    SqliteStore(path).close()
    with Database.open(tmp_path / "vault.sqlite", ()):
        for name in ("flows.sqlite", "vault.sqlite"):
            writer = sqlite3.connect(tmp_path / name, isolation_level=None)
            writer.execute("BEGIN IMMEDIATE")
            reader = sqlite3.connect(tmp_path / name, timeout=0, isolation_level=None)
            let_shrink(reader)
            assert reader.execute("PRAGMA auto_vacuum").fetchone() == (2,)
            reader.close()
            writer.close()


def test_a_file_that_was_made_otherwise_keeps_its_size(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    SqliteStore(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = DELETE",
        "PRAGMA auto_vacuum = NONE",
        "VACUUM",
        "INSERT INTO states (key, version, value) VALUES ('big', 1, zeroblob(20000000))",
        "DELETE FROM states WHERE key = 'big'",
    ):
        connection.execute(statement).close()
    assert connection.execute("PRAGMA auto_vacuum").fetchall() == [(0,)]
    connection.close()
    store = SqliteStore(path)
    assert store.shrink() == 0
    store.close()


def test_other_databases_shrink_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    with Database.open(path, ()) as database:

        def work(connection):
            connection.execute(text("CREATE TABLE held (value BLOB)"))
            connection.execute(text("INSERT INTO held VALUES (zeroblob(41943040))"))

        database.transact(work)
        database.transact(lambda connection: connection.execute(text("DELETE FROM held")))
        for _ in range(24):
            database.transact(
                lambda connection: connection.execute(text("INSERT INTO held VALUES (1)"))
            )
        database.scrub()
        assert sizes(path)[0] <= 6 * MIB
        assert sizes(path)[1] <= 16 * MIB
