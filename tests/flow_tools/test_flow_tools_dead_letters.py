"""`cordbox flow dead-letter` against a real host that has given a record up."""

import time

import pytest

from host.adapters.sqlite.store import SqliteStore
from host.cli.lines import fixed_width
from host.flow.core.messages import EVENT_TOPIC
from host.ports.bus import NOBODY, NewRecord
from host.ports.units import Unit

pytestmark = pytest.mark.slow
SECONDS_MAX = 60
RUBBISH = b"\xff no event"


def test_records_that_were_given_up_are_listed(network, cordbox):
    words = ("flow", "dead-letter", "list", *network.words())
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
    head, line = listed.out.splitlines()
    assert head.split() == ["given", "up", "record", "size", "node", "id", "key"]
    when, kind, *_, node, letter_id, key = line.split()
    assert (kind, node, key) == ("unreadable", "-", "flow-1")
    assert f"{len(RUBBISH)} bytes" in listed.out
    (letter,) = cordbox(*words, "--limit", "1", "--output", "json").json
    assert letter == {
        "id": letter_id,
        "holdingIdentityShortHash": None,
        "isDiscarded": False,
        "key": "flow-1",
        "kind": "unreadable",
        "valueBytes": len(RUBBISH),
        "givenUpTimestamp": letter["givenUpTimestamp"],
    }
    assert fixed_width(letter["givenUpTimestamp"]) == when
    assert cordbox(*words, "--since", "2999-01-01").err == "no dead letters\n"
    assert cordbox(*words, "--limit", "0").code == 2


def test_a_record_is_discarded_and_taken_back(network, cordbox):
    def letters(*more):
        return cordbox(
            "flow", "dead-letter", "list", *network.words(), "--output", "json", *more
        ).json

    def act(name, letter_id, *more):
        return cordbox("flow", "dead-letter", name, letter_id, *network.words(), *more)

    (letter,) = letters()
    shown = act("show", letter["id"], "--content")
    assert "retry:      no, it cannot be read" in shown.out
    assert "no event" in shown.out
    refused = act("retry", letter["id"])
    assert (refused.code, "error[dead-letter-final]" in refused.err) == (1, True)
    assert act("discard", letter["id"]).out == f"discarded  {letter['id']}\n"
    assert letters() == []
    (gone,) = letters("--discarded")
    assert act("restore", gone["id"], "--output", "json").json == {
        "id": gone["id"],
        "outcome": "restored",
    }
    assert [one["key"] for one in letters()] == ["flow-1"]
    assert act("discard", letter["id"]).code == 1
