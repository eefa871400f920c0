"""Runs programs against each other, without an engine: sessions are queues, functions are the test's.

Each party has one program. A message is what `Send` sends, by its JSON value; a session ends for
both sides when one fails it.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from host.domain.capability_error import CapabilityError
from host.ports.programs import (
    Call,
    Counterparties,
    FailSession,
    Now,
    Receive,
    Send,
)

NOW = "2026-11-30T01:00:00.000000Z"


@dataclass
class End:
    """One end of a session."""

    counterparty: str
    inbox: deque = field(default_factory=deque)
    other: "End | None" = None
    error: CapabilityError | None = None


class Party:
    """A program of one node, with the functions that it calls.

    Attributes:
        calls: names and requests of the functions called, in order.
        answer_characters: length of all answers.
        result: of the ended program: its answer, or the error that it raised.
    """

    def __init__(self, name: str, program: Any, request: Any, functions: Any) -> None:
        self.name = name
        self.functions = functions
        self.ends: dict[str, End] = {}
        self.calls: list[tuple[str, Any]] = []
        self.sent: list[Any] = []
        self.operations: list[Any] = []
        self.result: Any = None
        self.is_over = False
        self.running = program(request)
        self.pending: Any = None
        self.begun = False
        self.answer_characters = 0

    def session(self, name: str, other: "Party | None" = None, far: str = "") -> None:
        end = End(counterparty=other.name if other else "O=Scripted, L=London, C=GB")
        self.ends[name] = end
        if other is not None and far in other.ends:
            end.other, other.ends[far].other = other.ends[far], end

    def step(self) -> bool:
        """Perform operations until one has to wait; whether anything was done."""
        done = False
        while not self.is_over:
            if not self.begun:
                self.begun = True
                self._go(partial(next, self.running))
                done = True
                continue
            try:
                found = self._answer(self.pending)
            except CapabilityError as refused:
                self._go(partial(self.running.throw, refused))
                done = True
                continue
            if found is ...:
                return done
            text = json.dumps(found)
            self.answer_characters += len(text)
            answer = json.loads(text)
            self._go(partial(self.running.send, answer))
            done = True
        return done

    def _go(self, resume: Any) -> None:
        try:
            self.pending = resume()
            self.operations.append(self.pending)
        except StopIteration as stopped:
            self.result, self.is_over = stopped.value, True
        except CapabilityError as refused:
            self.result, self.is_over = refused, True

    def _answer(self, operation: Any) -> Any:
        match operation:
            case Call():
                return self._call(operation, {})
            case Counterparties():
                return [self.ends[each].counterparty for each in operation.sessions]
            case Now():
                return NOW
            case FailSession():
                return self._fail(operation)
            case Send():
                return self._send(operation)
            case Receive():
                return self._receive(operation)
        raise AssertionError(operation)

    def _call(self, call: Call, more: Any) -> Any:
        request = {**call.request, **more}
        self.calls.append((call.function, request))
        return self.functions[call.function](request)

    def _fail(self, operation: FailSession) -> None:
        end = self.ends[operation.session]
        end.error = end.error or CapabilityError("session-closed", "it was failed")
        if end.other is not None:
            end.other.error = CapabilityError("session-error", operation.message)

    def _send(self, operation: Send) -> Any:
        end = self.ends[operation.session]
        if end.error is not None:
            raise end.error
        payload, summary = operation.payload, None
        if operation.made is not None:
            made = self._call(operation.made, {})
            payload, summary = made["payload"], made["summary"]
        payload = json.loads(json.dumps(payload))
        self.sent.append((operation.session, payload))
        if end.other is not None:
            end.other.inbox.append(payload)
        return summary

    def _receive(self, operation: Receive) -> Any:
        ready = [s for s in operation.sessions if self.ends[s].inbox or self.ends[s].error]
        if len(ready) < (1 if operation.any else len(operation.sessions)):
            return ...
        return [self._taken(session, operation) for session in ready]

    def _taken(self, session: str, operation: Receive) -> Any:
        end = self.ends[session]
        if not end.inbox:
            return {
                "session": session,
                "error": {"code": end.error.code, "message": str(end.error)},
            }
        payload = end.inbox.popleft()
        if operation.into is None:
            return {"session": session, "payload": payload}
        more = {"payload": payload, "counterparty": end.counterparty}
        try:
            return {"session": session, "payload": self._call(operation.into, more)}
        except CapabilityError as refused:
            return {"session": session, "error": {"code": refused.code, "message": str(refused)}}


def join(one: Party, session: str, other: Party, far: str) -> None:
    """Open a session between two parties."""
    one.ends[session] = End(counterparty=other.name)
    other.ends[far] = End(counterparty=one.name)
    one.ends[session].other, other.ends[far].other = other.ends[far], one.ends[session]


def run(*parties: Party) -> None:
    """Let all go on until none can."""
    going = True
    while going:
        going = False
        for party in parties:
            going |= party.step()
