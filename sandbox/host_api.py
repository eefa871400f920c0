"""The host API: every function that the world `workflow` imports, in one table.

All facts about a function are in this table. The world's check, the boundary, the flow engine,
settings, audits and tools read them from it. The WIT and the loader of the Python runtime are
written from it (`sandbox.host_api_text`); tests compare everything else with it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sandbox.host_function import (
    Effect,
    HostFunction,
    Interface,
    Op,
    ServedBy,
    SubCapability,
    Unit,
)
from sandbox.limits import KIB, MIB


@dataclass(frozen=True, slots=True)
class _Row:
    """A function, before it is given its interface."""

    function: str
    served_by: ServedBy = ServedBy.ENGINE
    writes: bool = False
    privileged: str | None = None
    journalled: bool = True
    reaches: str | None = None
    sizes: tuple[tuple[str, int, Unit], ...] = ()
    ops: tuple[Op, ...] = ()

    def of(self, interface: str) -> HostFunction:
        return HostFunction(
            interface=interface,
            function=self.function,
            served_by=self.served_by,
            writes=self.writes,
            privileged=self.privileged,
            journalled=self.journalled,
            reaches=self.reaches,
            sizes=MappingProxyType({field: (most, unit) for field, most, unit in self.sizes}),
            ops=self.ops,
        )


def _interface(
    name: str,
    meaning: str,
    *rows: _Row,
    always_granted: bool = False,
    leaves: str | None = None,
    services: tuple[str, ...] = (),
) -> Interface:
    return Interface(
        name=name,
        meaning=meaning,
        functions=tuple(row.of(name) for row in rows),
        always_granted=always_granted,
        leaves=leaves,
        services=services,
    )


_CAPABILITY = ServedBy.CAPABILITY
_WRITES = Effect.WRITES
_PROGRAM = Effect.PROGRAM
_SESSIONS = ("sessions", 1000, Unit.ENTRIES)
_NODES = "other nodes of the group"
_KEYS = "uses the node's keys"
_STORAGE = "changes the node's storage"
_PAGE = ("limit", 1000, Unit.ENTRIES)
_DATA = ("bytes", 4 * MIB, Unit.BYTES)

INTERFACES: tuple[Interface, ...] = (
    _interface(
        "log",
        "Diagnostic log. Always granted; not journalled.",
        _Row(
            "write",
            journalled=False,
            reaches="the operator's log",
            sizes=(
                ("logger", 1024, Unit.CHARACTERS),
                ("message", 4 * MIB, Unit.CHARACTERS),
            ),
        ),
        always_granted=True,
        leaves="Log lines reach the operator's log of this host, scrubbed of control characters.",
    ),
    _interface(
        "flow",
        "The flow's own clock, randomness, timers, context and sub-flow boundaries."
        " Always granted.",
        _Row("now"),
        _Row("random", sizes=(("bytes", 64 * KIB, Unit.BYTES),)),
        _Row("sleep", sizes=(("millis", 2**31 - 1, Unit.MILLISECONDS),)),
        _Row(
            "context",
            sizes=(("key", 256, Unit.CHARACTERS), ("value", 8192, Unit.CHARACTERS)),
        ),
        _Row(
            "sub-flow",
            sizes=(("versions", 100, Unit.ENTRIES), ("message", 4 * MIB, Unit.CHARACTERS)),
        ),
        always_granted=True,
    ),
    _interface(
        "sessions",
        "Sessions with other virtual nodes.",
        _Row(
            "open",
            reaches=_NODES,
            sizes=(
                ("counterparty", 1024, Unit.CHARACTERS),
                ("timeoutMillis", 2**31 - 1, Unit.MILLISECONDS),
            ),
        ),
        _Row("send", reaches=_NODES, sizes=(("messages", 1000, Unit.ENTRIES),)),
        _Row("receive", sizes=(_SESSIONS,)),
        _Row("info", sizes=(("session", 1024, Unit.CHARACTERS),)),
        _Row("close", reaches=_NODES, sizes=(_SESSIONS,)),
        leaves="Session messages reach other virtual nodes of the group.",
        services=("flow_messaging",),
    ),
    _interface(
        "persistence",
        "The virtual node's own entities.",
        _Row(
            "write",
            _CAPABILITY,
            writes=True,
            privileged=_STORAGE,
            sizes=(
                ("entities", 1000, Unit.ENTRIES),
                ("key", 1024, Unit.CHARACTERS),
                ("value", MIB, Unit.BYTES),
            ),
        ),
        _Row(
            "read",
            _CAPABILITY,
            sizes=(("keys", 1000, Unit.ENTRIES), _PAGE, ("results", 3 * MIB, Unit.BYTES)),
        ),
        services=("persistence_service",),
    ),
    _interface(
        "signing",
        "Signatures by the virtual node's keys.",
        _Row("sign", _CAPABILITY, privileged=_KEYS, sizes=(_DATA,)),
        _Row("find-keys", _CAPABILITY, sizes=(("keys", 100, Unit.ENTRIES),)),
        services=("signing_service",),
    ),
    _interface(
        "crypto",
        "Hashes and signature checks; no private key is involved.",
        _Row("digest", _CAPABILITY, sizes=(_DATA,)),
        _Row("verify", _CAPABILITY, sizes=(_DATA, ("signature", 4096, Unit.BYTES))),
        services=("digest_service", "signature_verification_service"),
    ),
    _interface(
        "membership",
        "Members and parameters of the group.",
        _Row(
            "lookup",
            _CAPABILITY,
            sizes=(("name", 16 * KIB, Unit.CHARACTERS), _PAGE, ("results", 3 * MIB, Unit.BYTES)),
        ),
        services=("member_lookup", "notary_lookup"),
    ),
    _interface(
        "ledger",
        "UTXO transactions.",
        _Row(
            "build",
            _CAPABILITY,
            privileged=_KEYS,
            sizes=(("signatories", 100, Unit.ENTRIES),),
            ops=(Op(None), Op("consensual"), Op("filter")),
        ),
        _Row(
            "verify",
            _CAPABILITY,
            privileged=_KEYS,
            ops=(
                Op(None),
                Op("filtered"),
                Op("receive-builder", _PROGRAM),
                Op("receive-finality", _PROGRAM),
                Op("receive-ledger-transaction", _PROGRAM),
                Op("receive-transaction", _PROGRAM),
                Op("signatories"),
            ),
        ),
        _Row(
            "record",
            _CAPABILITY,
            writes=True,
            privileged=_STORAGE,
            ops=(
                Op(None, _WRITES, stores=True),
                Op("accept-finality", _PROGRAM, stores=True),
                Op("claim-tokens", _WRITES, stores=True),
                Op("draft", _WRITES, stores=True),
                Op("exchange-builder", _PROGRAM),
                Op("finalize", _PROGRAM, stores=True),
                Op("refuse-finality", _PROGRAM),
                Op("send-builder", _PROGRAM),
                Op("send-ledger-transaction", _PROGRAM),
                Op("send-transaction", _PROGRAM),
                Op("serve-notarisation", _PROGRAM),
            ),
        ),
        _Row(
            "find",
            _CAPABILITY,
            sizes=(("ids", 1000, Unit.ENTRIES),),
            ops=(
                Op(None),
                Op("consensual"),
                Op("consensual-ledger-transaction"),
                Op("dependencies"),
                Op("draft"),
                Op("group-parameters"),
                Op("ledger-transaction"),
                Op("status"),
                Op("verifications"),
            ),
        ),
        _Row(
            "query",
            _CAPABILITY,
            sizes=(_PAGE,),
            ops=(Op("named"), Op("token-balance"), Op("unconsumed")),
        ),
        services=("ledger_service", "consensual_ledger_service", "token_selection"),
    ),
    _interface(
        "external-messaging",
        "Messages to systems outside the network.",
        _Row(
            "send",
            privileged="sends data outside the network",
            reaches="systems outside the network",
            sizes=(
                ("channel", 128, Unit.CHARACTERS),
                ("messageId", 1024, Unit.CHARACTERS),
                ("message", 4 * MIB, Unit.CHARACTERS),
            ),
        ),
        leaves="Messages reach systems outside the network, by configured routes.",
        services=("external_messaging",),
    ),
)
"""All interfaces, in the order of the WIT."""


SUB_CAPABILITIES: tuple[SubCapability, ...] = (
    SubCapability(
        name="notary",
        meaning="Decide which transactions spend states, and sign them with the notary's key.",
        function="ledger.record",
        op="serve-notarisation",
        services=("notary_service",),
    ),
)


def _functions() -> Iterator[HostFunction]:
    for interface in INTERFACES:
        yield from interface.functions


FUNCTIONS: Mapping[str, HostFunction] = MappingProxyType({f.name: f for f in _functions()})
"""`interface.function` -> function."""

HOST_API: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {each.name: tuple(f.function for f in each.functions) for each in INTERFACES}
)
"""Interface -> functions that world `workflow` imports."""

CAPABILITIES: tuple[str, ...] = (*HOST_API, *(each.name for each in SUB_CAPABILITIES))
"""All that can be granted: every interface of the workflow world, and the sub-capabilities."""

_BY_OP = MappingProxyType({(each.function, each.op): each.name for each in SUB_CAPABILITIES})

ALWAYS_GRANTED = frozenset(each.name for each in INTERFACES if each.always_granted)

PRIVILEGED = frozenset(f.name for f in FUNCTIONS.values() if f.privileged is not None)
"""Host calls that use a node's keys, change its storage, or send data outside the network.

