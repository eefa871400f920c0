"""Starting flows and asking for their statuses."""

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from host.domain.flow import FlowStatusName
from host.domain.ids import ShortHash
from host.domain.vnode import OperationalStatus
from host.flow.core.messages import EVENT_TOPIC, KillFlow, StartFlow, decode_event
from host.flow.core.statuses import decode_status
from host.ports.glances import GlanceQuery
from host.ports.state import StateWrite
from host.ports.units import FlowStore, Unit
from tests.flow.network import ALICE, BOB, Network, alone, declare, holding
from tests.flow.queues import to_the_mapper, waiting

SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "minimum": 1},
        "lines": {"type": "array", "items": {"type": "string"}},
        "party": {"type": "object", "properties": {}, "required": ["name"]},
    },
    "required": ["amount"],
    "additionalProperties": False,
}


def network(store: FlowStore | None = None) -> Network:
    declared = (declare("test.Initiator", input_schema=SCHEMA), declare("test.Other"))
    flows = {"test.Initiator": lambda g: "ok", "test.Other": lambda g: "other"}
    return Network(store or MemoryStore(), flows, declared=declared)


def test_a_start_is_accepted_before_it_runs(store: FlowStore) -> None:
    made = network(store)
    accepted = made.start({"amount": 1})
    assert (accepted.status, accepted.flow_id) == (FlowStatusName.START_REQUESTED, None)
    assert made.alice() == accepted
    made.engine.drain()
    done = made.alice()
    assert (done.status, done.result) == (FlowStatusName.COMPLETED, "ok")
    unread = made.service.unread(holding(ALICE).short_hash, "r1")
    assert (bytes(unread.result), unread.result_is_json) == (b'"ok"', False)
    assert done.flow_id is not None


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"amount": 0}, "$.amount"),
        ({"amount": "1"}, "$.amount"),
        ({}, "$.amount"),
        ({"amount": 1, "lines": ["a", 2]}, "$.lines[1]"),
        ({"amount": 1, "party": {}}, "$.party.name"),
        ({"amount": 1, "x": 1}, "$.x"),
        (None, "$"),
        ([], "$"),
    ],
)
def test_a_body_that_does_not_match_the_schema_is_refused_by_field(body: object, path: str) -> None:
    made = network()
    with pytest.raises(InvalidInputError) as caught:
        made.start(body)
    assert caught.value.code == "flow-input-invalid"
    assert caught.value.details["path"] == path
    assert f"wrong at {path}:" in caught.value.message
    assert made.store.scan("") == []


def test_a_body_is_limited_and_must_be_json() -> None:
    made = network()
    for body in ("x" * (4 * 1024 * 1024), float("nan"), "\ud800"):
        with pytest.raises(InvalidInputError) as caught:
            made.start(body, flow="test.Other")
        assert caught.value.code == "flow-input-invalid"


def test_a_schema_keeps_nobody_waiting() -> None:
    slow = {"type": "string", "pattern": "^(a|a)*$"}
    declared = (declare("test.Initiator", input_schema=slow),)
    made = Network(MemoryStore(), {"test.Initiator": lambda g: "ok"}, declared=declared)
    with pytest.raises(InvalidInputError) as caught:
        made.start("a" * 200 + "b")
    assert caught.value.code == "flow-input-invalid"


def test_a_client_request_id_is_used_once_per_virtual_node(store: FlowStore) -> None:
    made = network(store)
    made.start({"amount": 1})
    with pytest.raises(ConflictError) as caught:
        made.start({"amount": 1})
    assert caught.value.code == "flow-already-started"
    made.engine.drain()
    with pytest.raises(ConflictError):
        made.start({"amount": 1})
    bob = made.nodes.nodes[holding(BOB)]
    made.service.start(bob, made.cpi, "r1", "test.Other", None)


