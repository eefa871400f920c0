"""`cordbox host dead-letters` against a real host that has given a record up."""

import time

import pytest

from host.adapters.sqlite.store import SqliteStore
from host.flow.core.messages import EVENT_TOPIC
from host.ports.bus import NOBODY, NewRecord
from host.ports.units import Unit

pytestmark = pytest.mark.slow
SECONDS_MAX = 60
RUBBISH = b"\xff no event"


def test_records_that_were_given_up_are_listed(network, cordbox):
    words = ("host", "dead-letters", *network.words())
    none = cordbox(*words)
    assert (none.out, none.err) == ("", "no dead letters\n")
    store = SqliteStore(network.folder.data / "flows.sqlite")
    store.commit(
        Unit(records=(NewRecord(topic=EVENT_TOPIC, key="flow-1", value=RUBBISH, node=NOBODY),))
    )
    store.close()
    deadline = time.monotonic() + SECONDS_MAX
    while not (listed := cordbox(*words)).out and time.monotonic() < deadline:
        pass
    when, kind, *_, key = listed.out.split()
    assert (kind, key) == ("unreadable", "flow-1")
    assert f"{len(RUBBISH)} bytes" in listed.out
    (letter,) = cordbox(*words, "--limit", "1", "--output", "json").json
    assert letter == {
        "key": "flow-1",
        "kind": "unreadable",
        "valueBytes": len(RUBBISH),
        "givenUpTimestamp": when,
    }
    assert cordbox(*words, "--limit", "0").code == 2
