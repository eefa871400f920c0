"""Flows: what a client starts, what answers a peer, and the parts that they share."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar, Generic, TypeVar

from cordapp import (
    consensual_ledger,
    flow_checks,
    ledger,
    message_checks,
    notary,
    persistence,
    services,
    tokens,
)
from cordapp.call_types import call_types
from cordapp.errors import (
    ContractVerificationError,
    CordaRuntimeError,
    EntityExistsError,
    HostApi,
    SessionClosedError,
    SessionError,
)
from cordapp.failures import message_of
from cordapp.ledger import UtxoSignedTransaction
from cordapp.persistence import (
    add_field,
    drop_field,
    entity,
    entity_field,
    migration,
    named_query,
    parameter,
    rename_field,
)
from cordapp.places import file_of
from cordapp.registry import (
    FLOW_SIDE,
    FLOWS,
    DeclarationError,
    Host,
    code_of,
    name_of,
    register,
)
from cordapp.schema import (
    CodecError,
    dumps,
    form_of,
    plain_json,
    schema_of,
    to_json,
)
from cordapp.services import MemberInfo, NotaryInfo
from cordapp.sessions import FlowMessaging, FlowSession

__all__ = [
    "ClientStartableFlow",
    "ContractVerificationError",
    "CordaRuntimeError",
    "EntityExistsError",
    "Flow",
    "FlowSession",
    "MemberInfo",
    "NotaryInfo",
    "ResponderFlow",
    "SessionClosedError",
    "SessionError",
    "SubFlow",
    "UtxoSignedTransaction",
    "add_field",
    "drop_field",
    "entity",
    "entity_field",
    "initiated_by",
    "initiating_flow",
    "migration",
    "named_query",
    "parameter",
    "rename_field",
]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # input
O = TypeVar("O")  # noqa: E741  # output
FlowT = TypeVar("FlowT", bound="type[Flow]")


class FlowContextProperties(services.Service):
    """Texts that travel to sub-flows and to the flows that this flow initiates."""

    def get(self, key: str) -> str | None:
        """The value of `key`, or None."""
        value: str | None = self._call("flow", "context", {"op": "get", "key": key})
        return value

    def put(self, key: str, value: str) -> None:
        """Set `key`; keys that start with `corda.` are the platform's."""
        self._call("flow", "context", {"op": "put", "key": key, "value": value})


class FlowEngine(services.Service):
    """Facts about the running flow, and its sub-flows."""

    def __init__(self, api: HostApi, start: Mapping[str, Any]) -> None:
        super().__init__(api)
        self._start = start
        self.flow_id: str = start["flowId"]
        self.virtual_node_name: str = start["me"]
        self.flow_context_properties = FlowContextProperties(api)

    def sub_flow(self, flow: "SubFlow[T]") -> T:
        """Run a sub-flow and answer its result; sessions that an initiating one opened end."""
        cls = type(flow)
        request = {"flow": name_of(cls), "protocol": cls.__protocol__, "versions": cls.__versions__}
        self._call("flow", "sub-flow", {"op": "enter", **request})
        _bind(flow, self._api, self._start)
        try:
            result = flow.call()
        except Exception as exc:
            failure = {"op": "fail", "message": message_of(exc), **code_of(exc)}
            self._call("flow", "sub-flow", failure)
            raise
        self._call("flow", "sub-flow", {"op": "leave"})
        return result

    def sleep(self, millis: int) -> None:
        """Let time pass, at most 900000 ms at once; the flow takes no memory meanwhile.

        It may last 50 ms longer. 0 is over at once, without a checkpoint.
        """
        self._call("flow", "sleep", {"millis": millis})


class Flow:
    """What all flows have: the platform's services, set before `call`."""

    flow_engine: FlowEngine
    flow_messaging: FlowMessaging
    ledger_service: ledger.UtxoLedgerService
    consensual_ledger_service: consensual_ledger.ConsensualLedgerService
    token_selection: tokens.TokenSelection
    persistence_service: persistence.PersistenceService
    signing_service: services.SigningService
    digest_service: services.DigestService
    signature_spec_service: services.SignatureSpecService
    signature_verification_service: services.SignatureVerificationService
    member_lookup: services.MemberLookup
    notary_lookup: services.NotaryLookup
    notary_service: notary.NotaryService
    external_messaging: services.ExternalMessaging
    clock: services.Clock
    random: services.Random
    log: services.Log

    __kind__: ClassVar[str] = ""
    __protocol__: ClassVar[str | None] = None
    __versions__: ClassVar[tuple[int, ...]] = ()
    __initiating__: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if hasattr(cls, "call") and getattr(cls.call, "__module__", None) != __name__:
            register(FLOWS, cls)


class ClientStartableFlow(Flow, Generic[I, O]):
    """Started by a client. The annotations of `call` give the schemas of request and result.

    Where an annotation is missing, the class's types count: `ClientStartableFlow[Request, int]`.
    """

    __kind__ = "client-startable"

    def call(self, request_body: I, /) -> O:
        """Do the work. A text is the flow's result as it is; anything else becomes JSON.

        A result that is not of the declared type ends the flow with `flow-result-invalid`.
        """
        raise NotImplementedError


class ResponderFlow(Flow):
    """Started by a peer's first message; `@initiated_by` names the protocol."""

    __kind__ = "responder"

    def call(self, session: FlowSession, /) -> None:
        """Answer the peer."""
        raise NotImplementedError


class SubFlow(Flow, Generic[T]):
    """A part of other flows, run by `flow_engine.sub_flow`."""

    __kind__ = "sub-flow"

    def call(self) -> T:
        """Do the part's work."""
        raise NotImplementedError


