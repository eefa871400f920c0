"""System flows that are to be started later: due states, each started again until forgotten. Pure.

A state is `later/<node>/<key>`. It stays when its flow is started, with a new due time: a start
that is lost, fails, or finds the node's flows switched off is repeated.
"""

import hashlib
import re
from dataclasses import dataclass, replace

import msgspec
from msgspec import Struct

from host.domain.accounts import Account, Charge
from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.core.checkpoint import Checkpoint
from host.flow.core.messages import EVENT_TOPIC, Party, StartFlow, due_place, encode
from host.flow.core.versioned_codec import read_stored
from host.ports.bus import NewRecord
from host.ports.programs import Remember
from host.ports.state import StateRecord, StateWrite

LATER = "later"
"""Begins the keys of these states."""
AGAIN_MS_MIN = 1_000
CLEANUP_MS = 60_000
"""From the end of a flow to a cleanup that its report has not made needless."""
_KEY = re.compile(r"[-._:A-Za-z0-9]{1,128}")


class RememberedFlow(Struct, frozen=True, kw_only=True):
    """`request` is the JSON text of the program's request."""

    v: int = 1
    holding: Party
    flow_class: str
    request: str
    again_ms: int


_decoder = msgspec.json.Decoder(RememberedFlow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """The state with its next due time, and the start of the flow."""

    state: StateWrite
    record: NewRecord


def later_key(node: ShortHash, key: str) -> str:
    """The state's key.

    Raises:
        CapabilityError: `request-invalid`: the key does not have the form that `Remember` says.
    """
    if not _KEY.fullmatch(key):
        raise CapabilityError("request-invalid", f"{key!r} is no key of a remembered flow")
    return f"{LATER}/{node}/{key}"


def cleanup_writes(checkpoint: Checkpoint, now: EpochMs) -> dict[str, StateWrite]:
    """By key, what remembers the system flows that release what an ended flow holds.

    They start only if the process stops between the end of the flow and its report, which releases
    the same at once and deletes the states.
    """
    found = (
        remembered(_cleanup(name, checkpoint.flow_id), checkpoint.holding, before=None, now=now)
        for name in checkpoint.cleanups
    )
    return {write.key: write for write in found}


def _cleanup(flow_class: str, flow_id: FlowId) -> Remember:
    return Remember(
        flow=flow_class,
        key=f"{flow_class}:{flow_id}",
        request={"flow": flow_id, "key": f"{flow_class}:{flow_id}"},
        after_ms=CLEANUP_MS,
        again_ms=CLEANUP_MS,
    )


def remembered(
    wanted: Remember, holding: Party, *, before: StateRecord | None, now: EpochMs
) -> StateWrite:
    """The write that remembers a flow, in place of one with the same key.

    Raises:
        CapabilityError: `request-invalid`: the key.
    """
    flow = RememberedFlow(
        holding=holding,
        flow_class=wanted.flow,
        request=msgspec.json.encode(wanted.request).decode(),
        again_ms=max(wanted.again_ms, AGAIN_MS_MIN),
    )
    key = later_key(holding.node(), wanted.key)
    due = EpochMs(now + max(0, wanted.after_ms))
    return _write(key, flow, expected=before.version if before else 0, due=due)


def begun(
    wanted: Remember, holding: Party, *, before: StateRecord | None, now: EpochMs, request_id: str
) -> Fired:
    """A flow that is started now, and each `again_ms` until it is forgotten.

    Args:
        wanted: the flow; its `after_ms` is not used.
        holding: the node.
        before: the state with the same key, which is replaced.
        now: the time.
        request_id: of the flow, which the node has had none of.

    Raises:
        CapabilityError: `request-invalid`: the key.
    """
    made = remembered(replace(wanted, after_ms=wanted.again_ms), holding, before=before, now=now)
    flow = _decoder.decode(made.value or b"")
    return Fired(state=made, record=_start(flow, request_id, now))


def fired(state: StateRecord, now: EpochMs) -> Fired:
    """What a due state does: it starts the flow, and waits for its next time.

    Raises:
        FlowRecordDamagedError: the state cannot be read.
    """
    flow = read_stored(_decoder, state.value, f"state {state.key!r}")
    key = state.key.rpartition("/")[2]
    # Two starts of one state differ by its version, so that each has a flow of its own.
    request_id = f"{flow.flow_class}-{key}-{state.version}"
    due = EpochMs(now + flow.again_ms)
    return Fired(
        state=_write(state.key, flow, expected=state.version, due=due),
        record=_start(flow, request_id, now),
    )


def _start(flow: RememberedFlow, request_id: str, now: EpochMs) -> NewRecord:
    start = StartFlow(
        client_request_id=request_id,
        holding=flow.holding,
        cpi_checksum="",
        flow_class=flow.flow_class,
        body=flow.request,
        requested_at=now,
    )
    return NewRecord(
        topic=EVENT_TOPIC,
        key=_flow_id(f"{flow.holding.node()}/{request_id}/{now}"),
        value=encode(start),
        node=flow.holding.node(),
    )


def _write(key: str, flow: RememberedFlow, *, expected: int, due: EpochMs) -> StateWrite:
    return StateWrite(
        key=key,
        value=encode(flow),
        expected=expected,
        due_at=due,
        place=due_place(key),
        charge=Charge(node=flow.holding.node(), account=Account.JOURNAL),
    )


def _flow_id(seed: str) -> FlowId:
    """An id that is the same whoever starts the flow: timers have no randomness."""
    digits = hashlib.sha256(seed.encode()).hexdigest()
    places = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))  # a UUID's, the form of all flow ids
    return FlowId("-".join(digits[start:end] for start, end in places))
