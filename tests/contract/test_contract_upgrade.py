"""Files that earlier versions wrote, and files that a crash or a bad disk left."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from host.bus import schema
from host.bus.partitions import partition_of, target_of
from host.bus.schema import SCHEMA_VERSION
from host.bus.sqlite import SqliteStore
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, FlowId, HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.flow.messages import Data, Party, Respond, SessionMessage, StartFlow, Wake, encode
from host.ports.bus import NOBODY, DuePlace, NewRecord, WorkQueue
from host.ports.groups import Fence
from host.ports.state import StateWrite
from host.ports.units import JournalRow, Unit
from host.ports.work import Done
from tests.contract.conftest import MovableClock

VERSION_1 = Path(__file__).parent / "flows_version_1.sql"
RECORD = NewRecord(topic="flow.event", key="f", value=b"v")


def version_1(path: Path) -> None:
    """The dump of a file that release 1 of the schema wrote."""
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1.read_text())
    connection.close()


def test_a_file_of_version_1_is_brought_up_to_date(tmp_path: Path, clock: MovableClock) -> None:
    path = tmp_path / "flows.sqlite"
    version_1(path)
    clock.advance(1000)
    nobodys = WorkQueue(topic="flow.event", partition=partition_of("f"), node=NOBODY)
    for _ in range(2):
        store = SqliteStore(path, clock=clock)
        assert store._read("SELECT version FROM schema_version", ()) == [(SCHEMA_VERSION,)]
        assert list(store.waiting(["flow.event"])) == [nobodys]
        assert [(r.key, r.value, r.written_at) for r in store.take(nobodys, 9).records] == [
            ("f", b"second", 1000)
        ]
        assert store.get("flow/f").version == 3
        assert [s.key for s in store.due("flow", EpochMs(99), 9, {partition_of("f")})] == [
            "timer/f"
        ]
        assert list(store.journal(FlowId("f"))) == [b"one", b"two"]
        clock.advance(50)
        store.close()
    store = SqliteStore(path, clock=clock)
    membership = store.join("flow", "m", ttl_ms=1000)
    partition = partition_of("f")
    (record,) = store.take(nobodys, 9).records
    store.commit(
        Unit(
            states=(StateWrite(key="flow/f", value=b"new", expected=3),),
            journal=(JournalRow(flow_id=FlowId("f"), number=2, value=b"three"),),
            done=(Done(queue=nobodys, positions=(record.position,)),),
            fences=(Fence(group="flow", partition=partition, epoch=membership.epochs[partition]),),
        )
    )
    assert store.waiting(["flow.event"]) == []
    store.close()


ALICE = HoldingIdentity(
    x500_name=MemberX500Name.parse("O=Alice, L=London, C=GB"),
    group_id="6f2c1a3e-0000-4000-8000-000000000001",
)
BOB = HoldingIdentity(
    x500_name=MemberX500Name.parse("O=Bob, L=Paris, C=FR"), group_id=ALICE.group_id
)


def version_2(path: Path, records: list[tuple[str, str, bytes]], states: dict[str, bytes]) -> None:
    """A file of version 2 with records that wait, two consumed ones, and a dead letter."""
    connection = sqlite3.connect(path)
    for script in (schema._VERSION_1, schema._VERSION_2):
        connection.executescript(script)
    connection.execute("ALTER TABLE records ADD COLUMN written_at INTEGER NOT NULL DEFAULT 0")
    for position, (topic, key, value) in enumerate([("flow.event", "done", b"old"), *records]):
        connection.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
            (topic, partition_of(key), position, key, value, position),
        )
    connection.execute(
        "INSERT INTO offsets VALUES ('flow', 'flow.event', ?, 1)", (partition_of("done"),)
    )
    connection.executemany(
        "INSERT INTO states VALUES (?, 1, ?, ?)",
        [(k, v, None if k.startswith("flow/") else 7) for k, v in states.items()],
    )
    connection.execute("UPDATE schema_version SET version = 2")
    connection.commit()
    connection.close()


def test_work_of_version_2_finds_its_nodes(tmp_path: Path) -> None:
    path, alice, bob = tmp_path / "flows.sqlite", Party.of(ALICE), Party.of(BOB)
    message = SessionMessage(
        session_id="s", sequence=1, source=alice, target=bob, payload=Data(payload="1")
    )
    start = StartFlow(
        client_request_id="r",
        holding=alice,
        cpi_checksum="SHA-256:00",
        flow_class="F",
        body=None,
        requested_at=EpochMs(0),
    )
    damaged = encode(Wake()).replace(b"1", b"[" * 20_000)
    records = [
        ("flow.mapper.start", f"r-{ALICE.short_hash}", b"unreadable"),
        ("flow.mapper.session.out", "s", encode(message)),
        ("flow.mapper.session.out", "t", damaged),
        ("flow.event", "e", encode(start)),
        ("flow.event", "f", encode(message)),
        ("flow.event", "g", encode(Respond(message=message))),
        ("flow.event", "h", encode(Wake())),
        ("flow.event", "h", b'{"holding": {"name": 5}}'),
        ("flow.event", "i", encode(Wake())),
        ("flow.event.dlq", "h", b"letter"),
    ]
    states = {"flow/h": b'{"holding": ' + encode(bob) + b"}", "timer/h": b"{}", "status/x": b"{}"}
    version_2(path, records, states)
    store = SqliteStore(path)
    topics = ["flow.mapper.start", "flow.mapper.session.out", "flow.event", "flow.event.dlq"]
    found = {
        (q.topic, record.key, record.value): q.node
        for q in store.waiting(topics)
        for key in "efghi" + "st"
        for record in store.take(q, 9, set("efghist") - {key}).records
    }
    a, b = ALICE.short_hash, BOB.short_hash
    assert found == dict(zip(records[:-1], [a, a, NOBODY, a, b, b, b, b, NOBODY], strict=True))
    queue = WorkQueue(topic="flow.event", partition=partition_of("h"), node=b)
    assert [r.value for r in store.take(queue, 9).records] == [records[6][2], records[7][2]]
    assert list(store.topics()) == []  # no log was published to since the tails are new
    assert [r.value for r in store.newest("flow.event.dlq", 9)] == [b"letter"]
    timer = store.get("timer/h")
    assert timer.place == DuePlace(group="flow", partition=partition_of("h"))
    assert json.loads(timer.value) == {"node": b}
    assert store.get("status/x").place.partition == partition_of("status/x")
    assert store.get("flow/h").place is None
    store.close()


def test_an_upgrade_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "flows.sqlite"
    version_1(path)
    monkeypatch.setattr("host.bus.schema._VERSION_2", "CREATE TABLE groups (x);\nno SQL")
    with pytest.raises(StorageError, match="syntax error"):
        SqliteStore(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'groups'").fetchall()
    connection.close()


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    SqliteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match=f"schema version 99, expected 1 to {SCHEMA_VERSION}"):
        SqliteStore(path)


def crashed_copy(store: SqliteStore, source: Path, target: Path) -> Path:
    """The files as a power cut would leave them: the log is not folded into the database."""
    target.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{source}{suffix}", target / f"flows.sqlite{suffix}")
    return target / "flows.sqlite"


@pytest.mark.parametrize("garbled", [False, True], ids=["torn", "garbled"])
@pytest.mark.parametrize("lost", [1, 24, 100, 3000, 4096, 9000])
def test_a_torn_log_keeps_what_was_committed_before(
    tmp_path: Path, lost: int, garbled: bool
) -> None:
    path = tmp_path / "flows.sqlite"
    store = SqliteStore(path)
    lengths = []
    for number in range(6):
        value = b"%d" % number * 500
        state = StateWrite(key=f"s{number}", value=value, expected=0)
        store.commit(Unit(states=(state,), records=(RECORD,)))
        lengths.append(Path(f"{path}-wal").stat().st_size)
    copy = crashed_copy(store, path, tmp_path / "copy")
    store.close()
    log = Path(f"{copy}-wal")
    data = log.read_bytes()
    kept = data[: lengths[-1] - lost]
    log.write_bytes(kept + b"\xa5" * lost if garbled else kept)
    after = SqliteStore(copy)
    count = len(after.scan("s"))
    assert count == sum(length <= len(kept) for length in lengths) < 6
    assert [s.value for s in after.scan("s")] == [b"%d" % n * 500 for n in range(count)]
    assert [r.offset for r in after.poll("g", target_of(RECORD), 9)] == list(range(count))
    assert after._read("PRAGMA integrity_check", ()) == [("ok",)]
    after.commit(Unit(records=(RECORD,)))
    assert len(after.poll("g", target_of(RECORD), 9)) == count + 1
    after.close()


def test_no_large_value_stands_in_a_tree_that_is_searched_by_keys(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    found = store._read(
        "SELECT t.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c"
        " WHERE t.wr = 1 AND c.type = 'BLOB'",
        (),
    )
    assert not found
    (count,) = store._read("SELECT count(*) FROM pragma_table_list WHERE wr = 1", ())[0]
    assert count > 0
    store.close()
