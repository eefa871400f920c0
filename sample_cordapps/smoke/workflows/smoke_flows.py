"""One flow for a client, which does what its `command` says: Corda's smoke test as a CorDapp."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import smoke_crypto as crypto
import smoke_entities as entities
from smoke_sessions import (
    CONTEXT_KEY,
    PROTOCOL,
    BrokenProtocol,
    InitiatingSubFlow,
    InlineSubFlow,
    Message,
    close_all,
)

from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    FlowSession,
    SessionError,
    SubFlow,
    initiating_flow,
)
from cordapp.schema import from_json, to_json


@dataclass(frozen=True)
class SmokeRequest:
    command: str
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SmokeResponse:
    command: str
    result: str


@initiating_flow(PROTOCOL)
class RestSmokeTestFlow(ClientStartableFlow[SmokeRequest, SmokeResponse]):
    """Answers `{"command", "result"}` for `{"command", "data"}`."""

    def call(self, request_body: SmokeRequest) -> SmokeResponse:
        command, data = request_body.command, request_body.data
        store = _STORE.get(command)
        act = _ACTS.get(command)
        if store is not None:
            result = store(self.persistence_service, data)
        elif act is not None:
            result = act(self, data)
        else:
            raise ValueError(f"unknown command {command!r}")
        return SmokeResponse(command, result)

    def open(self, names: str) -> dict[str, FlowSession]:
        """A session with each of the names that `;` separates."""
        return {name: self.flow_messaging.initiate_flow(name) for name in names.split(";")}


Smoke = RestSmokeTestFlow
Data = dict[str, str]


def echo(_flow: Smoke, data: Data) -> str:
    return data["echo_value"]


def start_sessions(flow: Smoke, data: Data) -> str:
    sessions = flow.open(data["sessions"])
    answers = []
    for (name, session), text in zip(sessions.items(), data["messages"].split(";"), strict=True):
        answers.append(f"{name}={session.send_and_receive(str, Message('echo', text))}")
    close_all(sessions)
    return "; ".join(answers)


def flow_messaging_apis(flow: Smoke, data: Data) -> str:
    """Send and receive one by one, to all at once, and what the counterparties speak."""
    sessions = flow.open(data["sessions"])
    all_sessions = list(sessions.values())
    flow.flow_messaging.send_all(Message("echo", "all"), all_sessions)
    received = flow.flow_messaging.receive_all(str, all_sessions)
    for session in all_sessions:
        session.send(Message("echo", "1"))
        session.send(Message("echo", "2"))
    for session in all_sessions:
        received += [session.receive(str), session.receive(str)]
    info = all_sessions[0].get_counterparty_flow_info()
    close_all(sessions)
    return f"{'; '.join(received)}; {info.protocol} {info.version}"


def close_sessions(flow: Smoke, data: Data) -> str:
    """A responder that closes: the initiator cannot receive any more, and may close too."""
    (session,) = flow.open(data["sessions"]).values()
    session.send(Message("close"))
    try:
        session.receive(str)
    except SessionError as exc:
        session.close()
        session.close()
        return f"caught {exc.code}"
    return "received"


def throw_error(_flow: Smoke, data: Data) -> str:
    raise ValueError(data["error_message"])


def throw_session_error(flow: Smoke, data: Data) -> str:
    (session,) = flow.open(data["sessions"]).values()
    try:
        return session.send_and_receive(str, Message("fail", data["error_message"]))
    except SessionError as exc:
        return f"caught {exc.code}: {exc.message}"


def throw_platform_error(flow: Smoke, data: Data) -> str:
    """User code can catch what the platform refuses, and go on."""
    try:
        flow.open(data["x500"])
    except CordaRuntimeError as exc:
        return f"caught {exc.code}"
    return "no error"


def unanswered_protocol(flow: Smoke, data: Data) -> str:
    return flow.flow_engine.sub_flow(BrokenProtocol(data["x500"]))


def sub_flow_with_own_session(flow: Smoke, data: Data) -> str:
    return flow.flow_engine.sub_flow(InitiatingSubFlow(data["sessions"], data["messages"]))


def sub_flow_passed_in_initiated_session(flow: Smoke, data: Data) -> str:
    return _sub_flow_with_session(flow, data, initiated=True)


def sub_flow_passed_in_non_initiated_session(flow: Smoke, data: Data) -> str:
    return _sub_flow_with_session(flow, data, initiated=False)


def _sub_flow_with_session(flow: Smoke, data: Data, *, initiated: bool) -> str:
    sessions = flow.open(data["sessions"])
    answers = []
    for (name, session), text in zip(sessions.items(), data["messages"].split(";"), strict=True):
        if initiated:
            session.send_and_receive(str, Message("echo", "first"))
        answers.append(f"{name}={flow.flow_engine.sub_flow(InlineSubFlow(session, text))}")
    close_all(sessions)
    return "; ".join(answers)


def context_propagation(flow: Smoke, data: Data) -> str:
    """What a flow puts reaches its sub-flows and their peers, and what it initiates afterwards."""
    properties = flow.flow_engine.flow_context_properties
    properties.put(CONTEXT_KEY, "value")
    sub_flow = flow.flow_engine.sub_flow(InitiatingSubFlow(data["sessions"], "hello"))
    sessions = flow.open(data["sessions"])
    (session,) = sessions.values()
    peer = session.send_and_receive(str, Message("context"))
    close_all(sessions)
    try:
        properties.put("corda.account", "x")
    except CordaRuntimeError as exc:
        return f"{properties.get(CONTEXT_KEY)}; {sub_flow}; {peer}; {exc.code}"
    return "a reserved key was accepted"


def get_cpi_metadata(flow: Smoke, _data: Data) -> str:
    keys = ("corda.cpiName", "corda.cpiVersion", "corda.cpiSignerSummaryHash", "corda.initiator")
    found = [flow.flow_engine.flow_context_properties.get(key) for key in keys]
    return "; ".join(str(value) for value in found)


def lookup_member_by_x500_name(flow: Smoke, data: Data) -> str:
    member = flow.member_lookup.lookup(data["id"])
    return "not found" if member is None else member.name


@dataclass(frozen=True)
class Price:
    """A value with a form of its own: `1.50 GBP`."""

    amount: Decimal
    currency: str

    def __to_json__(self) -> str:
        return f"{self.amount} {self.currency}"

    @classmethod
    def __from_json__(cls, value: str, _path: str) -> "Price":
        amount, currency = value.split()
        return cls(Decimal(amount), currency)


@dataclass(frozen=True)
class Receipt:
    price: Price
    parts: tuple[tuple[str, int], ...]
    at: datetime
    payer: str | None


def json_serialization(flow: Smoke, _data: Data) -> str:
    """There and back through JSON: custom forms, pairs, instants, nothing."""
    price = Price(Decimal("1.50"), "GBP")
    receipt = Receipt(price, (("a", 1), ("b", 2)), flow.clock.now(), None)
    value = to_json(receipt)
    return f"{value['price']}; {from_json(Receipt, value) == receipt}"


@dataclass(frozen=True)
class OutputFormatting(SubFlow[str]):
    """Corda's calculator formats its output in a sub-flow."""

    value: int

    def call(self) -> str:
        return f'{{"result":{self.value}}}'


