"""The calls that the engine itself serves, as guests see them."""

import base64
import json
from collections.abc import Callable
from functools import partial

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import target_of
from host.domain.capability_error import CapabilityError
from host.domain.errors import ConflictError, StorageError
from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs
from host.flow.core.config import FlowConfig
from host.flow.core.context_keys import is_reserved
from host.flow.core.events import GuestLogged, GuestRan
from host.flow.core.messages import due_place
from host.ports.bus import NewRecord
from host.ports.state import StateWrite
from host.ports.units import FlowStore, Unit
from tests.flow.network import (
    ALICE,
    BOB,
    PARKING,
    RESPONDER,
    Flow,
    Network,
    alone,
    declare,
    holding,
)
from tests.flow.scripted import CallFailed, Guest


def failing_code(call: Callable[[], object]) -> str:
    try:
        call()
    except CallFailed as exc:
        return exc.code
    return "nothing failed"


def failure_of(call: Callable[[Guest], object], **options: object) -> str | None:
    """The code of the call that fails in a flow."""
    return alone(lambda guest: failing_code(lambda: call(guest)), **options).run().result


@pytest.mark.parametrize(
    ("name", "code"),
    [("O=Nobody, L=Rome, C=IT", "counterparty-unknown"), ("Bob", "x500-name-invalid")],
)
def test_a_counterparty_that_is_nobody_is_refused(name: str, code: str) -> None:
    assert failure_of(lambda g: g.open(name)) == code


def test_sessions_need_a_protocol_on_the_stack() -> None:
    declared = (declare("test.Initiator", protocol=None),)
    assert failure_of(lambda g: g.open(BOB), declared=declared) == "session-no-protocol"


@pytest.mark.parametrize(
    ("interface", "function", "request_"),
    [
        ("flow", "random", {"bytes": 0}),
        ("flow", "random", {"bytes": 65537}),
        ("flow", "sleep", {"millis": 2**31}),
        ("flow", "now", {"extra": 1}),
        ("flow", "context", {"op": "drop", "key": "k"}),
        ("flow", "sub-flow", {"op": "enter", "flow": "x", "protocol": "p"}),
        ("sessions", "open", {"counterparty": BOB, "timeoutMillis": 1}),
        ("sessions", "receive", {"sessions": 5}),
        ("log", "write", {"level": "loud", "logger": "x", "message": "y"}),
        ("external-messaging", "send", {"channel": "a b", "message": "m"}),
    ],
)
def test_malformed_requests_are_refused(
    interface: str, function: str, request_: dict[str, object]
) -> None:
    assert failure_of(lambda g: g.call(interface, function, **request_)) == "request-invalid"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda g: g.send("none", 1), "session-unknown"),
        (lambda g: g.call("flow", "sleep", millis=900_001), "sleep-too-long"),
        (lambda g: g.receive("none"), "session-unknown"),
        (lambda g: g.close("none"), "session-unknown"),
        (lambda g: g.call("flow", "sub-flow", op="leave"), "sub-flow-none"),
        (
            lambda g: g.call("flow", "context", op="put", key="corda.x", value=""),
            "context-key-reserved",
        ),
    ],
)
def test_calls_that_do_not_fit_the_flows_state_are_refused(
    call: Callable[[Guest], object], code: str
) -> None:
    assert failure_of(call) == code


@pytest.mark.parametrize(
    "key",
    [
        "Corda.x",
        "CORDA.x",
        " corda.x",
        "corda.",
        "\N{ZERO WIDTH SPACE}corda.x",
        "c\N{ZERO WIDTH JOINER}orda.x",
        "\N{SMALL ROMAN NUMERAL ONE HUNDRED}orda.x",
        "corda\N{FULLWIDTH FULL STOP}x",
        "corda\N{ONE DOT LEADER}x",
        "co\N{COMBINING GRAPHEME JOINER}rda.x",
        "\N{HANGUL FILLER}corda.x",
    ],
)
def test_reserved_context_keys_are_so_in_any_spelling(key: str) -> None:
    call = lambda g: g.call("flow", "context", op="put", key=key, value="")  # noqa: E731
    assert failure_of(call) == "context-key-reserved"


