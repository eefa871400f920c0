"""Operators see what the flow engine has given up, and nobody else does."""

import pytest

from host.access import Effect, Permission
from host.adapters.sqlite.store import SqliteStore
from host.flow.core.messages import EVENT_TOPIC
from host.ports.bus import NOBODY, NewRecord
from host.ports.units import Unit

PATH = "/api/v5_2/deadletter"
RUBBISH = b"\xff no event"


@pytest.fixture(scope="module")
def cpi(data_dir, cpi):
    """With the CPI, two records that the host will find on its bus and cannot read."""
    store = SqliteStore(data_dir / "flows.sqlite")
    for key in ("flow-1", "flow-2"):
        store.commit(
            Unit(records=(NewRecord(topic=EVENT_TOPIC, key=key, value=RUBBISH, node=NOBODY),))
        )
    store.close()
    return cpi


def test_records_that_were_given_up_are_listed_without_their_content(polled, api):
    listed = polled(PATH, lambda answer: len(answer["deadLetters"]) == 2)["deadLetters"]
    assert {letter["key"] for letter in listed} == {"flow-1", "flow-2"}
    for letter in listed:
        assert letter["kind"] == "unreadable"
        assert letter["valueBytes"] == len(RUBBISH)
        assert letter["givenUpTimestamp"].endswith("Z")
        assert set(letter) == {"key", "kind", "valueBytes", "givenUpTimestamp"}
    times = [letter["givenUpTimestamp"] for letter in listed]
    assert times == sorted(times, reverse=True)
    assert api.get(f"{PATH}?limit=1").json()["deadLetters"] == listed[:1]


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_limit_out_of_range_is_400(api, limit):
    assert api.get(f"{PATH}?limit={limit}").status_code == 400


def test_it_needs_a_permission(api, services):
    allowed = Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_2/virtualnode.*")
    services.users.create("reader", "word", full_name="Reader", permissions=(allowed,))
    assert api.get(PATH, auth=("reader", "word")).status_code == 403
    assert api.get(PATH, auth=("reader", "wrong")).status_code == 401