def calculate(flow: Smoke, data: Data) -> str:
    return flow.flow_engine.sub_flow(OutputFormatting(int(data["a"]) + int(data["b"])))


_STORE = {
    "persistence_persist": entities.persist,
    "persistence_persist_bulk": entities.persist_bulk,
    "persistence_persist_once": entities.persist_once,
    "persistence_delete": entities.delete,
    "persistence_delete_bulk": entities.delete_bulk,
    "persistence_merge": entities.merge,
    "persistence_merge_bulk": entities.merge_bulk,
    "persistence_find": entities.find,
    "persistence_find_bulk": entities.find_bulk,
    "persistence_findall": entities.find_all,
    "persistence_query": entities.query,
    "persistence_query_named": entities.query_named,
    "persistence_composite_key": entities.cat,
}
_ACTS: dict[str, Callable[[RestSmokeTestFlow, dict[str, str]], str]] = {
    "echo": echo,
    "calculate": calculate,
    "start_sessions": start_sessions,
    "flow_messaging_apis": flow_messaging_apis,
    "close_sessions": close_sessions,
    "throw_error": throw_error,
    "throw_session_error": throw_session_error,
    "throw_platform_error": throw_platform_error,
    "unanswered_protocol": unanswered_protocol,
    "subflow_with_own_session": sub_flow_with_own_session,
    "subflow_passed_in_initiated_session": sub_flow_passed_in_initiated_session,
    "subflow_passed_in_non_initiated_session": sub_flow_passed_in_non_initiated_session,
    "context_propagation": context_propagation,
    "get_cpi_metadata": get_cpi_metadata,
    "lookup_member_by_x500_name": lookup_member_by_x500_name,
    "json_serialization": json_serialization,
    "crypto_sign_and_verify": lambda flow, _: crypto.sign_and_verify(flow),
    "crypto_verify_invalid_signature": lambda flow, _: crypto.verify_invalid_signature(flow),
    "crypto_find_my_signing_keys": lambda flow, _: crypto.find_my_signing_keys(flow),
    "crypto_get_default_signature_spec": crypto.default_signature_spec,
    "crypto_get_compatible_signature_specs": crypto.compatible_signature_specs,
    "crypto_get_default_digest_algorithm": lambda flow, _: crypto.default_digest_algorithm(flow),
    "crypto_get_supported_digest_algorithms": (
        lambda flow, _: crypto.supported_digest_algorithms(flow)
    ),
}


class ReturnAStringFlow(ClientStartableFlow[dict[str, str], str]):
    """A text is the flow's result as it is."""

    def call(self, request_body: dict[str, str]) -> str:
        del request_body
        return "string from my flow"
