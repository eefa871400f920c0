"""The host API (docs/reference/host-api.md) as one flow of a simulated node calls it."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cordapp_testkit.keys import NodeKey
from cordapp_testkit.ledger import NodeLedger
from cordapp_testkit.sessions import FlowSessions, Peers
from cordapp_testkit.storage import EntityStore
from host.domain.errors import InvalidInputError
from host.domain.guest_text import checked_json, mended_json
from host.domain.json import JsonObject
from host.keys.capabilities import DIGESTS
from host.keys.schemes import SchemePublicKeys
from host.ports.capability import CapabilityError

Json = dict[str, Any]
SLEEP_MILLIS_MAX = 900_000
RANDOM_BYTES_MAX = 65_536


@dataclass(slots=True, kw_only=True)
class Level:
    """One running flow or sub-flow: what it may open, and what it opened."""

    protocol: str | None
    versions: tuple[int, ...]
    context: dict[str, str]
    opened: set[str] = field(default_factory=set)


class Group(Peers, Protocol):
    """The members as one of their flows sees them, and the time that they share."""

    @property
    def nodes(self) -> Mapping[str, "Home"]: ...

    def now(self) -> str: ...

    def advance(self, millis: int) -> None: ...

    def group_parameters(self) -> JsonObject: ...


class Home(Protocol):
    """The node of a flow."""

    name: str
    private_key: NodeKey
    ledger: NodeLedger
    entities: EntityStore
    log: list[str]
    sent_outside: list[Json]

    @property
    def network(self) -> Group: ...

    @property
    def key(self) -> str: ...

    def member_info(self) -> Json: ...


class FlowCalls:
    """Answers the host calls of one flow."""

    def __init__(self, node: Home, flow_id: str, flow_class: str, level: Level) -> None:
        self._node = node
        self._flow_id = flow_id
        self._flow_class = flow_class
        self._levels = [level]
        self._count = 0
        self.sessions = FlowSessions(node.network, node.name, flow_id)
        self._table: dict[tuple[str, str], Callable[[Json], Any]] = {
            ("log", "write"): self._log,
            ("flow", "now"): lambda _: node.network.now(),
            ("flow", "random"): self._random,
            ("flow", "sleep"): self._sleep,
            ("flow", "context"): self._context,
            ("flow", "sub-flow"): self._sub_flow,
            ("sessions", "open"): self._open,
            ("sessions", "send"): self.sessions.send,
            ("sessions", "receive"): self.sessions.receive,
            ("sessions", "info"): self.sessions.info,
            ("sessions", "close"): self.sessions.close,
            ("persistence", "write"): lambda r: node.entities.write(r, flow_id),
            ("persistence", "read"): node.entities.read,
            ("signing", "sign"): self._sign,
            ("signing", "find-keys"): lambda r: [k if k == node.key else None for k in r["keys"]],
            ("crypto", "digest"): _digest,
            ("crypto", "verify"): _verify,
            ("membership", "lookup"): self._lookup,
            ("ledger", "build"): lambda r: node.ledger.build(r, f"{flow_id}-{self._count}"),
            ("ledger", "verify"): node.ledger.verify,
            ("ledger", "record"): node.ledger.record,
            ("ledger", "find"): node.ledger.find,
            ("ledger", "query"): node.ledger.query,
            ("external-messaging", "send"): node.sent_outside.append,
        }

    def __call__(self, interface: str, function: str, request: str) -> str:
        self._count += 1
        try:
            text = mended_json(request) if interface == "log" else request
            answer = self._table[interface, function](checked_json(text))
        except InvalidInputError as refused:
            raise CapabilityError(refused.code, refused.message) from refused
        return json.dumps(answer, ensure_ascii=False)

    def _log(self, request: Json) -> None:
        self._node.log.append(f"{request['level'].upper()} {request['message']}")

    def _random(self, request: Json) -> str:
        count = request["bytes"]
        if not 1 <= count <= RANDOM_BYTES_MAX:
            raise CapabilityError("request-invalid", f"{count} random bytes")
        seed = f"{self._flow_id}-{self._count}".encode()
        return base64.b64encode(hashlib.shake_256(seed).digest(count)).decode()

    def _sleep(self, request: Json) -> None:
        if not 0 <= request["millis"] <= SLEEP_MILLIS_MAX:
            raise CapabilityError("request-invalid", f"{request['millis']} ms of sleep")
        self._node.network.advance(request["millis"])

    def _context(self, request: Json) -> str | None:
        key, context = request["key"], self._levels[-1].context
        if request["op"] == "get":
            return context.get(key)
        if key.strip().casefold().startswith("corda."):
            raise CapabilityError("context-key-reserved", f"context key {key} is the platform's")
        context[key] = request["value"]
        return None

    def _sub_flow(self, request: Json) -> None:
        if request["op"] == "enter":
            above = self._levels[-1]
            level = Level(
                protocol=request["protocol"] or above.protocol,
                versions=tuple(request["versions"]) or above.versions,
                context=dict(above.context),
                opened=set() if request["protocol"] else above.opened,
            )
            self._levels.append(level)
            return
        left = self._levels.pop()
        if left.opened is not self._levels[-1].opened:
            if request["op"] == "fail":
                self.sessions.fail_all(request["message"], frozenset(left.opened))
            else:
                self.sessions.close_all(frozenset(left.opened))

    def _open(self, request: Json) -> Any:
        level = self._levels[-1]
        if level.protocol is None:
            message = f"{self._flow_class} is no initiating flow and cannot open sessions"
            raise CapabilityError("session-no-protocol", message)
        context = dict(level.context)
        opened = self.sessions.open(request, level.protocol, level.versions, context)
        level.opened.add(opened["session"])
        return opened

    def _sign(self, request: Json) -> Json:
        if request["key"] != self._node.key:
            raise CapabilityError("key-not-found", "this node does not hold the key")
        data = base64.b64decode(request["bytes"])
        signature = self._node.private_key.sign(data, request["spec"])
        by = self._node.private_key.key_id
        return {"by": by, "bytes": base64.b64encode(signature).decode()}

    def _lookup(self, request: Json) -> Any:
        nodes = self._node.network.nodes
        match request["by"]:
            case "me":
                return self._node.member_info()
            case "name":
                found = nodes.get(request["name"])
                return found and found.member_info()
            case "key":
                return next(
                    (n.member_info() for n in nodes.values() if n.key == request["key"]), None
                )
            case "all":
                return [node.member_info() for _, node in sorted(nodes.items())]
            case "group-parameters":
                return self._node.network.group_parameters()
            case by:
                raise CapabilityError("request-invalid", f"lookup by {by!r}")


def _digest(request: Json) -> str:
    name = request["algorithm"]
    if name not in DIGESTS:
        raise CapabilityError("digest-algorithm-unknown", f"digest algorithm {name!r} is unknown")
    return f"{name}:{DIGESTS[name](base64.b64decode(request['bytes'])).hex().upper()}"


def _verify(request: Json) -> bool:
    signature = base64.b64decode(request["signature"])
    data = base64.b64decode(request["bytes"])
    return SchemePublicKeys().verify(request["key"], data, signature, request["spec"])