Session messages stay within the network, between flows that each have a log of their own.
"""

WRITING = frozenset(f.name for f in FUNCTIONS.values() if f.writes)
"""Calls that change something outside the flow's own state."""

_STORING = frozenset((f.name, op.name) for f in FUNCTIONS.values() for op in f.ops if op.stores)

REPEATABLE = FUNCTIONS.keys() - WRITING
"""Calls that may be repeated after a crash without leaving a trace of the first call."""


def stores(name: object, op: object) -> bool:
    """Whether a call of the function `name` that has succeeded has written to the node's vault."""
    function = FUNCTIONS.get(name) if isinstance(name, str) else None
    if function is None or not function.writes:
        return False
    return not function.ops or (name, op) in _STORING


def sub_capability(name: str, op: object) -> str | None:
    """The sub-capability that `op` of the function `name` needs; None if it needs none."""
    return _BY_OP.get((name, op)) if isinstance(op, str) else None


OPS: Mapping[str, Mapping[str | None, Op]] = MappingProxyType(
    {f.name: MappingProxyType({op.name: op for op in f.ops}) for f in FUNCTIONS.values() if f.ops}
)
"""`interface.function` -> its operations by `op`; only functions whose operations are known."""


def unknown_op(name: str, op: object) -> str | None:
    """Why the function `name` has no operation `op`; None if it has, or may have."""
    known = OPS.get(name)
    if known is None or ((op is None or isinstance(op, str)) and op in known):
        return None
    names = ", ".join(sorted(each for each in known if each is not None))
    found = "no 'op'" if op is None else f"{op!r:.64}"
    return f"{name}: expected an 'op' of {names}, found {found}"


def size(name: str, field: str) -> int:
    """The maximum size of `field` of the function `name`, in the unit of its row."""
    most, _ = FUNCTIONS[name].sizes[field]
    return most
