"""A network of simulated nodes that all run one CorDapp."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cordapp.contracts import Command, ContractState, state_from_json, state_to_json
from cordapp.registry import name_of
from cordapp.schema import from_json, to_json
from cordapp_testkit.calls import FlowCalls, Level
from cordapp_testkit.engines import Engine
from cordapp_testkit.errors import ContractRefusedError, FlowFailedError, FlowKilled
from cordapp_testkit.keys import NodeKey
from cordapp_testkit.ledger import NodeLedger, content_of
from cordapp_testkit.scheduler import Scheduler
from cordapp_testkit.sessions import End
from cordapp_testkit.storage import EntityStore
from host.domain.group_parameters import group_parameters_json
from host.domain.ids import EpochMs
from host.domain.json import JsonObject
from host.domain.membership import GroupParameters
from host.domain.x500 import MemberX500Name
from host.guests.declarations import entity_declarations
from host.ledger.model import Resolved, State, StateAndRef, StateRef
from host.ports.capability import CapabilityError

T = TypeVar("T")
S = TypeVar("S", bound=ContractState)
GROUP_ID = "00000000-0000-4000-8000-000000000001"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_PARAMETERS = GroupParameters(
    group_id=GROUP_ID,
    epoch=1,
    modified_at=EpochMs(int(_START.timestamp()) * 1000),
    minimum_platform_version=50000,
    notaries=(),
)


@dataclass(slots=True, kw_only=True)
class FlowRecord:
    """What became of one flow. `error` is None unless `status` is FAILED."""

    flow_class: str
    status: str = "RUNNING"
    result: str | None = None
    error: FlowFailedError | None = None


@dataclass(slots=True)
class Node:
    """One member of the network.

    Attributes:
        flows: flows that ran here, in the order of their start.
        log: lines that flows wrote, such as `INFO text`.
        key: the node's ledger key, PEM.
        sent_outside: requests of `external-messaging`.
    """

    network: "Network"
    name: str
    private_key: NodeKey
    ledger: NodeLedger
    entities: EntityStore
    flows: list[FlowRecord] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    sent_outside: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.private_key.public

    def start(self, flow: type | str, request: object = None) -> Any:
        """Run a client-startable flow, and every flow that it causes, to the end.

        Args:
            flow: the class, or its name.
            request: anything that has a JSON form.

        Returns:
            The result as a JSON value; the text itself if it is no JSON.

        Raises:
            FlowFailedError: the flow failed.
        """
        name = flow if isinstance(flow, str) else name_of(flow)
        record, body = self.network.prepare(self, name, to_json(request))
        self.network.scheduler.spawn(body)
        self.network.scheduler.run_all()
        if record.error is not None:
            raise record.error
        try:
            return json.loads(record.result or "null")
        except ValueError:
            return record.result

    def states(self, cls: type[S]) -> list[S]:
        """Unconsumed states of exactly this class that the node can see, oldest first."""
        found = self.ledger.unconsumed(name_of(cls))
        states: list[Any] = [state_from_json(dict(entry.state.to_json())) for entry in found]
        return states

    def stored(self, cls: type[T]) -> list[T]:
        """Entities of a class, ordered by key."""
        return [from_json(cls, value) for value in self.entities.all(name_of(cls))]

    def member_info(self) -> dict[str, Any]:
        """The node as members see it (host-api.md, membership)."""
        return {
            "name": self.name,
            "status": "ACTIVE",
            "ledgerKeys": [self.key],
            "platformVersion": 50200,
            "serial": 1,
            "memberContext": {},
            "mgmContext": {},
        }


class Network:
    """Nodes, the time that they share, and the code that they run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.described = engine.describe()
        self._flow_count = 0
        self._time = _START
        self.scheduler = Scheduler()
        self.nodes: dict[str, Node] = {}

    def node(self, name: str) -> Node:
        """The node of this X.500 name; made at the first call.

        Raises:
            InvalidX500NameError: `name` is no member name.
        """
        name = str(MemberX500Name.parse(name))
        if name not in self.nodes:
            key = NodeKey(name)
            entities = entity_declarations(self.described["entities"], "the CorDapp")
            self.nodes[name] = Node(
                network=self,
                name=name,
                private_key=key,
                ledger=NodeLedger(self._engine, key, self.now),
                entities=EntityStore(name, entities),
            )
        return self.nodes[name]

    def verify(
        self,
        *,
        inputs: Sequence[ContractState] = (),
        outputs: Sequence[ContractState] = (),
        commands: Sequence[Command] = (),
        signatories: Sequence[str] = (),
        references: Sequence[ContractState] = (),
    ) -> None:
        """Verify a transaction by the CorDapp's contracts, without a ledger around it.

        Raises:
            ContractRefusedError: a contract refuses.
            TransactionInvalidError: the transaction's structure breaks a rule of the ledger.
        """
        content = content_of(
            {
                "notary": None,
                "timeWindow": None,
                "signatories": list(signatories),
                "inputs": [str(entry.ref) for entry in _as_resolved(inputs, 1)],
                "references": [str(entry.ref) for entry in _as_resolved(references, 2)],
                "outputs": [state_to_json(state) for state in outputs],
                "commands": [{"type": name_of(type(c)), "value": to_json(c)} for c in commands],
            }
        )
        transaction = Resolved(
            id=f"SHA-256D:{0xC0DE:064X}",
            transaction=content,
            inputs=_as_resolved(inputs, 1),
            references=_as_resolved(references, 2),
        )
        failures = self._engine.verify(json.dumps(transaction.to_json()))
        if failures:
            raise ContractRefusedError(failures)

    def now(self) -> str:
        """The network's instant; it moves when a flow sleeps or a test calls `advance`."""
        return str(to_json(self._time))

    def advance(self, millis: int) -> None:
        """Let time pass."""
        self._time += timedelta(milliseconds=millis)

    def group_parameters(self) -> JsonObject:
        """A group without a notary (host-api.md, membership)."""
        return group_parameters_json(_PARAMETERS)

    def responder_of(self, protocol: str, versions: Sequence[int]) -> tuple[str, int] | None:
        """The responder flow of the highest version that both sides know."""
        found = [
            (version, flow["name"])
            for flow in self.described["flows"]
            if flow["kind"] == "responder" and flow["protocol"] == protocol
            for version in flow["versions"]
            if version in versions
        ]
        return (max(found)[1], max(found)[0]) if found else None

    def prepare_responder(self, flow_class: str, end: End) -> Callable[[], None]:
        """A flow that answers a session's first message."""
        session = {
            "id": end.session,
            "counterparty": end.counterparty,
            "protocol": end.protocol,
            "version": end.version,
        }
        _, body = self.prepare(self.nodes[end.owner], flow_class, None, session=session, end=end)
        return body

    def prepare(
        self,
        node: Node,
        flow_class: str,
        request: object,
        *,
        session: dict[str, Any] | None = None,
        end: End | None = None,
    ) -> tuple[FlowRecord, Callable[[], None]]:
        """A flow's record and the body that runs it to its end."""
        self._flow_count += 1
        flow_id = f"00000000-0000-4000-8000-{self._flow_count:012x}"
        declared = next((f for f in self.described["flows"] if f["name"] == flow_class), None)
        can_open = declared is not None and declared["initiating"]
        level = Level(
            protocol=declared["protocol"] if declared and can_open else None,
            versions=tuple(declared["versions"]) if declared and can_open else (),
            context=dict(end.context) if end else {},
        )
        calls = FlowCalls(node, flow_id, flow_class, level)
        if end is not None:
            calls.sessions.adopt(end)
        record = FlowRecord(flow_class=flow_class)
        node.flows.append(record)
        start = json.dumps(
            {
                "flowId": flow_id,
                "flowClass": flow_class,
                "me": node.name,
                "requestBody": request,
                "session": session,
            }
        )

        def body() -> None:
            self._run(start, calls, record)

        return record, body

    def _run(self, start: str, calls: FlowCalls, record: FlowRecord) -> None:
        try:
            record.result, error = self._engine.run(start, calls)
            if record.result is not None:
                calls.sessions.close_all()
        except FlowKilled as killed:
            record.result, error = None, {"type": killed.code, "message": killed.message}
        except CapabilityError as unclosed:
            record.result, error = None, {"type": "FLOW_FAILED", "message": unclosed.message}
        if record.result is None:
            record.status = "FAILED"
            record.error = FlowFailedError(error["type"], error["message"], error.get("trace"))
            calls.sessions.fail_all(record.error.message)
        else:
            record.status = "COMPLETED"


def _as_resolved(states: Sequence[ContractState], origin: int) -> tuple[StateAndRef, ...]:
    """States as if earlier transactions had made them."""
    return tuple(
        StateAndRef(ref=StateRef(f"SHA-256D:{origin:064X}", index), state=_state(state))
        for index, state in enumerate(states)
    )


def _state(state: ContractState) -> State:
    entry = state_to_json(state)
    return State(
        type=entry["type"],
        contract=entry["contract"],
        value=entry["value"],
        participants=tuple(entry["participants"]),
    )
