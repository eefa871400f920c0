import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from host.adapters.sqlite.vaults import Vaults
from host.domain.accounts import QuotaExceededError
from host.domain.capability_error import CapabilityError
from host.entities import SCHEMA, EntityCapability
from host.vault.idempotency import REQUEST, REQUESTS
from tests.services.support import ALICE, BOB, context, holding
from tests.support.properties import examples

NOTE = "iou.Note"


@pytest.fixture
def vaults(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
    for name in (ALICE, BOB):
        vaults.create(holding(name).short_hash)
    yield vaults
    vaults.close()


@pytest.fixture
def entities(vaults):
    return EntityCapability(vaults)


class Calls:
    """Numbers the calls of one flow, as the flow engine does."""

    def __init__(self, entities, name=ALICE):
        self.entities, self.name, self.count = entities, name, 0

    def __call__(self, function, **request):
        self.count += 1
        return self.entities.call(context(self.name, self.count), function, request)

    def write(self, op, *items, dedup_id=None):
        entities = [{"type": NOTE, "key": key, "value": value} for key, value in items]
        return self("write", op=op, entities=entities, dedupId=dedup_id)

    def find(self, *keys):
        return self("read", op="find", type=NOTE, keys=list(keys))

    def find_all(self, offset=0, limit=1000):
        return self("read", op="find-all", type=NOTE, offset=offset, limit=limit)


@pytest.fixture
def calls(entities):
    return Calls(entities)


def refused(code, function, *args, **kwargs):
    with pytest.raises(CapabilityError) as error:
        function(*args, **kwargs)
    assert error.value.code == code
    return error.value.message


def test_what_is_persisted_is_found(calls):
    assert calls.write("persist", ("a", {"n": 1}), ("b", [1.5, "x"])) == [{"n": 1}, [1.5, "x"]]
    assert calls.find("b", "c", "a") == [[1.5, "x"], None, {"n": 1}]


def test_persisting_a_key_twice_is_refused_and_the_whole_call_undone(calls):
    calls.write("persist", ("a", 1))
    assert "'a'" in refused("entity-exists", calls.write, "persist", ("b", 2), ("a", 3))
    refused("entity-exists", calls.write, "persist", ("c", 2), ("c", 2))
    assert calls.find("a", "b", "c") == [1, None, None]


def test_merge_stores_whether_or_not_the_key_exists(calls):
    assert calls.write("merge", ("a", 1)) == [1]
    assert calls.write("merge", ("a", 2)) == [2]
    assert calls.find("a") == [2]


def test_remove_answers_what_was_there(calls):
    calls.write("persist", ("a", 1))
    assert calls.write("remove", ("a", None), ("a", None), ("b", None)) == [1, None, None]
    assert calls.find("a") == [None]


def test_find_all_pages_by_key(calls):
    calls.write("persist", *((f"k{n}", n) for n in (3, 1, 2, 0)))
    assert calls.find_all(0, 3) == {"results": [0, 1, 2], "more": True}
    assert calls.find_all(3, 3) == {"results": [3], "more": False}
    assert calls.find_all(1, 3) == {"results": [1, 2, 3], "more": False}
    assert calls.find_all(9, 1) == {"results": [], "more": False}


def test_a_page_never_exceeds_the_payload_limit(calls):
    large = "x" * 1_000_000
    for n in range(5):
        calls.write("persist", (f"k{n}", large))
    first = calls.find_all()
    assert (len(first["results"]), first["more"]) == (3, True)
    assert len(calls.find_all(3)["results"]) == 2
    refused("answer-too-large", calls.find, *(f"k{n}" for n in range(5)))


def test_the_same_call_after_a_crash_is_a_no_op_with_the_same_answer(entities, calls):
    request = {"op": "persist", "entities": [{"type": NOTE, "key": "a", "value": 1}]}
    first = entities.call(context(call=7), "write", request)
    assert entities.call(context(call=7), "write", request) == first == [1]
    remove = {"op": "remove", "entities": [{"type": NOTE, "key": "a", "value": None}]}
    assert entities.call(context(call=8), "write", remove) == [1]
    assert entities.call(context(call=8), "write", remove) == [1]
    assert entities.call(context(call=7), "write", request) == [1]
    assert calls.find("a") == [None]


def test_a_deduplication_identifier_spans_the_calls_of_one_flow(entities, calls):
    assert calls.write("persist", ("a", 1), dedup_id="once") == [1]
    assert calls.write("persist", ("a", 1), dedup_id="once") == [1]
    refused("request-id-reused", calls.write, "persist", ("b", 1), dedup_id="once")
    other = context(flow_id="other", call=1)
    request = {
        "op": "persist",
        "dedupId": "once",
        "entities": [{"type": NOTE, "key": "a", "value": 1}],
    }
    refused("entity-exists", entities.call, other, "write", request)


def test_a_deduplication_identifier_cannot_pose_as_a_call(entities, calls):
    calls.write("persist", ("a", 1), dedup_id="2")
    assert calls.count == 1
    assert calls.write("persist", ("b", 1)) == [1]
    assert calls.find("b") == [1]


def test_nodes_do_not_see_each_other(entities):
    alice, bob = Calls(entities, ALICE), Calls(entities, BOB)
    alice.write("persist", ("a", "Alice's"))
    assert bob.find("a") == [None]
    assert bob.find_all() == {"results": [], "more": False}
    bob.write("persist", ("a", "Bob's"))
    assert alice.find("a") == ["Alice's"]


def test_undeclared_types_are_refused(calls):
    undeclared = [{"type": "iou.Other", "key": "a", "value": 1}]
    assert NOTE in refused("entity-type-unknown", calls, "write", op="persist", entities=undeclared)
    refused("entity-type-unknown", calls, "read", op="find", type="iou.Other", keys=[])
    refused(
        "entity-type-unknown", calls, "read", op="find-all", type="iou.Other", offset=0, limit=1
    )


NOTHING = {"op": "persist", "entities": []}


@pytest.mark.parametrize(
    ("function", "request_"),
    [
        ("write", {**NOTHING, "op": "drop"}),
        ("write", {**NOTHING, "more": 1}),
        ("write", {**NOTHING, "dedupId": "x" * 129}),
        ("write", {**NOTHING, "dedupId": 5}),
        ("write", {**NOTHING, "entities": None}),
        ("write", {**NOTHING, "entities": [1]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "", "value": 1}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "k" * 1025, "value": 1}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "\U0001f600" * 500, "value": 1}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "a\0b", "value": 1}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "k", "value": None}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "k", "value": 2**60}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "k", "value": "\ud800"}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "k", "value": 1e17}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "\ud800", "value": 1}]}),
        ("write", {**NOTHING, "entities": [{"type": NOTE, "key": "k", "value": 1}] * 1001}),
        ("write", {"op": "remove", "entities": [{"type": NOTE, "key": "k", "value": 2**60}]}),
        ("read", {"op": "find-all", "type": NOTE, "offset": -1, "limit": 1}),
        ("read", {"op": "find-all", "type": NOTE, "offset": 0, "limit": 0}),
        ("read", {"op": "find-all", "type": NOTE, "offset": 0, "limit": 1001}),
        ("read", {"op": "find-all", "type": NOTE, "offset": True, "limit": 1}),
        ("read", {"op": "find", "type": NOTE, "keys": ["k"] * 1001}),
        ("read", {"op": "query", "type": NOTE}),
        ("drop", {}),
    ],
)
def test_malformed_requests_are_refused(entities, function, request_):
    refused("request-invalid", entities.call, context(), function, request_)


