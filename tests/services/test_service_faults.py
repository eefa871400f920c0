"""The Nth statement fails, for every N: nothing is half done, and the same call then succeeds."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.errors import StorageError
from host.entities import SCHEMA as PERSISTENCE
from host.entities import EntityCapability
from host.vault.idempotency import REQUESTS
from tests.services.ledger_support import IOU
from tests.services.support import ALICE, BOB, context, holding
from tests.support.statements import watched


@contextmanager
def failing_at(database, number):
    """The statement of this number raises, as a disk that is full or gone makes it."""
    numbers = count(1)

    def fail(*_args):
        if next(numbers) == number:
            raise sqlite3.OperationalError("disk I/O error")

    with watched(database, fail):
        yield


def until_it_succeeds(database, act, check_untouched):
    """Runs `act` with a failure at statement 1, 2, .. and gives its answer and the failures."""
    for number in count(1):
        try:
            with failing_at(database, number):
                return act(), number - 1
        except StorageError:
            check_untouched()
    raise AssertionError


def opened(vaults, name):
    short_hash = holding(name).short_hash
    with vaults.read(short_hash):
        return vaults._open[short_hash].commits.database


def test_recording_a_transaction(net):
    (ref,) = net.issue(5)
    signed = net.call(ALICE, "build", net.builder(net.output(3), inputs=[ref]))

    def record():
        return net.call(BOB, "record", {"transaction": signed}, number=90)

    def untouched():
        assert net.call(BOB, "find", {"id": signed["id"]}) is None
        assert [s["stateRef"] for s in net.unconsumed(BOB)["results"]] == [ref]

    answer, failures = until_it_succeeds(opened(net.vaults, BOB), record, untouched)
    assert failures > 8
    assert answer == {"id": signed["id"], "visible": [0]}
    assert record() == answer
    (left,) = net.unconsumed(BOB)["results"]
    assert (left["stateRef"], left["state"]["type"]) == (f"{signed['id']}:0", IOU)


@pytest.fixture
def vaults(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, PERSISTENCE])
    vaults.create(holding(ALICE).short_hash)
    yield vaults
    vaults.close()


def test_writing_several_entities(vaults):
    entities = EntityCapability(vaults)
    keys = ["a", "b", "c"]
    request = {
        "op": "persist",
        "entities": [{"type": "iou.Note", "key": key, "value": key * 2} for key in keys],
    }

    def untouched():
        find = {"op": "find", "type": "iou.Note", "keys": keys}
        assert entities.call(context(), "read", find) == [None, None, None]

    answer, failures = until_it_succeeds(
        opened(vaults, ALICE),
        lambda: entities.call(context(call=5), "write", request),
        untouched,
    )
    assert failures > 6
    assert answer == ["aa", "bb", "cc"]
    assert entities.call(context(call=5), "write", request) == answer


WRITER = """
import sys
from pathlib import Path
from host.adapters.sqlite.vaults import Vaults
from host.vault.idempotency import REQUESTS
from host.entities import SCHEMA, EntityCapability
from tests.services.support import context

entities = EntityCapability(Vaults(Path(sys.argv[1]), [REQUESTS, SCHEMA]))
for number in range(100_000):
    pair = [{"type": "iou.Note", "key": f"{number}-{side}", "value": number} for side in "ab"]
    entities.call(context(call=number), "write", {"op": "persist", "entities": pair})
    print(number, flush=True)
"""


@pytest.mark.crash
def test_what_was_answered_survives_kill_9_and_nothing_is_half_done(vaults, tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "vnodes")],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    answered = [int(writer.stdout.readline()) for _ in range(20)]
    os.kill(writer.pid, signal.SIGKILL)
    answered += [int(line) for line in writer.stdout.read().split()]
    writer.stdout.close()
    writer.wait()
    request = {"op": "find-all", "type": "iou.Note", "offset": 0, "limit": 1000}
    stored = EntityCapability(vaults).call(context(), "read", request)["results"]
    assert set(answered) <= set(stored)
    assert all(stored.count(number) == 2 for number in stored)


def test_creating_the_tables(tmp_path):
    path = tmp_path / "a.sqlite"
    Database.open(path, [], has_revision=False).close()
    with Database.open(path, [], has_revision=False) as database:

        def create():
            from host.adapters.sqlite.database import _upgrade

            database.transact(
                lambda connection: _upgrade(connection, path, [PERSISTENCE, REQUESTS])
            )

        def untouched():
            with database.read() as connection:
                tables = connection.exec_driver_sql("SELECT name FROM sqlite_master").all()
            assert [name for (name,) in tables if not name.startswith("sqlite_")] == [
                "schema_version"
            ]

        _, failures = until_it_succeeds(database, create, untouched)
    assert failures > 4
    with Database.open(path, [PERSISTENCE, REQUESTS]) as database, database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM schema_version").scalar() == 2
