"""Host calls of one guest run: answered from the journal, by the engine, or by a capability.

A call that is in the journal is compared and answered from there. A new call is answered and
journalled, or suspends the run. Before a capability call that may change something outside the
flow, all earlier changes are committed: after a crash the flow repeats exactly that call.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from host.domain.accounts import hit_of
from host.domain.call_time import limited_call
from host.domain.capability_error import CapabilityError
from host.domain.guest_text import mended_json, whole_characters
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord
from host.domain.printable import printable
from host.domain.quotas import Quota
from host.flow.core import requests
from host.flow.core.calls import Refused, Wait
from host.flow.core.checkpoint import Waiting
from host.flow.core.events import GuestLogged
from host.flow.core.journal import (
    REQUEST_CHARACTERS_MAX,
    Entries,
    Entry,
    Made,
    check_call,
    request_digest,
)
from host.flow.core.messages import Sent
from host.flow.core.requests import checked, parse
from host.flow.core.retry import FailureKind, kind_of
from host.flow.engine import outage_time
from host.flow.engine.answers import refusal_text, text_of
from host.flow.engine.call_room import CallRoom
from host.flow.engine.engine_calls import EngineCalls
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.privileged_calls import PrivilegedCalls
from host.flow.engine.service_calls import ServiceCalls
from host.flow.engine.step_state import StepState
from host.ports.audit_log import SUCCEEDED
from host.ports.guest import GuestCallError, GuestKilledError, SuspendRun
from sandbox.errors import CapabilityNotGrantedError
from sandbox.host_api import PRIVILEGED, sub_capability

SLOW_COMMIT_MS = 1_000
"""What a commit takes beyond this is time for which the store was away."""


class HostCalls:
    """The `HostCallHandler` of one run of one flow.

    Attributes:
        made: calls answered for the first time in this run.
        replayed: calls answered from the journal.
        host_call_ms: duration of the calls answered for the first time, including waits, except for
            outages of the platform.
        outage_ms: how long the calls waited for unavailable parts of the platform.
        waiting: the call that suspended the run, if one did.
        failure: the platform's failure that ended the run, if any; it takes precedence over the
            run's outcome, since the guest did not cause it.
    """

    def __init__(
        self,
        flow: StepState,
        cpi: CpiRecord,
        services: FlowServices,
        *,
        persist: Callable[[], None],
        quota: Quota,
        granted: Collection[str],
        parked: bool = False,
    ) -> None:
        """Answer the calls of a run.

        Args:
            flow: the flow, its journal read.
            cpi: its code.
            services: the services that its calls use.
            persist: commits the flow's unwritten changes.
            quota: of its node.
            granted: capabilities of the flow; the sandbox refuses calls of other interfaces, and
                this the operations that need a sub-capability.
            parked: the run has made all calls of the journal; the waiting call is next.
        """
        self._flow = flow
        self._services = services
        self._persist = persist
        self._granted = granted
        self._journal = flow.journal if flow.journal is not None else Entries()
        self._recorded = len(self._journal)
        self._next = self._recorded if parked else 0
        self.made = 0
        self.replayed = 0
        self.host_call_ms = 0
        self.outage_ms = 0
        self.waiting: Waiting | None = None
        self.failure: Exception | None = None
        self._room = CallRoom(flow, self._journal, services, quota)
        self._privileged_calls = PrivilegedCalls(flow, services, cpi)
        self._engine_calls = EngineCalls(flow, services, cpi)
        self._service_calls = ServiceCalls(flow, services, cpi, self._write)

    def __call__(self, interface: str, function: str, request: str) -> str:
        if self.waiting is not None:
            raise SuspendRun
        try:
            return self._answer(interface, function, request)
        except (GuestCallError, GuestKilledError):
            raise
        except Exception as exc:
            self.failure = exc
            raise

    def _answer(self, interface: str, function: str, request: str) -> str:
        if interface == "log":
            return self._log(request)
        name, digest = f"{interface}.{function}", request_digest(request)
        call = self._next
        if call < self._recorded:
            entry = self._journal[call]
            before = Made(entry.function, entry.digest, entry.request)
            check_call(call, before, Made(name, digest, request))
            self.replayed += 1
            self._next += 1
            return _give(entry)
        held = self._flow.checkpoint.waiting
        if held is not None:
            check_call(call, Made(held.function, held.digest), Made(name, digest, request))
        with self._timed():
            entry = self._make(interface, function, request, digest)
        return _give(entry)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Measure the time of a call; waits for outages of the platform are counted separately."""
        begun, waited = self._services.clock.now_ms(), outage_time.waited_ms()
        is_outage = False
        try:
            yield
        except Exception as exc:
            is_outage = kind_of(exc) is FailureKind.OUTAGE
            raise
        finally:
            passed = max(0, self._services.clock.now_ms() - begun)
            away = passed if is_outage else min(passed, outage_time.waited_ms() - waited)
            self.outage_ms += away
            self.host_call_ms += passed - away

    def check_complete(self) -> None:
        """Refuse a run that ended before it repeated all journalled calls.

        Raises:
            GuestKilledError: `flow-non-deterministic`.
        """
        call = self._next
        held = self._flow.checkpoint.waiting
        if self.waiting is None and (call < self._recorded or held is not None):
            expected = self._journal[call].function if call < self._recorded else "a waiting call"
            raise GuestKilledError(
                "flow-non-deterministic",
                f"the flow ended before call {call}: expected {expected}, found no further call",
            )

    def _make(self, interface: str, function: str, request: str, digest: str) -> Entry:
        call, name = self._next, f"{interface}.{function}"
        self._room.check_journal(name)
        handler = self._engine_calls.find(interface, function)
        held, begun = self._flow.checkpoint.waiting, self._services.clock.now_ms()
        since = held.since if held is not None else begun
        try:
            value = checked(request)
            self._check_granted(name, value)
            if name in PRIVILEGED:
                self._privileged_calls.check_room()
            with limited_call(time.thread_time):
                if handler is not None:
                    outcome = handler(request)
                else:
                    outcome = self._service_calls.perform(call, name, value, request)
            sent = Sent.all(outcome.outbox)
            self._room.check_bus(sent, outcome.records)
            cleanup = self._services.programs.cleanup_after(name, value)
        except CapabilityError as exc:
            if exc.account is not None:
                self._services.quotas.hit(self._flow.holding_id, hit_of(exc.account))
            outcome, sent, cleanup = Refused(self._flow.checkpoint, exc), [], None
        if outcome.checkpoint is not self._flow.checkpoint:
            self._room.changed()
        self._flow.checkpoint = outcome.checkpoint
        self._flow.send(sent, begun)
        self._flow.publish(outcome.records)
        if isinstance(outcome, Wait):
            self.waiting = Waiting(
                call=call, function=name, digest=digest, condition=outcome.condition, since=since
            )
            raise SuspendRun
        self._note_cleanup(cleanup)
        if name in PRIVILEGED:
            ending = outcome.error.code if isinstance(outcome, Refused) else SUCCEEDED
            self.audit(name, request, ending)
        answered = self._services.clock.now_ms()
        entry = Entry(
            call=call,
            function=name,
            digest=digest,
            is_error=isinstance(outcome, Refused),
            answer=text_of(outcome),
            since=since,
            at=answered,
            request=whole_characters(request[:REQUEST_CHARACTERS_MAX]),
            notes=self._flow.checkpoint.notes,
        )
        self._keep(entry)
        if self._room.is_step_full:
            self._write()
        return entry

    def _note_cleanup(self, cleanup: str | None) -> None:
        """Note in the checkpoint what releases that which a call holds for the flow."""
        before = self._flow.checkpoint
        if cleanup is not None and cleanup not in before.cleanups:
            self._flow.checkpoint = replace(before, cleanups=(*before.cleanups, cleanup))
            self._room.changed()

    def _check_granted(self, name: str, request: JsonObject) -> None:
        """Refuse an operation whose sub-capability is not granted.

        Raises:
            GuestKilledError: `capability-not-granted`.
        """
        needed = sub_capability(name, request.get("op"))
        if needed is not None and needed not in self._granted:
            raise GuestKilledError(
                CapabilityNotGrantedError.code,
                f"host call {name} {request['op']}: capability {needed!r} is not granted: add it"
                " to `capabilities` of [workflow] in cordapp.toml, or have the host allow it to"
                " the node",
                denied=name,
            )

    def _write(self) -> None:
        """Commit the changes of the step so far.

        A commit may wait for a row that a process of another host has locked, and was stopped.
        """
        begun = self._services.clock.now_ms()
        self._persist()
        outage_time.note_wait(self._services.clock.now_ms() - begun - SLOW_COMMIT_MS)
        self._room.forget()

    def _keep(self, entry: Entry) -> None:
        """Add the call to the journal, and advance the flow."""
        self._journal.append(entry)
        self._flow.checkpoint = replace(
            self._flow.checkpoint, waiting=None, calls=entry.call + 1, notes=()
        )
        self.made += 1
        self._next += 1

    def audit(self, name: str, request: str | None, outcome: str) -> None:
        """Record a privileged call, the flow's next, before the flow receives its outcome.

        Args:
            name: `interface.function`.
            request: its text; None if the host did not read it.
            outcome: `ok`, or the code of the refusal.

        Raises:
            StorageError: it cannot be stored.
        """
        self._privileged_calls.record(self._next, name, request, outcome)

    def _log(self, request: str) -> str:
        try:
            request = mended_json(request)
            checked(request)
            line = parse(request, requests.LogWrite)
        except CapabilityError as exc:
            raise GuestCallError(refusal_text(exc)) from exc
        is_repeated = self._next < self._recorded or self._flow.checkpoint.waiting is not None
        if not is_repeated:
            self._flow.events.append(
                GuestLogged(
                    flow_id=self._flow.flow_id,
                    holding_id=self._flow.holding_id,
                    level=line.level,
                    logger=printable(line.logger),
                    message=printable(line.message),
                )
            )
        return "null"


def _give(entry: Entry) -> str:
    if entry.is_error:
        raise GuestCallError(entry.answer)
    return entry.answer
