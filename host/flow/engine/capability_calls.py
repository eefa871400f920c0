"""Calls of the platform's services in the name of a flow, by its guest or by a program."""

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.domain.packages import CpiRecord
from host.flow.engine.answers import translated
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.step_state import StepState
from host.ports.capability import CallContext, Capability


class CapabilityCalls:
    """The calls of one run of one flow, whose code is `cpi`."""

    def __init__(self, flow: StepState, services: FlowServices, cpi: CpiRecord) -> None:
        self._flow = flow
        self._services = services
        self._cpi = cpi

    def find(self, interface: str, wanted: str) -> Capability:
        """The service of that name.

        Args:
            interface: its name.
            wanted: what the error names.

        Raises:
            CapabilityError: `capability-unavailable`, this host has no such service.
        """
        capability = self._services.capabilities.get(interface)
        if capability is None:
            raise CapabilityError("capability-unavailable", f"this host offers no {wanted}")
        return capability

    def perform(
        self, capability: Capability, function: str, request: JsonObject, number: str
    ) -> JsonValue:
        """The answer of a service.

        Args:
            capability: the service.
            function: its name within the service.
            request: its argument.
            number: of the call within the flow, which a repetition of the call has too: a service
                that has done the request already recognises it by that.

        Raises:
            CapabilityError: the service refuses it.
            UnavailableError: the service cannot answer now.
        """
        context = CallContext(
            holding=self._flow.checkpoint.holding.holding(),
            cpi=self._cpi,
            flow_id=self._flow.flow_id,
            request_id=f"{self._flow.flow_id}-{number}",
            now=self._services.wall.now_ms(),
        )
        return translated(capability, context, function, request)
