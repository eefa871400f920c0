"""Operators see what the flow engine has given up, and nobody else does."""

import pytest

from host.access import Effect, Permission
from host.adapters.sqlite.store import SqliteStore
from host.domain.ids import FlowId, ShortHash
from host.flow.core.messages import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPIC,
    Wake,
    encode,
    flow_state_key,
)
from host.ports.bus import NOBODY, NewRecord
from host.ports.state import StateWrite
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
        assert letter["holdingIdentityShortHash"] is None
        assert set(letter) == {
            *("id", "key", "kind", "valueBytes", "givenUpTimestamp"),
            *("holdingIdentityShortHash", "isDiscarded"),
        }
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


def listed(api, *, discarded=False):
    return api.get(PATH, params={"discarded": discarded}).json()["deadLetters"]


def test_a_record_is_looked_at_discarded_and_restored_and_all_of_it_is_logged(polled, api):
    letter = polled(PATH, lambda answer: len(answer["deadLetters"]) == 2)["deadLetters"][0]
    path = f"{PATH}/{letter['id']}"
    assert api.get(path).json() == {
        "letter": letter,
        "flowId": None,
        "isRetryable": False,
        "whyFinal": "it cannot be read",
    }
    shown = api.post(f"{path}/content").json()
    assert shown == {"id": letter["id"], "content": "\ufffd no event", "isCut": False}
    refused = api.post(f"{path}/retry")
    assert (refused.status_code, refused.json()["details"]["code"]) == (409, "dead-letter-final")
    assert api.post(f"{path}/discard").status_code == 204
    assert letter["id"] not in {one["id"] for one in listed(api)}
    (gone,) = listed(api, discarded=True)
    assert (gone["key"], gone["isDiscarded"], gone["id"][0]) == (letter["key"], True, "d")
    for again in ("discard", "retry", "restore"):
        assert api.post(f"{path}/{again}").status_code == 404
        code = "dead-letter-moved" if again != "restore" else None
        answer = api.post(f"{PATH}/{gone['id']}/{again}")
        if code is None:
            assert answer.status_code == 204
        else:
            assert (answer.status_code, answer.json()["details"]["code"]) == (409, code)
    assert len(listed(api)) == 2
    acts = api.get("/api/v5_3/administrativelog", params={"resource": letter["id"]}).json()["acts"]
    done = [(act["path"].rpartition("/")[2], act["code"]) for act in acts]
    assert {("content", "ok"), ("retry", "dead-letter-final"), ("discard", "ok")} <= set(done)
    assert api.post(f"{PATH}/nonsense/retry").json()["details"]["code"] == "dead-letter-id-invalid"


def test_a_record_of_an_open_flow_is_tried_again(api, alice, services):
    store, flow_id = services.flows._store, FlowId("flow-3")
    checkpoint = StateWrite(key=flow_state_key(flow_id), value=b"{}", expected=0)
    record = NewRecord(
        topic=DEAD_LETTER_TOPIC, key=flow_id, value=encode(Wake()), owner=ShortHash(alice)
    )
    store.commit(Unit(states=(checkpoint,), records=(record,)))
    letter = next(one for one in listed(api) if one["key"] == flow_id)
    path = f"{PATH}/{letter['id']}"
    assert letter["holdingIdentityShortHash"] == alice
    assert api.get(path).json()["isRetryable"] is True
    assert api.post(f"{path}/retry").status_code == 204
    assert api.get(path).status_code == 404  # given up again, it has another id


def test_who_may_list_may_not_therefore_retry(api, services):
    allowed = Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_2/deadletter.*")
    services.users.create("watcher", "word", full_name="Watcher", permissions=(allowed,))
    letter = listed(api)[0]["id"]
    assert api.get(f"{PATH}/{letter}", auth=("watcher", "word")).status_code == 200
    for act in ("retry", "discard", "restore", "content"):
        assert api.post(f"{PATH}/{letter}/{act}", auth=("watcher", "word")).status_code == 403


def test_who_is_denied_a_node_is_denied_its_dead_letters(api, alice, services):
    record = NewRecord(
        topic=DEAD_LETTER_TOPIC, key="flow-4", value=encode(Wake()), owner=ShortHash(alice)
    )
    services.flows._store.commit(Unit(records=(record,)))
    letter = next(one for one in listed(api) if one["key"] == "flow-4")["id"]
    everything = Permission(effect=Effect.ALLOW, pattern=".*")
    for number, (pattern, node) in enumerate(
        ((".*", ShortHash(alice)), (f".*{alice}.*", None), (f".*/{alice.lower()}/.*", None))
    ):
        deny = Permission(effect=Effect.DENY, pattern=pattern, virtual_node=node)
        services.users.create(f"denied-{number}", "w", full_name="", permissions=(everything, deny))
        auth = (f"denied-{number}", "w")
        assert api.get(f"{PATH}/{letter}", auth=auth).status_code == 403
        for act in ("content", "retry", "discard", "restore"):
            assert api.post(f"{PATH}/{letter}/{act}", auth=auth).status_code == 403, (pattern, act)
    assert api.get(f"{PATH}/{letter}").status_code == 200
