"""One look at the registers for a step of a flow."""

import threading
import time

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from host.adapters.sqlite.database import Database
from host.database import steady_view as views
from host.database.revision_cache import RevisionCache
from host.database.steady_view import VIEW_SECONDS, steady_view
from host.ports.database import REMEMBERED, Schema

METADATA = MetaData()
ITEM = Table(
    "item", METADATA, Column("id", Integer, primary_key=True), Column("text", Text), info=REMEMBERED
)
SCHEMA = Schema(name="steady-view", metadata=METADATA)


class Clock:
    """A monotonic clock that tests move."""

    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(views, "time", clock)
    return clock


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "a.sqlite", [SCHEMA]) as database:
        yield database


@pytest.fixture
def looks(database, monkeypatch):
    """One item for each look at the revision."""
    looks = []

    def revision():
        looks.append(None)
        return Database.revision(database)

    monkeypatch.setattr(database, "revision", revision)
    return looks


def texts(database):
    with database.read() as connection:
        return [row.text for row in connection.execute(select(ITEM).order_by(ITEM.c.id))]


def add(database, text):
    database.transact(lambda connection: connection.execute(insert(ITEM), {"text": text}))


def elsewhere(work):
    """Run on another thread."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_step_looks_once_and_sees_one_state(database, looks, clock):
    cache = RevisionCache(database, lambda key: texts(database))
    with steady_view():
        assert cache.get("a") == []
        elsewhere(lambda: add(database, "of others"))
        assert [cache.get("a") for _ in range(3)] == [[]] * 3
    assert len(looks) == 1
    assert cache.get("a") == ["of others"]
    with steady_view():
        assert cache.get("a") == ["of others"]
    assert len(looks) == 3


def test_a_step_that_lasts_looks_again(database, clock):
    cache = RevisionCache(database, lambda key: texts(database))
    with steady_view():
        assert cache.get("a") == []
        elsewhere(lambda: add(database, "of others"))
        clock.now += VIEW_SECONDS
        assert cache.get("a") == ["of others"]


def test_a_thread_sees_what_it_has_written(database, clock):
    cache = RevisionCache(database, lambda key: texts(database))
    with steady_view():
        assert cache.get("a") == []
        add(database, "own")
        assert cache.get("a") == ["own"]


def test_an_older_view_neither_empties_the_cache_nor_puts_old_rows_into_it(database, clock):
    reads = []

    def read(key):
        reads.append(key)
        return texts(database)

    cache = RevisionCache(database, read)
    with steady_view():
        assert cache.get("a") == []

        def others():
            add(database, "of others")
            assert cache.get("b") == ["of others"]

        elsewhere(others)
        # What another thread has read since is newer than this view, and kept.
        assert cache.get("b") == ["of others"]
        assert cache.get("c") == ["of others"]
        assert cache.get("c") == ["of others"]
    assert cache.get("c") == ["of others"]
    assert reads == ["a", "b", "c", "c", "c"]


def test_threads_have_views_of_their_own(database, looks, clock):
    cache = RevisionCache(database, lambda key: texts(database))
    with steady_view():
        cache.get("a")
        elsewhere(lambda: [cache.get("a"), cache.get("a")])
    assert len(looks) == 3


def test_the_view_is_short():
    assert VIEW_SECONDS < 0.05
    with steady_view():
        assert views._view.until > time.monotonic()
    assert views._view.until == 0.0
