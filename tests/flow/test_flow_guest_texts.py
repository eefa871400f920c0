"""Texts of guests, as hostile as a guest can make them: each is the flow's own affair, at once."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.capability_error import CapabilityError
from host.domain.flow import FlowStatusName
from host.domain.guest_text import MESSAGE_BYTES_MAX
from host.flow.core.events import GuestLogged, RecordDeadLettered, RecordRetried
from host.flow.core.messages import EVENT_TOPIC, OUT_TOPIC
from host.ledger.core.signed import unsigned
from host.ports.capability import Capability
from host.ports.guest import GuestCallError
from sandbox.host_api import HOST_API
from tests.flow.network import ALICE, BOB, Network, alone
from tests.flow.scripted import CallFailed, Guest
from tests.services.ledger_support import CONTRACT, IOU
from tests.support.served_capabilities import (
    capabilities_here,
    capabilities_in_a_worker,
    with_entities,
)

pytestmark = pytest.mark.unparked
"""Its flows make their calls in one step, and wait for nothing."""
FUNCTIONS = [(interface, name) for interface, names in HOST_API.items() for name in names]
HALF = "\\ud83d"
SERVED = [(i, f) for i, f in FUNCTIONS if i in ("ledger", "membership", "persistence", "signing")]
"""What worker processes may have for the engine."""
DEEP = '{"a":' * 3000 + "1" + "}" * 3000
LONG = "9" * 5000
BROKEN = (
    DEEP,
    "[" * 3000,
    LONG,
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    '{"a":1,"\\u0061":2}',
    "[" + "1," * 500_001 + "1]",
)
WRONG = [
    None, True, -1, 0, 1.5, 2**63, 10**40, 1e300, -(2**53), "", "\0", "x" * 100_000, "\U0001f600", "\N{REPLACEMENT CHARACTER}",
    [], [None], [[[]]], ["x"] * 1001, {}, {"": ""}, {"a": [1, {"b": None}]}, [2**64], {"amount": 2**70},
]  # fmt: skip


@pytest.fixture
def capabilities(tmp_path: Path) -> Iterator[Sequence[Capability]]:
    with capabilities_here(tmp_path) as made:
        yield made


def attacked(flow: Any, capabilities: Sequence[Capability]) -> Network:
    """A network whose flow has made its calls, each answered at once."""
    network = Network(MemoryStore(), {"test.Initiator": flow}, capabilities=capabilities)
    network.replace(ALICE, granted_capabilities=tuple(HOST_API))
    network.cpi = network.packages.cpi = with_entities(network.cpi)
    network.start()
    network.engine.drain()
    told = [e for e in network.events if isinstance(e, RecordRetried | RecordDeadLettered)]
    assert told == []
    assert network.alice().status is FlowStatusName.COMPLETED, network.alice()
    return network


def answered(guest: Guest, interface: str, function: str, text: str) -> str:
    """`ok`, or the code of the refusal, of a call with this text."""
    try:
        guest._host(interface, function, text)  # a text that is no request
    except GuestCallError as refused:
        error = json.loads(refused.payload)
        assert len(error["message"].encode()) <= MESSAGE_BYTES_MAX
        return str(error["code"])
    return "ok"


def requests_of(interface: str, function: str) -> list[dict[str, Any]]:
    """Requests that are right but for what the node holds."""
    builder = {
        "notary": None, "timeWindow": None, "inputs": [], "references": [], "signatories": ["PEM"],
        "outputs": [{"type": IOU, "contract": CONTRACT, "value": {"amount": 1}, "participants": ["PEM"], "encumbrance": None}],
        "commands": [{"type": "c", "value": {}}],
    }  # fmt: skip
    signed = {
        "id": "SHA-256D:" + "00" * 32, "privacySalt": "AA" * 16 * 3, "componentGroups": [["{}"]] * 10,
        "signatures": [{"by": "1", "key": "PEM", "signature": "AAAA", "metadata": {
            "timestamp": "2026-01-01T00:00:00Z", "signatureSpec": "SHA256withECDSA", "properties": {"a": "b"}}}],
    }  # fmt: skip
    read = {"type": "Note", "offset": 0, "limit": 1}
    return {
        ("log", "write"): [{"level": "info", "logger": "x", "message": "m"}],
        ("flow", "now"): [{}],
        ("flow", "random"): [{"bytes": 1}],
        ("flow", "sleep"): [{"millis": 0}],
        ("flow", "context"): [{"op": "put", "key": "k", "value": "v"}, {"op": "get", "key": "k"}],
        ("flow", "sub-flow"): [{"op": "enter", "flow": "f", "protocol": "p", "versions": [1]},
                               {"op": "fail", "message": "m"}, {"op": "leave"}],
        ("sessions", "open"): [{"counterparty": BOB, "requireClose": True, "timeoutMillis": 1000}],
        ("sessions", "send"): [{"messages": [{"session": "s", "payload": {"a": 1}}]}],
        ("sessions", "receive"): [{"sessions": ["s"]}],
        ("sessions", "info"): [{"session": "s"}],
        ("sessions", "close"): [{"sessions": ["s"]}],
        ("persistence", "write"): [{"op": "merge", "entities": [
            {"type": "Note", "key": "k", "value": {"amount": 1, "text": "t"}}], "dedupId": "d"}],
        ("persistence", "read"): [{"op": "find", "type": "Note", "keys": ["k", 1, ["a", 2]]},
                                  {"op": "find-all", **read},
                                  {"op": "query", "query": "like", "parameters": {"p": "%"}, **read}],
        ("signing", "sign"): [{"bytes": "AAAA", "key": "PEM", "spec": "SHA256withECDSA"}],
        ("signing", "find-keys"): [{"keys": ["PEM"]}],
        ("crypto", "digest"): [{"algorithm": "SHA-256", "bytes": "AAAA"}],
        ("crypto", "verify"): [{"bytes": "AAAA", "signature": "AAAA", "key": "PEM", "spec": "SHA256withECDSA"}],
        ("membership", "lookup"): [{"by": "name", "name": BOB}, {"by": "key", "key": "PEM"}],
        ("ledger", "build"): [builder],
        ("ledger", "verify"): [{"transaction": signed, "sign": True}],
        ("ledger", "record"): [{"transaction": signed}],
        ("ledger", "find"): [{"id": "SHA-256D:" + "00" * 32}, {"stateRefs": ["SHA-256D:" + "00" * 32 + ":0"]}],
        ("ledger", "query"): [{"op": "unconsumed", "type": IOU, "limit": 1, "after": None, "createdBefore": None}],
        ("external-messaging", "send"): [{"channel": "c", "messageId": "m", "message": "{}"}],
    }[interface, function]  # fmt: skip


def places(value: Any) -> Iterator[Any]:
    """`value` with each part of it, in turn, replaced by the mark `@`."""
    yield "@"
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: put} for put in places(inner))
        yield {**value, "@": 1}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from ([*value[:index], put, *value[index + 1 :]] for put in places(inner))


def test_the_table_has_every_host_function() -> None:
    assert len(FUNCTIONS) == 24
    assert all(requests_of(*name) for name in FUNCTIONS)


@pytest.mark.parametrize(("interface", "function"), FUNCTIONS)
def test_a_text_that_breaks_a_rule_is_refused_wherever_it_stands(
    interface: str, function: str, capabilities: Sequence[Capability]
) -> None:
    broken = list(BROKEN)
    if interface != "log":  # where half a character is mended
        broken.append(f'"{HALF}"')

    def flow(guest: Guest) -> str:
        codes = {answered(guest, interface, function, text) for text in broken}
        for request in requests_of(interface, function):
            for place in places(request):
                marked = json.dumps(place)
                for text in broken[:8] + broken[9:]:
                    codes.add(answered(guest, interface, function, marked.replace('"@"', text, 1)))
        return ",".join(sorted(codes))

    assert attacked(flow, capabilities).alice().result == "request-invalid"


@pytest.mark.parametrize(("interface", "function"), FUNCTIONS)
def test_a_value_of_a_wrong_type_or_size_is_answered_with_a_code(
    interface: str, function: str, capabilities: Sequence[Capability]
) -> None:
    def flow(guest: Guest) -> str:
        codes = set()
        for request in requests_of(interface, function):
            codes.add(answered(guest, interface, function, json.dumps(request)))
            for place in places(request):
                marked = json.dumps(place)
                for value in WRONG:
                    text = marked.replace('"@"', json.dumps(value), 1)
                    codes.add(answered(guest, interface, function, text))
        return ",".join(sorted(codes))

    codes = (attacked(flow, capabilities).alice().result or "").split(",")
    assert "request-invalid" in codes
    assert all(codes)


def texts_of(interface: str, function: str) -> Iterator[str]:
    """Requests of one function with every value in every place, and some that break a rule."""
    for request in requests_of(interface, function):
        yield json.dumps(request)
        for place in places(request):
            marked = json.dumps(place)
            yield from (marked.replace('"@"', json.dumps(value), 1) for value in WRONG)
            yield from (marked.replace('"@"', text, 1) for text in (DEEP, "1e999", f'"{HALF}"'))


def test_a_worker_process_in_between_answers_every_text_alike(tmp_path: Path) -> None:
    def codes(made: Callable[[Path], Any], folder: Path) -> Any:
        def flow(guest: Guest) -> str:
            found = [
                [f"{name}.{function}", text[:200], answered(guest, name, function, text)]
                for name, function in SERVED
                for text in texts_of(name, function)
            ]
            return json.dumps(found)

        folder.mkdir()
        with made(folder) as capabilities:
            return json.loads(attacked(flow, capabilities).alice().result or "")

    here, there = (
        codes(capabilities_here, tmp_path / "here"),
        codes(capabilities_in_a_worker, tmp_path / "worker"),
    )
    assert len(here) > 1000
    assert [pair for pair in zip(here, there, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("leaf", [DEEP, LONG, "1e999", "NaN", '{"a":1,"a":2}', f'"{HALF}"'])
def test_json_within_json_is_checked(leaf: str, capabilities: Sequence[Capability]) -> None:
    salt = bytes(48)
    claimed = unsigned(salt, ((leaf,), *[()] * 9)).to_json()

    def flow(guest: Guest) -> str:
        return ",".join(
            answered(guest, "ledger", name, json.dumps({"transaction": claimed, **more}))
            for name, more in (("record", {}), ("verify", {"sign": True}))
        )

    assert attacked(flow, capabilities).alice().result == "transaction-invalid,transaction-invalid"


class Failing:
    """A capability in which a guest's value makes something raise."""

    name = "persistence"

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def call(self, context: Any, function: str, request: Any) -> Any:
        raise self.failure.with_traceback(None)


