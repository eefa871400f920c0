"""Host calls that services of the platform answer: at once, or by a program that may wait."""

from collections.abc import Callable

from msgspec.structs import replace

from host.domain.json import JsonObject
from host.domain.packages import CpiRecord
from host.flow.core.calls import Answer, Refused, Wait
from host.flow.core.checkpoint import AwaitProgram, RunningProgram
from host.flow.core.program_state import begin, error_of
from host.flow.engine.answers import encoded
from host.flow.engine.capability_calls import CapabilityCalls
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.step_state import StepState
from host.ports.requests import invalid_request
from sandbox.host_api import REPEATABLE, unknown_op


class ServiceCalls:
    """The services' host calls of one run of one flow.

    Before a call that may change something outside the flow, `write` commits the flow's earlier
    changes, so that after a crash the flow repeats exactly that call.
    """

    def __init__(
        self, flow: StepState, services: FlowServices, cpi: CpiRecord, write: Callable[[], None]
    ) -> None:
        self._flow = flow
        self._services = services
        self._capabilities = CapabilityCalls(flow, services, cpi)
        self._write = write

    def perform(
        self, call: int, name: str, value: JsonObject, request: str
    ) -> Answer | Wait | Refused:
        """The outcome of a call.

        Args:
            call: its number in the flow's journal.
            name: `interface.function`.
            value: its request.
            request: the text of `value`.

        Raises:
            CapabilityError: the service refuses it, or there is none.
            UnavailableError: the service cannot answer now.
            StorageError: the store cannot be read or written.
        """
        held = self._flow.checkpoint.waiting
        if held is not None and isinstance(held.condition, AwaitProgram):
            return self._program_answer(call)
        begun = self._services.programs.begun_by(name, value)
        if begun is None:
            return self._answer_at_once(call, name, value)
        now, checkpoint = self._services.clock.now_ms(), self._flow.checkpoint
        rows = begin(self._flow.flow_id, call, begun, request, now)
        self._flow.program_rows, self._flow.live_program = rows, None
        running = RunningProgram(call=call, rows=len(rows), depth=len(checkpoint.stack))
        return Wait(replace(checkpoint, program=running), AwaitProgram())

    def _program_answer(self, call: int) -> Answer | Refused:
        """The answer of the program that has performed the waiting call."""
        rows = self._flow.rows_of_program(call, self._services.journals.journal)
        last, self._flow.program_rows = rows[-1], None
        self._flow.answered_programs.append(rows.journal)
        checkpoint = replace(self._flow.checkpoint, program=None)
        if last.is_error:
            return Refused(checkpoint, error_of(last.answer))
        return Answer(checkpoint, last.answer)

    def _answer_at_once(self, call: int, name: str, request: JsonObject) -> Answer:
        unknown = unknown_op(name, request.get("op"))
        if unknown is not None:
            raise invalid_request(unknown)
        interface, _, function = name.partition(".")
        capability = self._capabilities.find(interface, name)
        if name not in REPEATABLE and self._flow.unwritten():
            self._write()
        answer = self._capabilities.perform(capability, function, request, str(call))
        return Answer(self._flow.checkpoint, encoded(name, answer))