@pytest.mark.parametrize("key", ["cordax", "accorda.x", "cor da.x", "a.corda."])
def test_other_context_keys_are_the_flows_own(key: str) -> None:
    assert not is_reserved(key)


def test_a_capability_that_the_host_lacks_is_an_error_of_the_call() -> None:
    network = alone(lambda g: failing_code(lambda: g.call("ledger", "find", id="x")))
    network.replace(ALICE, granted_capabilities=("ledger",))
    assert network.run().result == "capability-unavailable"


def test_now_and_random_come_from_the_ports_and_stay_the_same_at_replay() -> None:
    def reads(guest: Guest) -> str:
        before = [guest.call("flow", "now"), guest.call("flow", "random", bytes=4)]
        guest.call("flow", "sleep", millis=5000)
        return json.dumps([*before, guest.call("flow", "now")])

    network = alone(reads)
    network.run()
    network.later(5000)
    first, drawn, last = json.loads(network.alice().result)
    assert first == "2023-11-14T22:13:20.000000Z"
    assert last == "2023-11-14T22:13:25.000000Z"
    assert len(base64.b64decode(drawn)) == 4


def test_a_sleeping_flow_wakes_by_its_timer_and_not_before(store: FlowStore) -> None:
    def sleeps(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=900_000)
        return "awake"

    network = Network(store, {"test.Initiator": sleeps})
    assert network.run().status is FlowStatusName.RUNNING
    network.later(899_999)
    assert network.alice().status is FlowStatusName.RUNNING
    network.later(1)
    assert network.alice().result == "awake"


def test_a_peer_that_never_answers_fails_the_flow_when_the_session_expires() -> None:
    def waits(guest: Guest) -> str:
        session = guest.open(BOB, timeoutMillis=60_000)
        return str(guest.receive(session))

    def sleeps(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=900_000)
        return "late"

    network = Network(MemoryStore(), {"test.Initiator": waits, "test.Responder": sleeps})
    assert network.run().status is FlowStatusName.RUNNING
    network.later(120_000)
    assert "session.timeout" in network.alice().error.message


def test_logs_are_scrubbed_and_written_once_however_often_the_flow_replays() -> None:
    def talks(guest: Guest) -> str:
        guest.log("one\r\nforged \x1b[31m")
        guest.call("flow", "sleep", millis=1)
        guest.log("two")
        guest.call("flow", "sleep", millis=1)
        guest.log("three")
        return "done"

    network = alone(talks)
    network.run()
    network.later(1)
    network.later(1)
    lines = [e.message for e in network.events if isinstance(e, GuestLogged)]
    assert lines == ["one\\r\\nforged \\x1b[31m", "two", "three"]
    runs = [(e.replayed, e.made) for e in network.events if isinstance(e, GuestRan)]
    assert runs == [(0, 0), (0, 1), (0 if PARKING.most else 1, 1)]


def test_context_is_bounded_as_a_whole() -> None:
    def fills(guest: Guest) -> str:
        put = partial(guest.call, "flow", "context", op="put")
        put(key="a", value="x" * 8000)
        put(key="a", value="y" * 8000)  # replaced, not added
        return failing_code(lambda: put(key="b", value="x" * 4000))

    assert alone(fills).run().result == "context-full"


def test_a_responder_sees_the_initiators_platform_and_its_own_packages() -> None:
    def initiator(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, 1)
        return json.dumps(guest.receive(session))

    def responder(guest: Guest) -> str:
        get = partial(guest.call, "flow", "context", op="get")
        guest.receive(guest.session)
        keys = ("corda.initialPlatformVersion", "corda.initialSoftwareVersion", "corda.cpiName")
        guest.send(guest.session, [get(key=key) for key in keys])
        return ""

    network = Network(MemoryStore(), {"test.Initiator": initiator, "test.Responder": responder})
    assert json.loads(network.run().result) == ["50200", "5.2.0.0", "cpi"]


