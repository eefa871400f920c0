"""One member of a network."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from cordapp.call_types import call_types
from cordapp.contracts import ContractState, PublicKey, state_from_json
from cordapp.registry import name_of
from cordapp.schema import CodecError, SchemaError, form_of, from_json, plain_json
from host.domain.errors import HostError, NotFoundError
from host.domain.flow import FlowStatusName
from host.domain.ids import FlowId, HoldingIdentity
from host.domain.json import JsonObject, JsonValue
from host.domain.membership import MemberInfo
from host.domain.vnode import VirtualNode
from host.flow.records.history_export import Recording
from host.ledger.recorded import RecordedTransactions
from host.ports.bus import Record
from host.ports.capability import CallContext
from host.rest.json_body import JsonInvalidError, json_or_text
from host.settings.sections import CORDA_EXTERNAL_MESSAGING
from host.tools.testkit.arguments import class_given
from host.tools.testkit.errors import FlowFailedError, FlowRefusedError
from host.tools.testkit.flows import FlowRecord

if TYPE_CHECKING:
    from host.tools.testkit.network import Network

T = TypeVar("T")
S = TypeVar("S", bound=ContractState)
_PAGE = 500
_RECORDS_MAX = 1_000_000


class Node:
    """A virtual node; made by `Network.node`.

    Attributes:
        log: lines that flows wrote, such as `INFO text`.
    """

    def __init__(self, network: "Network", holding: HoldingIdentity) -> None:
        self._network = network
        self.holding = holding
        self.log: list[str] = []
        self._requests = 0

    @property
    def name(self) -> str:
        """The X.500 name."""
        return str(self.holding.x500_name)

    @property
    def key(self) -> PublicKey:
        """The node's ledger key, PEM."""
        return PublicKey(self._info.ledger_keys[0])

    @property
    def flows(self) -> list[FlowRecord]:
        """Flows that ran here, in the order of their start."""
        return self._network.flows.of_node(self.holding.short_hash)

    @property
    def sent_outside(self) -> list[dict[str, Any]]:
        """Messages of `external-messaging`, the oldest first: channel, messageId, message."""
        found: list[tuple[Record, str]] = []
        store = self._network.parts.store
        for topic in store.topics("ext."):
            channel = self._channel(topic)
            if channel is not None:
                found += [(record, channel) for record in store.newest(topic, _RECORDS_MAX)]
        found.sort(key=lambda each: each[0].place)
        return [{"channel": channel, **json.loads(record.value)} for record, channel in found]

    def start(self, flow: type | str, request: object = None) -> Any:
        """Run a client-startable flow, and every flow that it causes, to the end.

        Flows that `begin` started earlier go on as far as they can until then.

        Args:
            flow: the class, or its name.
            request: anything that has a JSON form. As in REST, a text is taken for the JSON that
                it spells, if it spells any.

        Returns:
            The text itself of a flow whose result is declared as a text; else the result as a
            JSON value, or the text if it is no JSON.

        Raises:
            FlowFailedError: the flow failed.
            FlowRefusedError: the host does not start it.
        """
        __tracebackhide__ = True
        earlier = self._network.flows.begun_count
        begun = self.begin(flow, request)
        self._network.run(since=earlier)
        record = self.flow(begun)
        if record.error is not None:
            raise record.error
        if record.status != FlowStatusName.COMPLETED:
            raise FlowFailedError(
                "flow-not-ended",
                f"the flow is {record.status}, and nothing is due that ends it",
                code="flow-not-ended",
            )
        return self._result(record)

    def begin(self, flow: type | str, request: object = None) -> str:
        """Start a flow, and let happen what can at this instant; answers its client request id.

        Raises:
            FlowRefusedError: the host does not start it.
        """
        __tracebackhide__ = True
        name = flow if isinstance(flow, str) else name_of(class_given(flow, "start", "Issue"))
        self._requests += 1
        request_id = f"test-{self._requests}"
        try:
            self._network.flows.service.start(
                self._vnode,
                self._network.parts.catalogue.cpi,
                request_id,
                name,
                _body(flow, request),
            )
        except HostError as refused:
            raise FlowRefusedError(refused.code, refused.message, code=refused.code) from None
        self._network.drain()
        return request_id

    def flow(self, request_id: str) -> FlowRecord:
        """A flow as it stands now, by client request id; a responder by its session id.

        Raises:
            LookupError: no such flow.
        """
        return self._network.flows.find(self.holding.short_hash, request_id)

    def recording(self, request_id: str) -> Recording:
        """The flow's history with its journal, as `cordbox flow export` writes it."""
        return self._network.flows.recording(self.holding.short_hash, request_id)

    def states(self, cls: type[S]) -> list[S]:
        """Unconsumed states of exactly this class that the node can see, oldest first."""
        __tracebackhide__ = True
        wanted = name_of(class_given(cls, "states", "Iou"))
        query: JsonObject = {"op": "unconsumed", "type": wanted}
        states: list[Any] = [
            state_from_json(dict(entry["state"])) for entry in self._unconsumed(query)
        ]
        return states

    def stored(self, cls: type[T]) -> list[T]:
        """Entities of a class, ordered by key."""
        __tracebackhide__ = True
        wanted = name_of(class_given(cls, "stored", "CreditLimit"))
        query: JsonObject = {"op": "find-all", "type": wanted}
        return [from_json(cls, value) for value in self._pages(query)]

    def transaction(self, transaction_id: str) -> dict[str, Any] | None:
        """A transaction that the node has recorded, as contracts see it; None if there is none.

        The form is that of `cordbox ledger export`: `contract verify` and `contract fuzz` read it.
        """
        recorded = RecordedTransactions(self._network.parts.vaults)
        try:
            found = recorded.find(self.holding.short_hash, transaction_id)
        except NotFoundError:
            return None
        return dict(found.resolved.to_json())

    def signed_transaction(self, transaction_id: str) -> dict[str, Any] | None:
        """The same with its component groups and signatures; None if there is none."""
        found: dict[str, Any] | None = self._call("ledger", "find", {"id": transaction_id})
        return found

    def member_info(self) -> dict[str, Any]:
        """The node as members see it (host-api.md, membership)."""
        info: dict[str, Any] = self._call("membership", "lookup", {"by": "me"})
        return info

    def accept_every_transaction(self) -> None:
        """Have this node's host ask no contract any more, as a tampered one would.

        Tests that counterparties do not rely on it.
        """
        self._network.parts.believers.add(self.holding.short_hash)

    @property
    def _vnode(self) -> VirtualNode:
        found = self._network.parts.nodes.find(self.holding)
        if found is None:
            raise LookupError(f"{self.name} has no virtual node")
        return found

    @property
    def _info(self) -> MemberInfo:
        found = self._network.parts.members.lookup(self.holding, self.holding.x500_name)
        if found is None:
            raise LookupError(f"{self.name} is no member")
        return found

    def _result(self, record: FlowRecord) -> Any:
        text = record.result
        if text is None:
            return None
        declared: Mapping[str, Any] = next(
            f for f in self._network.described["flows"] if f["name"] == record.flow_class
        )
        schema = declared["outputSchema"]
        if isinstance(schema, dict) and schema.get("type") == "string":
            return text
        try:
            return json_or_text(text) if text else None
        except JsonInvalidError:  # a key stands twice: a text, as in REST
            return text

    def _unconsumed(self, query: JsonObject) -> list[Any]:
        """The states of all pages of a query of the ledger."""
        results, after = list[Any](), None
        while True:
            page = self._call("ledger", "query", {**query, "after": after, "limit": _PAGE})
            results += page["results"]
            after = page["next"]
            if after is None:
                return results

    def _pages(self, query: JsonObject) -> list[Any]:
        """The values of all pages of a query of entities."""
        results = list[Any]()
        while True:
            page = self._call(
                "persistence", "read", {**query, "offset": len(results), "limit": _PAGE}
            )
            results += page["results"]
            if not page["more"]:
                return results

    def _call(self, interface: str, function: str, request: JsonObject) -> Any:
        """Ask a capability on behalf of the node, outside of any flow."""
        parts = self._network.parts
        capability = next(c for c in parts.capabilities if c.name == interface)
        context = CallContext(
            holding=self.holding,
            cpi=parts.catalogue.cpi,
            flow_id=FlowId("test"),
            request_id="test",
            now=parts.base.clock.now_ms(),
        )
        return capability.call(context, function, request)

    def _channel(self, topic: str) -> str | None:
        """The channel of a topic of this node's."""
        external = self._network.parts.config.section(CORDA_EXTERNAL_MESSAGING)
        pattern = external.get().receive_topic_pattern
        own = re.escape(pattern).replace(r"\$HOLDING_ID", self.holding.short_hash)
        found = re.fullmatch(own.replace(r"\$CHANNEL_NAME", "(?P<channel>.+)"), topic)
        return None if found is None else found.groupdict().get("channel", "")


def _body(flow: type | str, request: object) -> JsonValue:
    """A request as a client writes it: of the type that `call` names, or a JSON value already.

    A text is read as REST reads a body in a string.
    """
    if type(request) is str:
        return json_or_text(request)
    try:
        taken = call_types(flow).taken if isinstance(flow, type) else Any
        if taken is not Any and (form := form_of(taken)).holds(request):
            encoded: JsonValue = form.encode(request, "$")
            return encoded
    except (SchemaError, CodecError, NameError, TypeError, StopIteration):
        pass  # told by the host, which has the flow's schema
    plain: JsonValue = plain_json(request)
    return plain