@pytest.mark.parametrize(
    "failure",
    [RecursionError(), OverflowError(), KeyError("x"), TypeError(), UnicodeEncodeError("utf-8", "\ud83d", 0, 1, ""), ValueError()],
)  # fmt: skip
def test_what_a_value_makes_raise_in_a_service_is_the_flows(failure: Exception) -> None:
    network = attacked(lambda g: answered(g, "persistence", "read", "{}"), [Failing(failure)])
    assert network.alice().result == "request-invalid"


def test_an_answer_that_no_text_can_hold_is_the_flows() -> None:
    class Odd:
        name = "persistence"

        def call(self, context: Any, function: str, request: Any) -> Any:
            return {"a": "\ud83d"}

    network = attacked(lambda g: answered(g, "persistence", "read", "{}"), [Odd()])
    assert network.alice().result == "answer-invalid"


def test_half_a_character_in_a_log_line_is_mended() -> None:
    text = f'{{"level":"info","logger":"x","message":"a{HALF}b"}}'
    network = attacked(lambda g: answered(g, "log", "write", text), [])
    assert network.alice().result == "ok"
    (line,) = [e for e in network.events if isinstance(e, GuestLogged)]
    assert line.message == "a\N{REPLACEMENT CHARACTER}b"


def conversation(send: Any) -> Network:
    """Alice sends to Bob, who fails or not; each drained at once."""

    def alice(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, "hello")
        try:
            return json.dumps(guest.receive(session))
        except CallFailed as failed:
            return f"{failed.code}: {failed}"

    network = Network(MemoryStore(), {"test.Initiator": alice, "test.Responder": send})
    network.run()
    assert [e for e in network.events if isinstance(e, RecordRetried)] == []
    return network