def test_context_is_scoped_to_sub_flows_and_travels_to_the_responder() -> None:
    def initiator(guest: Guest) -> str:
        put = partial(guest.call, "flow", "context", op="put")
        get = partial(guest.call, "flow", "context", op="get")
        put(key="k", value="outer")
        guest.call("flow", "sub-flow", op="enter", flow="Sub")
        seen = [get(key="k")]
        put(key="k", value="inner")
        seen.append(get(key="k"))
        guest.call("flow", "sub-flow", op="leave")
        seen += [get(key="k"), get(key="none"), get(key="corda.cpiName")]
        session = guest.open(BOB)
        guest.send(session, 1)
        return json.dumps([*seen, guest.receive(session)])

    def responder(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.send(guest.session, guest.call("flow", "context", op="get", key="k"))
        return ""

    network = Network(MemoryStore(), {"test.Initiator": initiator, "test.Responder": responder})
    assert json.loads(network.run().result) == ["outer", "inner", "outer", None, "cpi", "outer"]


def enter(guest: Guest) -> None:
    guest.call("flow", "sub-flow", op="enter", flow="Sub", protocol="p", versions=[1])


@pytest.mark.parametrize("version", [0, 2**31, 10**300])
def test_a_protocol_has_no_versions_but_those_that_a_package_may_declare(version: int) -> None:
    def initiator(guest: Guest) -> str:
        request = {"op": "enter", "flow": "Sub", "protocol": "p", "versions": [version]}
        return failing_code(lambda: guest.call("flow", "sub-flow", **request))

    assert Network(MemoryStore(), {"test.Initiator": initiator}).run().result == "request-invalid"


def test_leaving_an_initiating_sub_flow_closes_its_sessions(store: FlowStore) -> None:
    def initiator(guest: Guest) -> str:
        enter(guest)
        session = guest.open(BOB)
        guest.send(session, 1)
        guest.call("flow", "sub-flow", op="leave")
        return failing_code(lambda: guest.send(session, 2))

    declared = (declare("test.Initiator", protocol=None), RESPONDER)
    flows: dict[str, Flow] = {
        "test.Initiator": initiator,
        "test.Responder": lambda g: str(g.receive(g.session)),
    }
    network = Network(store, flows, declared=declared)
    assert network.run().result == "session-closed"
    assert network.bobs()[0].status is FlowStatusName.COMPLETED


def test_leaving_fails_when_the_peer_fails_instead_of_closing() -> None:
    def initiator(guest: Guest) -> str:
        enter(guest)
        guest.send(guest.open(BOB), 1)
        left = failing_code(lambda: guest.call("flow", "sub-flow", op="leave"))
        return f"{left}, {failing_code(lambda: guest.call('flow', 'sub-flow', op='leave'))}"

    def responder(guest: Guest) -> str:
        raise ValueError(str(guest.receive(guest.session)))

    network = Network(MemoryStore(), {"test.Initiator": initiator, "test.Responder": responder})
    assert network.run().result == "session-error, sub-flow-none"


def test_a_failed_sub_flow_errors_its_sessions_and_the_flow_goes_on() -> None:
    def initiator(guest: Guest) -> str:
        enter(guest)
        guest.send(guest.open(BOB), 1)
        guest.call("flow", "sub-flow", op="fail", message="sub broke")
        return "went on"

    def responder(guest: Guest) -> str:
        guest.receive(guest.session)
        return str(guest.receive(guest.session))

    network = Network(MemoryStore(), {"test.Initiator": initiator, "test.Responder": responder})
    assert network.run().result == "went on"
    assert network.bobs()[0].error.message == "sub broke"


def test_several_sessions_are_received_and_closed_together(store: FlowStore) -> None:
    def initiator(guest: Guest) -> str:
        sessions = [guest.open(BOB) for _ in range(3)]
        for number, session in enumerate(sessions):
            guest.send(session, number)
        answers = guest.receive(*sessions)
        guest.close(*sessions)
        return json.dumps(answers)

    def responder(guest: Guest) -> str:
        guest.send(guest.session, guest.receive(guest.session) * 2)
        return ""

    network = Network(store, {"test.Initiator": initiator, "test.Responder": responder})
    assert network.run().result == "[0, 2, 4]"
    assert [b.status for b in network.bobs()] == ["COMPLETED"] * 3


def test_closing_with_unread_data_is_an_error_on_both_sides() -> None:
    def initiator(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, 1)
        guest.call("sessions", "info", session=session)
        guest.call("flow", "sleep", millis=1)
        return failing_code(lambda: guest.close(session))

    def responder(guest: Guest) -> str:
        guest.send(guest.session, "unread")
        return failing_code(lambda: guest.receive(guest.session) and guest.receive(guest.session))

    network = Network(MemoryStore(), {"test.Initiator": initiator, "test.Responder": responder})
    network.run()
    network.later(1)
    assert network.alice().result == "session-error"
    assert network.bobs()[0].result == "session-error"


def test_external_messages_leave_on_their_channels_topic() -> None:
    def sends(guest: Guest) -> str:
        guest.call("external-messaging", "send", channel="trades", messageId=None, message="m")
        return ""

    network = alone(sends)
    flow_id = network.run().flow_id
    topic = f"ext.{holding(ALICE).short_hash}.trades.receive"
    target = target_of(NewRecord(topic=topic, key=flow_id, value=b""))
    (record,) = network.store.poll("g", target, 9)
    assert json.loads(record.value) == {"messageId": None, "message": "m"}


def sends_outside(guest: Guest) -> str:
    send = partial(guest.call, "external-messaging", "send", channel="trades", message="m")
    return failing_code(send)


def test_the_topic_of_external_messages_is_configured() -> None:
    config = FlowConfig(external_topic="ext.$CHANNEL_NAME.of.$HOLDING_ID")
    network = alone(sends_outside, config=config)
    flow_id = network.run().flow_id
    topic = f"ext.trades.of.{holding(ALICE).short_hash}"
    assert network.store.poll("g", target_of(NewRecord(topic=topic, key=flow_id, value=b"")), 9)


@pytest.mark.parametrize(
    ("config", "seen"),
    [
        (FlowConfig(external_active=False), "external-route-inactive"),
        (FlowConfig(external_active=False, external_inactive="IGNORE"), "nothing failed"),
    ],
)
def test_an_inactive_route_sends_nothing(config: FlowConfig, seen: str) -> None:
    network = alone(sends_outside, config=config)
    status = network.run()
    topic = f"ext.{holding(ALICE).short_hash}.trades.receive"
    target = target_of(NewRecord(topic=topic, key=status.flow_id, value=b""))
    assert network.store.poll("g", target, 9) == []
    assert status.result == seen


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ConflictError("exists"), "conflict"),
        (CapabilityError("entity-exists", "k"), "entity-exists"),
    ],
)
def test_a_services_refusal_is_the_calls_error(failure: Exception, code: str) -> None:
    network = alone(lambda g: failing_code(lambda: g.call("persistence", "write", op="persist")))
    network.notes.failing = [failure]
    assert network.run().result == code


def test_a_services_storage_that_fails_is_tried_again() -> None:
    network = alone(lambda g: str(g.call("persistence", "write", op="persist")))
    network.notes.failing = [StorageError("disk full")]
    network.run()
    assert network.engine.ready() == []
    assert network.engine.asides.next_due() == network.clock.now_ms() + 1_000
    network.later(1_000)
    assert network.alice().result == "1"


def test_an_event_sink_that_fails_stops_no_flow() -> None:
    def broken(event: object) -> None:
        raise OSError("the log's disk is full")

    assert alone(lambda g: "done", events=broken).run().result == "done"


def test_a_damaged_mapper_state_does_not_stop_the_clean_up() -> None:
    network = alone(lambda g: "done")
    damaged = StateWrite(
        key="session/x", value=b"?", expected=0, due_at=EpochMs(1), place=due_place("session/x")
    )
    network.store.commit(Unit(states=(damaged,)))
    assert network.run().result == "done"
    assert network.store.get("session/x") is None
