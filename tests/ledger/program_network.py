"""Runs programs against each other, without an engine: sessions are queues, functions are the test's.

Each party has one program. A message is what `Send` sends, by its JSON value; a session ends for
both sides when one fails it.
"""

import contextlib
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from host.domain.capability_error import CapabilityError
from host.ports.programs import (
    Call,
    Close,
    Counterparties,
    FailSession,
    Forget,
    Now,
    Open,
    Receive,
    Remember,
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
        later: what is remembered, by key.
        opens: gives the party that answers an opened session.
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
        self.program, self.request = program, request
        self.running = program(request)
        self.answers: list[tuple[bool, Any]] = []
        self.pending: Any = None
        self.now = NOW
        self.begun = False
        self.answer_characters = 0
        self.later: dict[str, Remember] = {}
        self.opens: Callable[[Open], Party] | None = None
        self.opened: list[Party] = []

    def session(self, name: str, other: "Party | None" = None, far: str = "") -> None:
        end = End(counterparty=other.name if other else "O=Scripted, L=London, C=GB")
        self.ends[name] = end
        if other is not None and far in other.ends:
            end.other, other.ends[far].other = other.ends[far], end

    def step(self) -> bool:
        """Perform operations until one has to wait; whether anything was done."""
        done = False
        while self.step_one():
            done = True
        return done

    def step_one(self) -> bool:
        """Perform one operation, if there is one that need not wait."""
        if self.is_over:
            return False
        if not self.begun:
            self.begun = True
            self._go(partial(next, self.running))
            return True
        try:
            found = self._answer(self.pending)
        except CapabilityError as refused:
            self.answers.append((True, refused))
            self._go(partial(self.running.throw, refused))
            return True
        if found is ...:
            return False
        text = json.dumps(found)
        self.answer_characters += len(text)
        self.answers.append((False, json.loads(text)))
        self._go(partial(self.running.send, json.loads(text)))
        return True

    def crash(self) -> None:
        """Lose the process while an operation is performed: a call has had its effect already.

        The program is run again with the answers that were stored; the operation is made again.
        """
        if isinstance(self.pending, Call):
            with contextlib.suppress(CapabilityError):
                self._answer(self.pending)
        lost, count = self.pending, len(self.operations)
        self.running = self.program(self.request)
        self.pending = next(self.running)
        for number, (is_error, answer) in enumerate(self.answers):
            assert self.pending == self.operations[number]
            resume = self.running.throw if is_error else self.running.send
            self.pending = resume(answer)
        assert (self.pending, len(self.answers)) == (lost, count - 1)

    def _go(self, resume: Any) -> None:
        try:
            self.pending = resume()
            self.operations.append(self.pending)
        except StopIteration as stopped:
            self.result, self.is_over = stopped.value, True
        except CapabilityError as refused:
            self.result, self.is_over = refused, True

    def _answer(self, operation: Any) -> Any:
        answers = {
            Call: lambda each: self._call(each, {}),
            Counterparties: lambda each: [self.ends[i].counterparty for i in each.sessions],
            Now: lambda _: self.now,
            FailSession: self._fail,
            Close: lambda _: None,
            Send: self._send,
            Receive: self._receive,
            Open: self._open,
            Remember: lambda each: self.later.update({each.key: each}),
            Forget: lambda each: self.later.pop(each.key, None) and None,
        }
        return answers[type(operation)](operation)

    def _open(self, operation: Open) -> str:
        assert self.opens is not None
        other = self.opens(operation)
        session = f"opened-{len(self.opened)}"
        join(self, session, other, "s")
        self.opened.append(other)
        return session

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
        for party in (*parties, *(each for one in parties for each in one.opened)):
            going |= party.step()