@pytest.mark.parametrize("text", ["", "a b", "x" * 243, "ü", "a/b", "r1\n", ".", ".."])
def test_client_request_ids_have_a_form(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        network().start({"amount": 1}, request_id=text)
    assert caught.value.code == "client-request-id-invalid"
    network().start({"amount": 1}, request_id="x" * 242)


def test_a_flow_that_the_cpi_does_not_declare_is_refused_with_what_it_does() -> None:
    with pytest.raises(InvalidInputError) as caught:
        network().start({}, flow="test.Nothing")
    assert caught.value.code == "flow-not-startable"
    assert caught.value.details["startableFlows"] == "test.Initiator,test.Other"
    assert caught.value.details["CPI-name"] == "cpi"


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("test.Initator", "; did you mean test.Initiator?"),
        ("Pay", "; there is test.Initiator, test.Other"),
    ],
)
def test_a_flow_that_is_not_startable_is_told_what_was_meant(wanted: str, hint: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        network().start({}, flow=wanted)
    assert caught.value.message.endswith(hint)


def test_starting_can_be_switched_off() -> None:
    made = network()
    made.replace(ALICE, flow_start_status=OperationalStatus.INACTIVE)
    with pytest.raises(NotAllowedError, match="are not operational"):
        made.start({"amount": 1})


def test_a_flow_that_was_accepted_before_starting_was_switched_off_is_killed() -> None:
    made = network()
    made.start({"amount": 1})
    made.replace(ALICE, flow_start_status=OperationalStatus.INACTIVE)
    made.engine.drain()
    assert made.alice().status is FlowStatusName.KILLED


def test_an_unknown_status_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no flow with client request id 'r9'"):
        network().alice("r9")


def test_flows_are_listed_by_node_and_status(store: FlowStore) -> None:
    made = network(store)
    made.start({"amount": 1}, request_id="b")
    made.engine.drain()
    made.start({"amount": 1}, request_id="a")
    here = holding(ALICE).short_hash

    def listed(node: ShortHash = here, status: str | None = None) -> list[str]:
        found = made.service.page(GlanceQuery(node=node, status=status), 10)
        return [glance.request_id for glance in found]

    assert listed() == ["b", "a"]
    assert listed(status="COMPLETED") == ["b"]
    assert listed(status="KILLED") == []
    assert listed(ShortHash("000000000000")) == []
    with pytest.raises(InvalidInputError) as caught:
        listed(status="completed")
    assert caught.value.code == "flow-status-unknown"


def test_a_start_is_one_commit_and_the_event_of_a_flow_with_its_id() -> None:
    made = alone(lambda g: g.start["flowId"])
    units: list[Unit] = []
    commit = made.store.commit
    made.store.commit = lambda unit: units.append(unit) or commit(unit)  # type: ignore[func-returns-value]
    assert made.start().flow_id is None
    made.engine.drain()
    started, ended = units
    (record,) = started.records
    assert (record.topic, made.alice().flow_id) == (EVENT_TOPIC, record.key)
    assert ended.done
    assert made.alice().status is FlowStatusName.COMPLETED


def test_a_flow_that_has_not_begun_is_killed_by_its_assigned_id() -> None:
    made = alone(lambda g: str(g.call("flow", "sleep", millis=60_000)))
    made.start()
    made.service.kill(holding(ALICE).short_hash, "r1")
    start, kill = waiting(made.store, EVENT_TOPIC)
    assert isinstance(decode_event(start.value), StartFlow)
    assert isinstance(decode_event(kill.value), KillFlow)
    assert start.key == kill.key
    made.engine.drain()
    assert made.alice().status is FlowStatusName.KILLED


def test_a_start_of_an_earlier_release_is_killed_through_the_mapper() -> None:
    made = alone(lambda g: str(g.call("flow", "sleep", millis=60_000)))
    made.start()
    to_the_mapper(made.store)
    (record,) = made.store.scan("status/")
    old = record.value.replace(b'"v":2', b'"v":1').replace(
        b'"assigned":"%s"' % decode_status(record).assigned.encode(), b'"assigned":null'
    )
    made.store.commit(Unit(states=(StateWrite(key=record.key, value=old, expected=1),)))
    made.service.kill(holding(ALICE).short_hash, "r1")
    made.engine.drain()
    assert made.alice().status is FlowStatusName.KILLED


def test_a_repeated_start_request_runs_the_flow_once() -> None:
    made = alone(lambda g: str(g.call("persistence", "write", op="persist")))
    made.start()
    made.store.commit(Unit(records=(to_the_mapper(made.store),)))
    made.engine.drain()
    assert len(made.notes.rows) == 1


@pytest.mark.parametrize("body", [[0] * 500_002, 10**310, {"a": "x" * 10, "b": [1e308, 10**1025]}])
def test_no_flow_is_given_a_text_that_it_might_not_give(body: object) -> None:
    with pytest.raises(InvalidInputError) as refused:
        network().start(body, flow="test.Other")
    assert refused.value.code == "flow-input-invalid"


def test_a_body_is_nested_as_deep_as_a_guests_texts_may_be() -> None:
    body: object = 1
    for _ in range(64):
        body = [body]
    made = network()
    made.start(body, flow="test.Other")
    with pytest.raises(InvalidInputError, match="nested 65 deep"):
        made.start([body], request_id="r2", flow="test.Other")