def test_too_large_a_value_is_refused(calls):
    refused("entity-too-large", calls.write, "persist", ("a", "x" * 1024 * 1024))
    assert calls.find("a") == [None]


def test_threads_that_persist_one_key_agree_on_one_winner(entities, calls):
    outcomes = []

    def persist(number):
        request = {"op": "persist", "entities": [{"type": NOTE, "key": "a", "value": number}]}
        try:
            outcomes.append(entities.call(context(call=100 + number), "write", request))
        except CapabilityError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=persist, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes))[1:] == ["entity-exists"] * 3
    assert calls.find("a") in outcomes


STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
"""Characters of a text that every database can store."""
TEXTS = st.text(STORABLE)
JSON = st.recursive(
    st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | TEXTS
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.property
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(key=st.text(STORABLE, min_size=1, max_size=50), value=JSON)
def test_any_json_under_any_key_comes_back(calls, key, value):
    calls.write("merge", (key, value))
    assert calls.find(key) == [value]


def test_a_vault_does_not_outgrow_its_limit_and_takes_writes_again_when_space_is_freed(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA], bytes_max_of=lambda _node: 2_000_000)
    vaults.create(holding(ALICE).short_hash)
    calls, big = Calls(EntityCapability(vaults)), {"text": "x" * 300_000}
    for number in range(3):  # each is there twice: as an entity, and as the answer to its call
        calls.write("persist", (f"k{number}", big))
    with pytest.raises(QuotaExceededError) as full:
        calls.write("persist", ("k3", big))
    assert (full.value.code, full.value.details) == ("quota-exceeded", {"account": "vault"})
    assert calls.find("k2", "k3") == [big, None]

    def work(connection):
        assert connection.execute(delete(REQUEST)).rowcount == 3

    vaults.transact(holding(ALICE).short_hash, work)
    calls.write("persist", ("more", big))
    assert calls.find("k0", "more") == [big, big]
    vaults.close()
