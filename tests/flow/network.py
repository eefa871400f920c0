"""A network of two virtual nodes on one engine, with simulated time and counted randomness."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cpi.package.model import PackageId
from host.adapters.memory.store import MemoryStore
from host.domain.clock import SimClock
from host.domain.flow import FlowStatus
from host.domain.ids import Checksum, EpochMs, HoldingIdentity
from host.domain.packages import (
    CodeWorld,
    CpiRecord,
    CpkRecord,
    FlowDeclaration,
    FlowKind,
)
from host.domain.vnode import VirtualNode
from host.domain.x500 import MemberX500Name
from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.flow.engine.engine import FlowEngine
from host.flow.engine.flow_time import FlowTime
from host.flow.engine.local_routes import LocalRoutes
from host.flow.engine.service import FlowService
from host.flow.engine.sticky_cache import StickyCache
from host.flow.records.history import NO_HISTORY, HistoryLimits
from host.guests.sticky_flows import StickyFlows
from host.ports.audit_log import AuditLogs
from host.ports.capability import Capability
from host.ports.glances import GlanceQuery
from host.ports.guest import FlowGuests
from host.ports.live import Fixed, Live
from host.ports.programs import Programs
from host.ports.quotas import Quotas
from host.ports.routes import Refused, Route, Routes
from host.ports.tracing import Tracer
from host.ports.units import FlowStore
from tests.flow.scripted import Guest, ScriptedGuests

GROUP_ID = "6f2c1a3e-0000-4000-8000-000000000001"
ALICE = "O=Alice, L=London, C=GB"
BOB = "O=Bob, L=Paris, C=FR"
CHECKSUM = Checksum("SHA-256:" + "AB" * 32)
CHANNELS = ("c", "trades")

Flow = Callable[[Guest], str]


class Parking:
    """Whether networks park guests: the fixture `parking` runs the tests both ways."""

    def __init__(self) -> None:
        self.most = 0
        self.lots: list[StickyCache] = []
        self._flows: list[StickyFlows] = []

    def guests(self, guests: FlowGuests) -> FlowGuests:
        if not self.most:
            return guests
        self._flows.append(StickyFlows(guests))
        return self._flows[-1]

    def sticky(self) -> StickyCache:
        self.lots.append(StickyCache(self.most))
        return self.lots[-1]

    def clear(self) -> None:
        """Let all guests go; none may be left on its thread by an engine that forgot it."""
        for sticky in self.lots:
            sticky.close()
        self.lots.clear()
        for flows in self._flows:
            flows.close()
        forgotten = [flows for flows in self._flows if flows._threads._all]
        self._flows.clear()
        assert not forgotten, "a suspended guest was neither parked nor dropped"


PARKING = Parking()


class CountedEntropy:
    """Different bytes at every call, the same ones in every run of a test."""

    def __init__(self) -> None:
        self.calls = 0

    def random_bytes(self, count: int) -> bytes:
        self.calls += 1
        return hashlib.shake_128(str(self.calls).encode()).digest(count)


def holding(name: str) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=GROUP_ID)


def declare(
    name: str,
    kind: FlowKind = FlowKind.CLIENT_STARTABLE,
    *,
    protocol: str | None = "p",
    versions: tuple[int, ...] = (1,),
    input_schema: Any = None,
) -> FlowDeclaration:
    return FlowDeclaration(
        name=name,
        kind=kind,
        protocol=protocol,
        versions=versions,
        initiating=kind is not FlowKind.RESPONDER and protocol is not None,
        input_schema=input_schema,
        output_schema=None,
    )


INITIATOR = declare("test.Initiator")
RESPONDER = declare("test.Responder", FlowKind.RESPONDER)


def make_cpi(flows: tuple[FlowDeclaration, ...]) -> CpiRecord:
    cpk = CpkRecord(
        identity=PackageId(name="cpk", version="1", signer_summary_hash="SHA-256:00"),
        file_checksum=CHECKSUM,
        world=CodeWorld.WORKFLOW,
        code_digest="SHA-256:00",
        flows=flows,
        contract_types=(),
        state_types=(),
        entities=(),
        capabilities=(),
        libraries=(),
        limits={},
        external_channels=CHANNELS,
    )
    return CpiRecord(
        identity=PackageId(name="cpi", version="1", signer_summary_hash="SHA-256:00"),
        file_checksum=CHECKSUM,
        group_id=GROUP_ID,
        group_policy="{}",
        cpks=(cpk,),
        stored_at=EpochMs(0),
    )


class OneCpi:
    """A package directory that holds one CPI."""

    def __init__(self, cpi: CpiRecord) -> None:
        self.cpi: CpiRecord | None = cpi

    def get(self, checksum: Checksum) -> CpiRecord | None:
        return self.cpi if checksum == CHECKSUM else None

    def find_by_short_hash(self, short_checksum: str) -> CpiRecord | None:
        return self.cpi

    def all(self) -> list[CpiRecord]:
        return [self.cpi] if self.cpi else []


class Nodes:
    """A virtual node directory; tests replace nodes in it."""

    def __init__(self, *names: str) -> None:
        self.nodes = {
            holding(name): VirtualNode(
                holding=holding(name),
                cpi_checksum=CHECKSUM,
                granted_capabilities=("sessions", "persistence", "external-messaging"),
                created_at=EpochMs(0),
            )
            for name in names
        }

    def get(self, short_hash: str) -> VirtualNode | None:
        return next((n for h, n in self.nodes.items() if h.short_hash == short_hash), None)

    def find(self, holding: HoldingIdentity) -> VirtualNode | None:
        return self.nodes.get(holding)

    def all(self) -> list[VirtualNode]:
        return list(self.nodes.values())


class Notes:
    """A persistence capability in memory, idempotent by request id, that counts its effects."""

    name = "persistence"

    def __init__(self) -> None:
        self.done: dict[str, tuple[Any, Any]] = {}
        self.rows: list[Any] = []
        self.failing: list[Exception] = []

    def call(self, context: Any, function: str, request: Any) -> Any:
        if self.failing:
            raise self.failing.pop()
        if function == "read":
            return len(self.rows)
        if context.request_id in self.done:
            seen, answer = self.done[context.request_id]
            assert seen == request, "a repeated request differs"
            return answer
        self.rows.append(request)
        self.done[context.request_id] = (request, len(self.rows))
        return len(self.rows)


class Network:
    """Alice and Bob, with the same CPI, on one engine over `store`."""

    def __init__(
        self,
        store: FlowStore,
        flows: dict[str, Flow],
        *,
        declared: tuple[FlowDeclaration, ...] = (INITIATOR, RESPONDER),
        clock: SimClock | None = None,
        entropy: CountedEntropy | None = None,
        notes: Notes | None = None,
        events: Callable[[Any], None] | None = None,
        guests: ScriptedGuests | None = None,
        config: FlowConfig | Live[FlowConfig] = CORDA_DEFAULTS,
        quotas: Quotas | None = None,
        audit_logs: AuditLogs | None = None,
        history: HistoryLimits = NO_HISTORY,
        capabilities: Sequence[Capability] | None = None,
        flow_time: FlowTime | None = None,
        routes: Routes | None = None,
        programs: Programs | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.store = store
        self.clock = clock or SimClock()
        self.entropy = entropy or CountedEntropy()
        self.notes = notes or Notes()
        self.nodes = Nodes(ALICE, BOB)
        self.cpi = make_cpi(declared)
        self.packages = OneCpi(self.cpi)
        self.guests = guests or ScriptedGuests(flows)
        self.events: list[Any] = []
        self.engine = FlowEngine(
            units=store,
            guests=PARKING.guests(self.guests),
            capabilities=[self.notes] if capabilities is None else capabilities,
            vnodes=self.nodes,
            packages=self.packages,
            clock=self.clock if flow_time is None else flow_time,
            time_of_day=self.clock,
            entropy=self.entropy,
            events=events or self.events.append,
            routes=routes,
            config=Fixed(config) if isinstance(config, FlowConfig) else config,
            quotas=quotas,
            audit_logs=audit_logs,
            history=Fixed(history),
            sticky=PARKING.sticky(),
            programs=programs,
            kept_programs=PARKING.most,
            tracer=tracer,
        )
        self.service = FlowService(units=store, clock=self.clock, entropy=self.entropy)

    def start(
        self, body: Any = None, *, request_id: str = "r1", flow: str = "test.Initiator"
    ) -> FlowStatus:
        alice = self.nodes.nodes[holding(ALICE)]
        return self.service.start(alice, self.cpi, request_id, flow, body)

    def replace(self, name: str, **changes: Any) -> None:
        self.nodes.nodes[holding(name)] = replace(self.nodes.nodes[holding(name)], **changes)

    def later(self, millis: int) -> None:
        """Let time pass, and everything happen that is due."""
        self.clock.advance(millis)
        self.engine.drain()

    def alice(self, request_id: str = "r1") -> FlowStatus:
        return self.service.status(holding(ALICE).short_hash, request_id)

    def bobs(self) -> list[FlowStatus]:
        query = GlanceQuery(node=holding(BOB).short_hash, responders=True)
        found = sorted(self.service.page(query, 100), key=lambda glance: glance.key)
        listed = [self.service.glanced(glance) for glance in found]
        return [status for status in listed if status is not None]

    def run(self, body: Any = None) -> FlowStatus:
        """Start the flow, let everything happen, answer Alice's status."""
        self.start(body)
        self.engine.drain()
        return self.alice()


class Posted:
    """Routes by which a step delivers nothing itself: tests carry the messages by hand.

    `is_carried` is set while they arrive.
    """

    def __init__(self) -> None:
        self.nodes: Nodes | None = None
        self.is_carried = False

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        return self._local().route(source, target)

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        refused = self._local().accepts(source, target)
        return refused if self.is_carried else Refused("posted", "is carried by hand")

    def _local(self) -> LocalRoutes:
        assert self.nodes is not None
        return LocalRoutes(self.nodes)


def alone(flow: Flow, **options: Any) -> Network:
    """A network in which only Alice does anything."""
    return Network(MemoryStore(), {"test.Initiator": flow}, **options)
