"""Two platform flows, and a capability that they call: both sides of an agreement.

The initiator's program offers, waits, and confirms with a payload that a call makes; the
responder's takes the offer into a call, and answers.
"""

from typing import Any

from host.domain.capability_error import CapabilityError
from host.ports.programs import (
    Call,
    Close,
    Now,
    Open,
    ProgramTable,
    Random,
    Receive,
    Send,
    Sleep,
)
from tests.flow.network import BOB, Notes
from tests.flow.scripted import Guest

AGREED = {"price": 7, "summary": 3, "confirmed": "yes"}


def propose(request: Any) -> Any:
    yield Now()
    yield Random(4)
    yield Call("persist", {"what": "begin"})
    session = yield Open(counterparty=BOB, protocol="p", versions=(1,), timeout_ms=60_000)
    yield Send(session, {"offer": request["offer"]})
    (got,) = yield Receive(sessions=(session,), into=Call("price", {"of": request["offer"]}))
    yield Sleep(5_000)
    summary = yield Send(session, made=Call("make", {"size": 3}))
    (last,) = yield Receive(sessions=(session,))
    yield Call("persist", {"what": "end"})
    yield Close(session)
    return {"price": got["payload"], "summary": summary, "confirmed": last["payload"]}


def respond(request: Any) -> Any:
    session = request["session"]
    (offer,) = yield Receive(sessions=(session,))
    yield Call("persist", {"what": "offered"})
    yield Send(session, {"price": offer["payload"]["offer"] + 2})
    (made,) = yield Receive(sessions=(session,))
    yield Send(session, "yes")
    return len(made["payload"])


class ProgramNotes(Notes):
    """Effects by content, as the functions of programs must have them."""

    def call(self, context: Any, function: str, request: Any) -> Any:
        match function:
            case "protocol.persist":
                node = context.holding.short_hash
                if (node, request) not in self.rows:
                    self.rows.append((node, request))
                return len(self.rows)
            case "protocol.price":
                return request["payload"]["price"]
            case "protocol.sender":
                return request["counterparty"]
            case "protocol.make":
                return {"payload": "x" * request["size"], "summary": request["size"]}
            case "protocol.refuse":
                raise CapabilityError("too-late", f"no {request['what']}", reason_code="late")
        return super().call(context, function, request)


CALLS = {
    ("persistence.persist", "propose"): "propose",
    ("persistence.persist", "respond"): "respond",
    ("persistence.persist", "other"): "other",
    ("persistence.write", "other"): "other",
}


def table(**others: Any) -> ProgramTable:
    """The two programs, and what a test adds or replaces by name."""
    programs = {"propose": propose, "respond": respond, "other": propose, **others}
    return ProgramTable({(name, 1): program for name, program in programs.items()}, CALLS)


def initiator(guest: Guest) -> str:
    guest.call("persistence", "merge", before=True)
    answer = guest.call("persistence", "persist", op="propose", offer=5)
    guest.call("persistence", "merge", after=True)
    assert answer == AGREED
    return "agreed"


def responder(guest: Guest) -> str:
    return str(guest.call("persistence", "persist", op="respond", session=guest.session))


FLOWS = {"test.Initiator": initiator, "test.Responder": responder}