def failing(message: str) -> Any:
    def flow(guest: Guest) -> str:
        raise ValueError(message)

    return flow


def test_half_a_character_in_a_failure_is_replaced() -> None:
    network = alone(failing("half \ud83d of it"))
    status = network.run()
    assert status.status is FlowStatusName.FAILED
    assert status.error is not None
    assert status.error.message == "half \N{REPLACEMENT CHARACTER} of it"
    assert [e for e in network.events if isinstance(e, RecordRetried)] == []


def test_half_a_character_in_a_responders_failure_reaches_its_peer() -> None:
    result = conversation(failing("half \ud83d of it")).alice().result
    assert result == "session-error: half \N{REPLACEMENT CHARACTER} of it"


def test_a_failure_of_megabytes_is_cut_where_it_is_made() -> None:
    network = conversation(failing("m" * 3_000_000))
    result = network.alice().result or ""
    assert result.endswith("[cut: 8192 of 3000000 bytes]")
    (bob,) = network.bobs()
    assert bob.error is not None
    assert len(bob.error.message.encode()) == MESSAGE_BYTES_MAX


def test_a_sub_flow_that_fails_sends_its_message_cut_to_every_session() -> None:
    """One text of megabytes must not be sent, kept and stored as many times as there are peers."""
    sessions = 20

    def alice(guest: Guest) -> str:
        guest.call("flow", "sub-flow", op="enter", flow="x", protocol="p", versions=[1])
        opened = [guest.open(BOB) for _ in range(sessions)]
        for session in opened:
            guest.send(session, 1)
        guest.call("flow", "sub-flow", op="fail", message="x" * 3_900_000)
        return "done"

    store = MemoryStore()
    sizes: list[int] = []
    commit = store.commit

    def counted(unit: Any) -> Any:
        sizes.extend(
            len(record.value) for record in unit.records if record.topic in (OUT_TOPIC, EVENT_TOPIC)
        )
        return commit(unit)

    store.commit = counted  # type: ignore[method-assign]
    network = Network(
        store, {"test.Initiator": alice, "test.Responder": lambda g: str(g.receive(g.session))}
    )
    assert network.run().result == "done"
    assert len(sizes) >= sessions
    assert max(sizes) < 2 * MESSAGE_BYTES_MAX


def test_a_refusal_repeats_no_text_without_end() -> None:
    assert len(CapabilityError("code", "x" * 10_000_000).message) == MESSAGE_BYTES_MAX
