"""Flows over a scripted host: every request is what docs/reference/host-api.md says."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, TypeVar

import pytest

from cordapp import guest, registry
from cordapp.contracts import Command, Contract, ContractState, PublicKey, StateRef, belongs_to
from cordapp.failures import failure_of
from cordapp.flows import (
    ClientStartableFlow,
    ContractVerificationError,
    CordaRuntimeError,
    EntityExistsError,
    FlowSession,
    ResponderFlow,
    SessionClosedError,
    SessionError,
    SubFlow,
    entity,
    initiated_by,
    initiating_flow,
)
from cordapp.registry import DeclarationError, name_of
from cordapp.schema import Constraint, dumps

B64 = base64.b64encode(b"data").decode()
SIGNED = {"id": "T", "privacySalt": "", "componentGroups": [], "signatures": []}


@dataclass(frozen=True)
class Ask:
    n: int


class Pay(Command):
    pass


class BillContract(Contract):
    def verify(self, transaction):
        pass


@belongs_to(BillContract)
@dataclass(frozen=True)
class Bill(ContractState):
    participants: list[PublicKey]


@entity(key="id")
@dataclass(frozen=True)
class Note:
    id: int
    text: str


BILL = {
    "type": name_of(Bill),
    "contract": name_of(BillContract),
    "value": {"participants": ["K"]},
    "participants": ["K"],
    "encumbrance": None,
}
RESOLVED = {"stateRef": "A:B:0", "state": BILL}
NOTE = {"id": 7, "text": "x"}


@initiating_flow(protocol="test-double", versions=(1, 2))
class Double(ClientStartableFlow[Ask, Ask]):
    def call(self, request_body: Ask) -> Ask:
        session = self.flow_messaging.initiate_flow("O=Bob, L=L, C=GB")
        answer = session.send_and_receive(Ask, request_body)
        session.close()
        return Ask(answer.n * 2)


@initiated_by(protocol="test-double", versions=[1])
class Answer(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        session.send(session.receive(Ask))


class Text(ClientStartableFlow):
    def call(self, request_body):
        return f"{self.flow_engine.flow_id} {self.flow_engine.virtual_node_name} {request_body}"


@dataclass(frozen=True)
class Inner(SubFlow[int]):
    n: int

    def call(self) -> int:
        if self.n < 0:
            raise ValueError("negative")
        return self.n + len(self.flow_engine.virtual_node_name)


class Bare(ClientStartableFlow[Ask, int]):
    """Without annotations: the class's own types count."""

    def call(self, request_body, answer=None):
        return "text" if request_body.n == 0 else request_body.n


T = TypeVar("T")


class Listing(ClientStartableFlow[list[T], T]):
    def call(self, request_body):
        return request_body[0]


class Dated(Listing[date]):
    pass


class Halved(ClientStartableFlow):
    def call(self, request_body):
        raise ValueError("cut: \ud83d")


class Deep(ClientStartableFlow):
    def call(self, request_body):
        return self.call(request_body + 1) if request_body < 100 else 1 // 0


class Outer(ClientStartableFlow[Ask, int]):
    def call(self, request_body: Ask) -> int:
        return self.flow_engine.sub_flow(Inner(request_body.n))


class Scripted(ClientStartableFlow):
    """Runs what a test puts into `body`."""

    body = None

    def call(self, request_body):
        result = type(self).body(self)
        return repr(result)


