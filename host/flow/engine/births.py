"""The first step of a flow: of a client's start, of a responder, and of a system flow."""

from collections.abc import Mapping

from host.domain.errors import UnavailableError
from host.domain.flow import FlowStatusName
from host.domain.ids import Checksum, EpochMs, FlowId, HoldingIdentity
from host.domain.packages import CpiRecord
from host.domain.vnode import OperationalStatus, VirtualNode
from host.flow.core import system_flows
from host.flow.core.checkpoint import Checkpoint
from host.flow.core.endings import ORPHAN_REASON
from host.flow.core.events import FlowStarted
from host.flow.core.hops import ORIGIN, killed_key
from host.flow.core.initial_checkpoint import client_flow, responder
from host.flow.core.journal import Entries
from host.flow.core.machine import End
from host.flow.core.mapper import init_of
from host.flow.core.messages import FlowEvent, Init, Respond, SessionFailure, StartFlow
from host.flow.core.program_state import begin
from host.flow.core.room import NodeBalances
from host.flow.core.statuses import status_key
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.local_delivery import LocalDelivery
from host.flow.engine.mapper_worker import refusal_record
from host.flow.engine.step_state import StepState, status_of_step
from host.flow.records.history import NO_HISTORY
from host.flow.records.open_flows import OpenFlows
from host.ports.bus import NewRecord
from host.ports.directory import Packages
from host.ports.groups import Fence
from host.ports.programs import SYSTEM_PROTOCOL, SystemFlow
from host.ports.state import StateRecord


class Births:
    """Makes the state of flows that begin. Thread-safe."""

    def __init__(
        self, *, packages: Packages, services: FlowServices, delivery: LocalDelivery
    ) -> None:
        self._packages = packages
        self._services = services
        self._delivery = delivery
        self._open = OpenFlows(services.accounts, services.quotas)

    def create(
        self,
        flow_id: FlowId,
        event: StartFlow | Respond,
        outgoing: list[NewRecord],
        known: Mapping[str, StateRecord],
        fence: Fence | None,
    ) -> StepState | None:
        """Create the flow that `event` starts; None if refused, with the reply in `outgoing`.

        Raises:
            UnavailableError: node, CPI or system flow are not on this host.
        """
        now = self._services.clock.now_ms()
        if isinstance(event, StartFlow) and system_flows.is_system(event.flow_class):
            return self._remembered(flow_id, event, known, fence, now)
        if isinstance(event, StartFlow):
            cpi = self.cpi(event.cpi_checksum)
            made = client_flow(flow_id, event, cpi, now, self._services.config)
            return self._begun(made, event, cpi, known, fence)
        cpi = self.cpi(self._vnode(event.message.target.holding()).cpi_checksum)
        init = init_of(event.message)
        system = None if init is None else self._system_responder(init)
        answered = self._responder(flow_id, event, cpi, system, known=known)
        if isinstance(answered, SessionFailure):
            outgoing.append(refusal_record(event.message, answered))
            return None
        flow = self._begun(answered, event, cpi, known, fence)
        return flow if system is None else self._with_program(flow, system, now)

    def cpi(self, checksum: str) -> CpiRecord:
        """The package of this checksum.

        Raises:
            UnavailableError: it is not stored on this host.
        """
        cpi = self._packages.get(Checksum(checksum))
        if cpi is None:
            raise UnavailableError(f"CPI {checksum} is not stored on this host")
        return cpi

    def _remembered(
        self,
        flow_id: FlowId,
        event: StartFlow,
        known: Mapping[str, StateRecord],
        fence: Fence | None,
        now: EpochMs,
    ) -> StepState | None:
        """A system flow; None where the node has gone, or runs no flows now: it is due again."""
        vnode = self._services.vnodes.find(event.holding.holding())
        if vnode is None or vnode.flow_status is OperationalStatus.INACTIVE:
            return None
        system = self._services.programs.system_flow(event.flow_class)
        if system is None:
            raise UnavailableError(f"system flow {event.flow_class} is not in this release")
        cpi = self.cpi(vnode.cpi_checksum)
        made = system_flows.started(
            flow_id, event, system, cpi=cpi, now=now, config=self._services.config
        )
        return self._with_program(self._begun(made, event, cpi, known, fence), system, now)

    def _system_responder(self, init: Init) -> SystemFlow | None:
        if not init.protocol.startswith(SYSTEM_PROTOCOL):
            return None
        return self._services.programs.responder(init.protocol)

    def _responder(
        self,
        flow_id: FlowId,
        event: Respond,
        cpi: CpiRecord,
        system: SystemFlow | None,
        *,
        known: Mapping[str, StateRecord],
    ) -> Checkpoint | SessionFailure:
        message, config, now = event.message, self._services.config, self._services.clock.now_ms()
        if system is not None:
            return system_flows.responding(
                flow_id, message, system, cpi=cpi, now=now, config=config
            )
        refused = self._open.refusal(message.target.node(), message.source.node())
        made = refused or responder(flow_id, message, cpi, now, config)
        if isinstance(made, Checkpoint) and killed_key_of(made) in known:
            return SessionFailure(code="flow-killed", message=ORPHAN_REASON)
        return made

    def _begun(
        self,
        made: Checkpoint,
        event: StartFlow | Respond,
        cpi: CpiRecord,
        known: Mapping[str, StateRecord],
        fence: Fence | None,
    ) -> StepState:
        services, node = self._services, made.holding.node()
        is_system = system_flows.is_system(made.flow_class)
        flow = StepState(
            checkpoint=made,
            holding_id=node,
            version=0,
            timer=None,
            journal=Entries(),
            config=services.config,
            history=NO_HISTORY if is_system else services.history,
            fence=fence,
            delivery=self._delivery,
            quota=services.quotas.quota(node),
            cpi=cpi,
            known={key: known.get(key) for key in read_at_start(event)},
            balances=NodeBalances(services.accounts, node),
            shift_ms=services.shift_ms(node),
        )
        flow.status = status_of_step(
            flow, End(status=FlowStatusName.RUNNING), services.wall.now_ms()
        )
        flow.events.append(
            FlowStarted(
                flow_id=made.flow_id,
                holding_id=node,
                flow_class=made.flow_class,
                request_id=made.request_id,
            )
        )
        return flow

    def _with_program(self, flow: StepState, system: SystemFlow, now: EpochMs) -> StepState:
        program = self._services.programs.newest(system.program)
        request = system_flows.request_of(flow.checkpoint)
        flow.program_rows = begin(flow.flow_id, system_flows.CALL, program, request, now)
        return flow

    def _vnode(self, holding: HoldingIdentity) -> VirtualNode:
        vnode = self._services.vnodes.find(holding)
        if vnode is None:
            raise UnavailableError(f"virtual node {holding.short_hash} is not on this host")
        return vnode


def read_at_start(event: FlowEvent) -> tuple[str, ...]:
    """Keys of the states that the first step of a flow needs, read with its own."""
    match event:
        case StartFlow():
            return (status_key(event.holding.node(), event.client_request_id),)
        case Respond(message=message):
            init, node = init_of(message), message.target.node()
            origin = "" if init is None else init.platform.get(ORIGIN, "")
            status = status_key(node, message.session_id, responder=True)
            return (status, killed_key(node, origin))
        case _:
            return ()


def killed_key_of(responder: Checkpoint) -> str:
    """Key of the mark that the client-started flow of a responder was killed."""
    origin = responder.stack[0].context.get(ORIGIN, "")
    return killed_key(responder.holding.node(), origin)
