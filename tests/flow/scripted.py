"""Guests written in Python, for tests of the engine: a real adapter of the guest port.

A flow is a function that gets a `Guest` and makes host calls through it. It runs from its start
every time, as a sandboxed guest does, and must be deterministic in the same way.
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from host.ports.guest import (
    Finished,
    FlowFailedInGuest,
    FlowRun,
    GuestCallError,
    GuestKilledError,
    GuestOutcome,
    HostCallHandler,
    SuspendedRun,
    SuspendRun,
    Usage,
)
from sandbox.host_calls import waiting


class CallFailed(Exception):
    """What a flow sees of a failed host call."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Guest:
    """One run's view of the host."""

    def __init__(
        self, start: dict[str, Any], host: HostCallHandler, granted: frozenset[str]
    ) -> None:
        self.start = start
        self.body = start["requestBody"]
        self._host = host
        self._granted = granted

    def call(self, interface: str, function: str, **request: Any) -> Any:
        if interface not in self._granted:
            raise GuestKilledError("capability-not-granted", f"{interface} is not granted")
        try:
            return json.loads(self._host(interface, function, json.dumps(request)))
        except GuestCallError as exc:
            error = json.loads(exc.payload)
            raise CallFailed(error["code"], error["message"]) from None

    def open(self, counterparty: str, **options: Any) -> str:
        answer = self.call("sessions", "open", counterparty=counterparty, **options)
        return answer["session"]

    def send(self, session: str, payload: Any) -> None:
        self.call("sessions", "send", messages=[{"session": session, "payload": payload}])

    def receive(self, *sessions: str) -> Any:
        answers = self.call("sessions", "receive", sessions=list(sessions))
        return answers[0] if len(sessions) == 1 else answers

    def close(self, *sessions: str) -> None:
        self.call("sessions", "close", sessions=list(sessions))

    @property
    def session(self) -> str:
        return self.start["session"]["id"]

    def log(self, message: str) -> None:
        self.call("log", "write", level="info", logger="test", message=message)


class Control:
    """A scripted run has no wall clock, and counts nothing."""

    def memory_bytes(self) -> int:
        return 0

    def usage(self) -> Usage:
        return Usage()

    def paused(self) -> AbstractContextManager[None]:
        return nullcontext()


class ScriptedGuests:
    """Runs flows by their class name."""

    def __init__(self, flows: dict[str, Callable[[Guest], str]]) -> None:
        self.flows = flows

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        if (waiter := waiting(host)) is not None:
            waiter.attach(Control())
        guest = Guest(json.loads(run.start), host, run.granted)
        try:
            return Finished(result=self.flows[run.flow_class](guest))
        except SuspendRun:
            return SuspendedRun()
        except CallFailed as exc:
            return FlowFailedInGuest(type=exc.code, message=str(exc), trace=())
        except ValueError as exc:
            return FlowFailedInGuest(
                type="ValueError", message=str(exc), trace=("flows.py:1 call",)
            )