def initiating_flow(protocol: str, versions: Sequence[int] = (1,)) -> Callable[[FlowT], FlowT]:
    """Class decorator: the flow may open sessions, which speak `protocol`.

    >>> @initiating_flow("ping")
    ... class Ping(ClientStartableFlow[str, str]):
    ...     def call(self, counterparty: str) -> str:
    ...         return self.flow_messaging.initiate_flow(counterparty).send_and_receive(str, "ping")
    >>> Ping.__protocol__, Ping.__versions__
    ('ping', (1,))
    """
    return _mark(protocol, versions, initiating=True)


def initiated_by(protocol: str, versions: Sequence[int] = (1,)) -> Callable[[FlowT], FlowT]:
    """Class decorator: the responder flow answers sessions of `protocol`."""
    return _mark(protocol, versions, initiating=False)


def _mark(protocol: str, versions: Sequence[int], *, initiating: bool) -> Callable[[FlowT], FlowT]:
    role = "initiating_flow" if initiating else "initiated_by"
    written: Any = protocol
    if isinstance(written, type):
        raise DeclarationError(f'{name_of(written)}: write @{role}("the-protocol") above')
    if not written or not isinstance(written, str):
        raise DeclarationError(f"@{role}: a protocol is a text, not {written!r}")
    if not isinstance(versions, Sequence):
        raise DeclarationError(f"@{role}: versions is a sequence such as (1,), not {versions!r}")

    def mark(cls: FlowT) -> FlowT:
        if issubclass(cls, ResponderFlow) is initiating:
            other = "initiated_by" if initiating else "initiating_flow"
            what = "a responder" if initiating else "no ResponderFlow"
            raise DeclarationError(f"{name_of(cls)} is {what}: write @{other}, not @{role}")
        cls.__protocol__, cls.__versions__ = protocol, tuple(versions)
        cls.__initiating__ = initiating
        return cls

    return mark


def _bind(flow: Flow, api: HostApi, start: Mapping[str, Any]) -> None:
    parts = {
        "flow_engine": FlowEngine(api, start),
        "flow_messaging": FlowMessaging(api),
        "ledger_service": ledger.UtxoLedgerService(api),
        "consensual_ledger_service": consensual_ledger.ConsensualLedgerService(api),
        "token_selection": tokens.TokenSelection(api),
        "persistence_service": persistence.PersistenceService(api),
        "signing_service": services.SigningService(api),
        "digest_service": services.DigestService(api),
        "signature_spec_service": services.SignatureSpecService(api),
        "signature_verification_service": services.SignatureVerificationService(api),
        "member_lookup": services.MemberLookup(api),
        "notary_lookup": services.NotaryLookup(api),
        "notary_service": notary.NotaryService(api),
        "external_messaging": services.ExternalMessaging(api),
        "clock": services.Clock(api),
        "random": services.Random(api),
        "log": services.Log(api, name_of(type(flow))),
    }
    for name, part in parts.items():
        object.__setattr__(flow, name, part)  # a sub-flow may be a frozen dataclass


def _describe_flows() -> list[dict[str, Any]]:
    return [_describe_flow(name, cls) for name, cls in sorted(FLOWS.items())]


def _describe_flow(name: str, cls: type[Any]) -> dict[str, Any]:
    typed = cls.__kind__ == "client-startable"
    taken, given, _ = call_types(cls) if typed else (Any, Any, ())
    return {
        "name": name,
        "kind": cls.__kind__,
        "protocol": cls.__protocol__,
        "versions": list(cls.__versions__),
        "initiating": cls.__initiating__,
        "inputSchema": None if taken is Any else schema_of(taken),
        "outputSchema": None if given is Any else schema_of(given),
    }


def _check_flows() -> tuple[list[str], list[str]]:
    """Mistakes and warnings, a line each."""
    modules = sorted({cls.__module__ for cls in FLOWS.values()})
    messages = message_checks.message_findings(modules)
    problems = [*flow_checks.flow_problems(Flow), *flow_checks.entity_problems()]
    problems += messages.problems
    return problems, [] if problems else [*flow_checks.flow_warnings(), *messages.warnings]


def _run_flow(start: Mapping[str, Any], host: Host) -> str:
    cls = FLOWS.get(start["flowClass"])
    if cls is None or cls.__kind__ == "sub-flow":
        raise DeclarationError(f"{start['flowClass']!r} is no flow that can be started")
    api = HostApi(host)
    flow = cls()
    _bind(flow, api, start)
    if cls.__kind__ == "responder":
        session = start["session"]
        flow.call(FlowSession(api, session["id"], session["counterparty"]))
        return ""
    taken, given, _ = call_types(cls)
    try:
        request = form_of(taken).decode(start["requestBody"], "$")
    except CodecError as exc:
        raise CordaRuntimeError("flow-input-invalid", str(exc)) from exc
    return _result(flow.call(request), given, cls)


def _result(result: object, given: Any, cls: type[Any]) -> str:
    """A flow's result as text: a text as it is, anything else as JSON."""
    try:
        value = plain_json(result) if given is Any else to_json(result, given)
    except CodecError as exc:
        call = inspect.unwrap(cls.call)
        place = f"{file_of(call.__module__)}:{call.__code__.co_firstlineno}"
        name = f"{cls.__qualname__}.call"
        message = f"{place}: {name}: the result is not of the declared type: {exc}"
        raise CordaRuntimeError("flow-result-invalid", message) from exc
    return result if isinstance(result, str) and not isinstance(result, Enum) else dumps(value)


FLOW_SIDE["check"] = _check_flows
FLOW_SIDE["describe"] = _describe_flows
FLOW_SIDE["run"] = _run_flow
