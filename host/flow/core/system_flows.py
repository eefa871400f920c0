"""First checkpoints and ends of system flows, whose root is a program instead of a guest. Pure.

The program stands where those of a guest's calls do, as that of call 0, whose answer is the flow's
result.
"""

import msgspec
from msgspec.structs import replace

from host.domain.flow import FLOW_FAILED, FlowError
from host.domain.ids import EpochMs, FlowId
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord
from host.flow.core.checkpoint import AwaitProgram, Checkpoint, RunningProgram, Waiting
from host.flow.core.config import FlowConfig
from host.flow.core.initial_checkpoint import client_flow, highest, responder_of
from host.flow.core.machine import Broken, Event, GuestReturned
from host.flow.core.messages import SessionFailure, SessionMessage, StartFlow
from host.flow.core.program_state import ProgramRows, error_of
from host.ports.programs import SYSTEM_FLOW, SystemFlow

CALL = 0
"""The number of the call whose answer is the flow's result."""


def is_system(flow_class: str) -> bool:
    """Whether this is the class of a system flow."""
    return flow_class.startswith(SYSTEM_FLOW)


def started(
    flow_id: FlowId,
    start: StartFlow,
    flow: SystemFlow,
    *,
    cpi: CpiRecord,
    now: EpochMs,
    config: FlowConfig,
) -> Checkpoint:
    """The first checkpoint of a system flow that was remembered; `cpi` is the node's."""
    with_cpi = replace(start, cpi_checksum=cpi.file_checksum)
    return _waiting(client_flow(flow_id, with_cpi, cpi, now, config), flow, now)


def responding(
    flow_id: FlowId,
    message: SessionMessage,
    flow: SystemFlow,
    *,
    cpi: CpiRecord,
    now: EpochMs,
    config: FlowConfig,
) -> Checkpoint | SessionFailure:
    """The first checkpoint of the system flow that a session's first message requests."""
    made = responder_of(
        flow_id,
        message,
        cpi,
        now,
        config,
        choose=lambda init: highest(init, [(flow.name, flow.versions)]),
    )
    return made if isinstance(made, SessionFailure) else _waiting(made, flow, now)


def request_of(checkpoint: Checkpoint) -> str:
    """The request of the flow's program, JSON text."""
    if checkpoint.responds_to is None:
        return checkpoint.body or "{}"
    held = checkpoint.sessions[checkpoint.responds_to]
    request: JsonObject = {
        "session": held.id,
        "counterparty": held.peer.name,
        "protocol": held.protocol,
        "version": held.version,
    }
    return msgspec.json.encode(request).decode()


def ended(checkpoint: Checkpoint, rows: ProgramRows) -> tuple[Checkpoint, Event]:
    """The end of a flow whose program has ended."""
    last = rows[-1]
    following: Event = GuestReturned(last.answer)
    if last.is_error:
        refused = error_of(last.answer)
        following = Broken(FlowError(type=FLOW_FAILED, code=refused.code, message=refused.message))
    return replace(checkpoint, waiting=None), following


def _waiting(checkpoint: Checkpoint, flow: SystemFlow, now: EpochMs) -> Checkpoint:
    function = f"{flow.interface}.{flow.program}"
    return replace(
        checkpoint,
        waiting=Waiting(
            call=CALL, function=function, digest="", condition=AwaitProgram(), since=now
        ),
        program=RunningProgram(call=CALL, rows=1, depth=1),
    )