class Host:
    """Answers in order and keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    def __call__(self, interface, function, request):
        self.calls.append((interface, function, json.loads(request)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer)


def refused(code, message="no"):
    return guest.HostCallError(json.dumps({"code": code, "message": message}))


def run(flow, host, body=None, session=None):
    start = {
        "flowId": "F",
        "flowClass": flow if isinstance(flow, str) else name_of(flow),
        "me": "ME",
        "requestBody": body,
        "session": session,
    }
    return guest.run(json.dumps(start), host)


def failure(*arguments, **options):
    with pytest.raises(guest.Failed) as failed:
        run(*arguments, **options)
    return json.loads(failed.value.payload)


def sent(n):
    """An `Ask` as messages carry it."""
    return {"$type": name_of(Ask), "n": n}


def test_initiator_and_its_requests():
    host = Host({"session": "s1"}, None, [{"n": 4}], None)
    assert run(Double, host, {"n": 3}) == '{"n":8}'
    opened = {"counterparty": "O=Bob, L=L, C=GB", "requireClose": True, "timeoutMillis": None}
    assert host.calls == [
        ("sessions", "open", opened),
        ("sessions", "send", {"messages": [{"session": "s1", "payload": sent(3)}]}),
        ("sessions", "receive", {"sessions": ["s1"]}),
        ("sessions", "close", {"sessions": ["s1"]}),
    ]


def test_responder_gets_its_session():
    host = Host([{"n": 1}], None)
    session = {"id": "s", "counterparty": "A", "protocol": "test-double", "version": 1}
    assert run(Answer, host, session=session) == ""
    assert [call[1] for call in host.calls] == ["receive", "send"]


def test_untyped_flow_gets_json_and_returns_its_text():
    assert run(Text, Host(), {"a": 1}) == "F ME {'a': 1}"


def test_half_a_character_reaches_the_host_as_an_escape():
    """No text can hold it, but a failure or a log line must not be lost to it."""

    found = failure(Halved, Host())
    assert (found["type"], found["message"]) == ("ValueError", "cut: \ud83d")
    assert dumps({"a": "\ud83d \u00e9"}) == '{"a":"\\ud83d \\u00e9"}'
    assert dumps({"a": "\u00e9"}) == '{"a":"\u00e9"}'


def test_equal_frames_of_a_recursion_are_counted():
    """The first three, which Python prints too; the others would push out what is around them."""
    *others, last = failure(Deep, Host(), 0)["trace"]
    assert [frame.get("repeated") for frame in [*others, last]] == [None, None, 98]
    assert all({**last, "repeated": 98} == {**frame, "repeated": 98} for frame in others)


def test_sub_flow_enters_and_leaves():
    host = Host(None, None)
    assert run(Outer, host, {"n": 1}) == "3"
    enter = {"op": "enter", "flow": name_of(Inner), "protocol": None, "versions": []}
    assert [c[2] for c in host.calls] == [enter, {"op": "leave"}]


def test_failing_sub_flow_tells_the_host_and_the_trace_names_own_files_only():
    host = Host(None, None)
    failed = failure(Outer, host, {"n": -1})
    assert host.calls[-1][2] == {"op": "fail", "message": "negative"}
    assert (failed["type"], failed["message"]) == ("ValueError", "negative")
    assert [f["function"] for f in failed["trace"]] == ["call", "call"]
    assert {f["file"].rpartition("/")[2] for f in failed["trace"]} == {"test_sdk_flows.py"}


def test_wrong_request_names_the_field():
    failed = failure(Double, Host(), {"n": "x"})
    assert failed["message"] == "$.n: expected an integer, found 'x'"
    assert failed["type"] == failed["code"] == "flow-input-invalid"


def test_a_call_without_annotations_has_the_types_of_its_class():
    assert run(Bare, Host(), {"n": 3}) == "3"
    assert failure(Bare, Host(), {"n": "x"})["code"] == "flow-input-invalid"
    assert run(Dated, Host(), ["2024-02-29"]) == '"2024-02-29"'
    assert "expected a date" in failure(Dated, Host(), ["2024-02-30"])["message"]


@pytest.mark.parametrize("result", ["text", 1.5, None, [1], True])
def test_a_result_that_is_not_of_the_declared_type_is_refused(result):
    class Wrong(ClientStartableFlow[int, int]):
        def call(self, request_body: int) -> int:
            return result

    failed = failure(Wrong, Host(), 1)
    assert failed["code"] == "flow-result-invalid"
    assert "test_sdk_flows.py:" in failed["message"]
    assert (
        "Wrong.call: the result is not of the declared type: $: expected an integer"
        in (failed["message"])
    )


def test_a_text_is_a_result_as_it_is_where_a_text_is_declared():
    class Textual(ClientStartableFlow[int, str | int]):
        def call(self, request_body: int) -> str | int:
            return '{"a": 1}' if request_body else 5

    assert run(Textual, Host(), 1) == '{"a": 1}'
    assert run(Textual, Host(), 0) == "5"


def test_wrong_payload_of_the_peer():
    failed = failure(Double, Host({"session": "s"}, None, [{"m": 1}]), {"n": 1})
    assert failed["type"] == "payload-mismatch"
    assert failed["message"] == "Expecting to receive Ask: $.m: Ask has no such field"


@pytest.mark.parametrize("name", ["x.Y", name_of(Inner)])
def test_what_cannot_be_started(name):
    assert failure(name, Host())["type"] == "DeclarationError"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("session-error", SessionError),
        ("session-closed", SessionClosedError),
        ("contract-verification-failed", ContractVerificationError),
        ("entity-exists", EntityExistsError),
        ("anything-else", CordaRuntimeError),
    ],
)
def test_refused_calls_can_be_caught_by_class_and_carry_their_code(code, kind):
    def catch(flow):
        with pytest.raises(kind) as caught:
            flow.clock.now()
        return caught.value.code, caught.value.message

    Scripted.body = catch
    assert run(Scripted, Host(refused(code))) == repr((code, "no"))
    Scripted.body = lambda flow: flow.clock.now()
    assert failure(Scripted, Host(refused(code, "why")))["type"] == code


MEMBER = {
    "name": "N",
    "status": "ACTIVE",
    "ledgerKeys": ["K"],
    "platformVersion": 50200,
    "serial": 1,
    "memberContext": {},
    "mgmContext": {},
    "later": "addition",
}
PARAMETERS = {
    "notaries": [
        {
            "name": "N",
            "protocol": "p",
            "protocolVersions": [1],
            "key": "K",
            "backchainRequired": True,
        }
    ]
}
UUID_BYTES = base64.b64encode(bytes(16)).decode()
CALLS = {
    "now": (
        lambda f: f.clock.now() == datetime(2026, 1, 1, tzinfo=UTC),
        [("flow", "now", {})],
        ["2026-01-01T00:00:00.000000Z"],
    ),
    "random": (lambda f: f.random.bytes(4) == b"data", [("flow", "random", {"bytes": 4})], [B64]),
    "uuid": (
        lambda f: f.random.uuid() == "00000000-0000-4000-8000-000000000000",
        [("flow", "random", {"bytes": 16})],
        [UUID_BYTES],
    ),
    "sleep": (
        lambda f: f.flow_engine.sleep(5) is None,
        [("flow", "sleep", {"millis": 5})],
        [None],
    ),
    "context": (
        lambda f: (
            (
                f.flow_engine.flow_context_properties.put("k", "v"),
                f.flow_engine.flow_context_properties.get("k"),
            )
            == (None, "v")
        ),
        [
            ("flow", "context", {"op": "put", "key": "k", "value": "v"}),
            ("flow", "context", {"op": "get", "key": "k"}),
        ],
        [None, "v"],
    ),
    "log": (
        lambda f: f.log.info("a %s", 1) is None,
        [
            (
                "log",
                "write",
                {"level": "info", "logger": f"{__name__}.Scripted", "message": "a 1"},
            )
        ],
        [None],
    ),
    "persist": (
        lambda f: f.persistence_service.persist(Note(7, "x"), dedup_id="d") is None,
        [
            (
                "persistence",
                "write",
                {
                    "op": "persist",
                    "entities": [{"type": name_of(Note), "key": "7", "value": NOTE}],
                    "dedupId": "d",
                },
            )
        ],
        [[NOTE]],
    ),
    "remove": (
        lambda f: f.persistence_service.remove(Note(7, "x")) is None,
        [
            (
                "persistence",
                "write",
                {
                    "op": "remove",
                    "entities": [{"type": name_of(Note), "key": "7", "value": None}],
                    "dedupId": None,
                },
            )
        ],
        [[None]],
    ),
    "find": (
        lambda f: f.persistence_service.find_many(Note, [7, 8]) == [Note(7, "x"), None],
        [("persistence", "read", {"op": "find", "type": name_of(Note), "keys": ["7", "8"]})],
        [[NOTE, None]],
    ),
    "find-all": (
        lambda f: len(f.persistence_service.find_all(Note)) == 2,
        [
            (
                "persistence",
                "read",
                {"op": "find-all", "type": name_of(Note), "offset": offset, "limit": 500},
            )
            for offset in (0, 1)
        ],
        [{"results": [NOTE], "more": True}, {"results": [NOTE], "more": False}],
    ),
    "sign": (
        lambda f: f.signing_service.sign(b"data", "K") == b"data",
        [("signing", "sign", {"bytes": B64, "key": "K", "spec": "SHA256withECDSA"})],
        [{"by": "id", "bytes": B64}],
    ),
    "find-keys": (
        lambda f: f.signing_service.find_my_signing_keys(["K", "L"]) == ["K"],
        [("signing", "find-keys", {"keys": ["K", "L"]})],
        [["K", None]],
    ),
    "digest": (
        lambda f: f.digest_service.hash(b"data") == "SHA-256:AA",
        [("crypto", "digest", {"algorithm": "SHA-256", "bytes": B64})],
        ["SHA-256:AA"],
    ),
    "verify-signature": (
        lambda f: f.signature_verification_service.verify(b"data", b"data", "K", "S") is True,
        [("crypto", "verify", {"bytes": B64, "signature": B64, "key": "K", "spec": "S"})],
        [True],
    ),
    "members": (
        lambda f: (
            (
                f.member_lookup.my_info().ledger_keys,
                f.member_lookup.lookup("N").platform_version,
                f.member_lookup.lookup_key("K"),
                len(f.member_lookup.all()),
            )
            == (["K"], 50200, None, 2)
        ),
        [
            ("membership", "lookup", {"by": "me"}),
            ("membership", "lookup", {"by": "name", "name": "N"}),
            ("membership", "lookup", {"by": "key", "key": "K"}),
            ("membership", "lookup", {"by": "all"}),
            ("membership", "lookup", {"by": "all", "after": "N"}),
        ],
        [
            MEMBER,
            MEMBER,
            None,
            {"results": [MEMBER], "more": True},
            {"results": [MEMBER], "more": False},
        ],
    ),
    "notaries": (
        lambda f: f.notary_lookup.notary_services()[0].backchain_required,
        [("membership", "lookup", {"by": "group-parameters"})],
        [PARAMETERS],
    ),
    "external": (
        lambda f: f.external_messaging.send("c", "m") is None,
        [("external-messaging", "send", {"channel": "c", "messageId": None, "message": "m"})],
        [None],
    ),
    "build": (
        lambda f: (
            f.ledger_service.create_transaction_builder()
            .set_notary("N")
            .set_time_window(until=datetime(2026, 1, 1, tzinfo=UTC))
            .add_input_states(StateRef("A:B", 0))
            .add_reference_states(StateRef("A:B", 1))
            .add_output_states(Bill(["K"]))
            .add_commands(Pay())
            .add_signatories("K")
            .to_signed_transaction()
            .id
            == "T"
        ),
        [
            (
                "ledger",
                "build",
                {
                    "notary": "N",
                    "timeWindow": {"from": None, "until": "2026-01-01T00:00:00.000000Z"},
                    "inputs": ["A:B:0"],
                    "references": ["A:B:1"],
                    "outputs": [BILL],
                    "commands": [{"type": name_of(Pay), "value": {}}],
                    "signatories": ["K"],
                },
            )
        ],
        [SIGNED],
    ),
    "find-and-record": (
        lambda f: (
            f.ledger_service.record(f.ledger_service.find_signed_transaction("T"))
            == [StateRef("T", 0)]
        ),
        [("ledger", "find", {"id": "T"}), ("ledger", "record", {"transaction": SIGNED})],
        [SIGNED, {"id": "T", "visible": [0]}],
    ),
    "resolve": (
        lambda f: f.ledger_service.resolve(StateRef("A:B", 0))[0].state == Bill(["K"]),
        [("ledger", "find", {"stateRefs": ["A:B:0"]})],
        [[RESOLVED]],
    ),
    "unconsumed": (
        lambda f: f.ledger_service.find_unconsumed_states(Bill)[0].ref == StateRef("A:B", 0),
        [
            (
                "ledger",
                "query",
                {
                    "op": "unconsumed",
                    "type": name_of(Bill),
                    "limit": 500,
                    "createdBefore": None,
                    "after": None,
                },
            )
        ],
        [{"results": [RESOLVED], "next": None}],
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_service_request_and_answer(case):
    body, calls, answers = CALLS[case]
    Scripted.body = body
    host = Host(*answers)
    assert run(Scripted, host) == "True"
    assert host.calls == calls


def test_describe_of_flows():
    described = {f["name"]: f for f in json.loads(describe_only(Double, Answer, Inner, Text))}
    double = described[name_of(Double)]
    assert double["kind"] == "client-startable"
    assert (double["protocol"], double["versions"], double["initiating"]) == (
        "test-double",
        [1, 2],
        True,
    )
    assert double["inputSchema"]["required"] == ["n"]
    assert double["outputSchema"]["title"] == "Ask"
    answer = described[name_of(Answer)]
    assert (answer["kind"], answer["initiating"]) == ("responder", False)
    assert answer["inputSchema"] is None
    assert described[name_of(Inner)]["kind"] == "sub-flow"
    assert described[name_of(Text)]["outputSchema"] is None


@dataclass(frozen=True)
class Limited:
    count: Annotated[int, Constraint(ge=1, lt=10, multiple_of=3)]
    rate: Annotated[Decimal, Constraint(gt=Decimal("0.5"), le=Decimal(9))]
    by: Annotated[date, Constraint(ge=date(2026, 1, 1))]
    notice: Annotated[timedelta, Constraint(le=timedelta(days=2))]
    code: Annotated[str, Constraint(min_length=3, max_length=3, pattern="^[A-Z]+$")]
    parts: Annotated[list[int], Constraint(min_length=1, max_length=4)]
    shares: Annotated[dict[str, int], Constraint(max_length=2)]


class Limiting(ClientStartableFlow[Limited, list[Limited]]):
    def call(self, request_body: Limited) -> list[Limited]:
        return [request_body]


def test_the_description_has_the_constraints_of_a_flows_types():
    """Ranges, lengths and patterns, as JSON Schema and its formats say them."""
    [described] = json.loads(describe_only(Limiting))
    wanted = {
        "count": {"minimum": 1, "exclusiveMaximum": 10, "multipleOf": 3},
        "rate": {"formatExclusiveMinimum": "0.5", "formatMaximum": "9"},
        "by": {"formatMinimum": "2026-01-01"},
        "notice": {"formatMaximum": "P2DT0H0M0.000000S"},
        "code": {"minLength": 3, "maxLength": 3, "pattern": "^[A-Z]+$"},
        "parts": {"minItems": 1, "maxItems": 4},
        "shares": {"maxProperties": 2},
    }
    for schema in (described["inputSchema"], described["outputSchema"]["items"]):
        fields = schema["properties"]
        assert {
            name: {key: fields[name].get(key) for key in kept} for name, kept in wanted.items()
        } == wanted


def test_protocol_and_call_are_inherited():
    class Again(Double):
        pass

    assert registry.FLOWS.pop(name_of(Again)) is Again
    [described] = json.loads(describe_only(Again))
    assert (described["protocol"], described["initiating"]) == ("test-double", True)
    assert described["inputSchema"]["title"] == "Ask"


def test_two_responders_for_one_protocol_are_refused():
    @initiated_by(protocol="test-double")
    class Second(ResponderFlow):
        def call(self, session):
            pass

    with pytest.raises(DeclarationError, match="'test-double' version 1 has two responders"):
        describe_only(Answer, Second)
    del registry.FLOWS[name_of(Second)]


def test_responder_without_protocol_and_wrong_decorators():
    class Lost(ResponderFlow):
        def call(self, session):
            pass

    with pytest.raises(DeclarationError, match="needs @initiated_by"):
        describe_only(Lost)
    with pytest.raises(DeclarationError, match="is a responder: write @initiated_by"):
        initiating_flow(protocol="p")(Lost)
    with pytest.raises(DeclarationError, match="is no ResponderFlow: write @initiating_flow"):
        initiated_by(protocol="p")(Text)
    del registry.FLOWS[name_of(Lost)]


def describe_only(*flows):
    before = dict(registry.FLOWS)
    registry.FLOWS.clear()
    registry.FLOWS.update({name_of(f): f for f in flows})
    try:
        problems, _ = registry.FLOW_SIDE["check"]()
        if problems:
            raise DeclarationError("\n".join(problems))
        return json.dumps(registry.FLOW_SIDE["describe"]())
    finally:
        registry.FLOWS.clear()
        registry.FLOWS.update(before)


@pytest.mark.parametrize("how", ["exception", "exc_info", "instance", "none"])
def test_the_log_takes_exceptions(how):
    def body(flow):
        try:
            int("x")
        except ValueError as exc:
            match how:
                case "exception":
                    flow.log.exception("order %s", 7)
                case "exc_info":
                    flow.log.info("order %s", 7, exc_info=True)
                case "instance":
                    flow.log.info("order %s", 7, exc_info=exc)
        if how == "none":
            flow.log.info("order %s", 7, exc_info=None)

    Scripted.body = body
    host = Host(*[None] * 20)
    run(Scripted, host)
    level = "error" if how == "exception" else "info"
    assert {(call[:2], call[2]["level"]) for call in host.calls} == {(("log", "write"), level)}
    first, *lines = (call[2]["message"] for call in host.calls)
    assert first == "order 7"
    if how != "none":
        assert lines[0] == "Traceback (most recent call last):"
        assert any(line.endswith(", in body") for line in lines)
        assert lines[-1] == "ValueError: invalid literal for int() with base 10: 'x'"
    else:
        assert lines == []


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f600", "\ud83d"])
def test_a_failure_is_cut_so_that_the_host_reads_it(letter):
    def fail(depth: int) -> None:
        try:
            if depth:
                fail(depth - 1)
            int("x")
        except (ValueError, LookupError) as exc:
            for _ in range(30):
                exc.add_note(letter * 10_000)
            raise LookupError(letter * 100_000) from exc

    with pytest.raises(LookupError) as caught:
        fail(40)
    failure = failure_of(caught.value)
    text = dumps(failure)
    assert len(text.encode()) < 128 * 1024
    assert failure["message"].endswith("[cut: 8192 of 100000 characters]")
    assert len(failure["message"]) == 8192
    assert failure["type"] == "LookupError"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda p: p.persist(Ask(1)), "Ask is no entity: write @entity"),
        (lambda p: p.merge({"id": 1}), "builtins.dict is no entity"),
        (lambda p: p.remove(Ask), "builtins.type is no entity"),
        (lambda p: p.find(Ask, 1), "Ask is no entity"),
        (lambda p: p.find_all(Ask(1)), "Ask(n=1) is no class of entities"),
        (lambda p: p.pages(Ask), "Ask is no entity"),
        (lambda p: p.query(Note, "cheap"), "'cheap' is no class of entities"),
    ],
)
def test_what_is_no_entity_is_called_so(act, said):
    Scripted.body = lambda flow: act(flow.persistence_service)
    host = Host()
    failed = failure(Scripted, host)
    assert (failed["code"], host.calls) == ("entity-type-unknown", [])
    assert said in failed["message"]
