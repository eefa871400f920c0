"""Host calls of one guest run: answered from the journal, by the engine, or by a capability.

A call that is in the journal is compared and answered from there. A new call is answered and
journalled, or suspends the run. Before a capability call that may change something outside the
flow, all earlier changes are committed: after a crash the flow repeats exactly that call.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from msgspec.structs import replace

from host.domain.accounts import Account, QuotaExceededError, hit_of
from host.domain.call_time import limited_call
from host.domain.capability_error import CapabilityError
from host.domain.guest_text import mended_json, whole_characters
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord
from host.domain.printable import printable
from host.domain.quotas import Quota, QuotaCode
from host.flow.core import requests
from host.flow.core.calls import Answer, Refused, Wait
from host.flow.core.checkpoint import AwaitProgram, RunningProgram, Waiting
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
from host.flow.core.program_state import begin, decode_rows, error_of, program_journal
from host.flow.core.requests import checked, parse
from host.flow.core.retry import FailureKind, kind_of
from host.flow.core.room import Room
from host.flow.engine import outage_time
from host.flow.engine.answers import encoded, refusal_text, text_of, translated
from host.flow.engine.engine_calls import EngineCalls
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.journal_room import JournalRoom
from host.flow.engine.step_state import StepState
from host.ports.audit_log import SUCCEEDED, PrivilegedCall
from host.ports.bus import NewRecord
from host.ports.capability import CallContext
from host.ports.guest import GuestCallError, GuestKilledError, SuspendRun
from sandbox.host_api import PRIVILEGED, REPEATABLE

UNWRITTEN_BYTES_MAX = 4 * 1024 * 1024
"""Maximum bytes of outgoing records and answers that a step holds. Beyond it, the step commits in
its middle: commits must be short, since they block all other commits."""


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
        parked: bool = False,
    ) -> None:
        """Answer the calls of a run.

        Args:
            flow: the flow, its journal read.
            cpi: its code.
            services: the services that its calls use.
            persist: commits the flow's unwritten changes.
            quota: of its node.
            parked: the run has made all calls of the journal; the waiting call is next.
        """
        self._flow = flow
        self._cpi = cpi
        self._services = services
        self._persist = persist
        self._quota = quota
        self._journal = flow.journal if flow.journal is not None else Entries()
        self._recorded = len(self._journal)
        unwritten = self._journal[flow.written :]
        self._written_bytes = self._journal.characters - sum(len(e.answer) for e in unwritten)
        self._next = self._recorded if parked else 0
        self.made = 0
        self.replayed = 0
        self.host_call_ms = 0
        self.outage_ms = 0
        self.waiting: Waiting | None = None
        self.failure: Exception | None = None
        self._room = Room(balances=flow.balances, node=flow.holding_id, quota=quota)
        self._journal_room = JournalRoom(flow, self._room)
        self._engine_calls = EngineCalls(flow, services, cpi)

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
        self._check_journal(name)
        handler = self._engine_calls.find(interface, function)
        held, begun = self._flow.checkpoint.waiting, self._services.clock.now_ms()
        since = held.since if held is not None else begun
        try:
            value = checked(request)
            self._check_audit_log(name)
            with limited_call(time.thread_time):
                if handler is not None:
                    outcome = handler(request)
                else:
                    outcome = self._performed(call, name, value, request)
            sent = Sent.all(outcome.outbox)
            self._check_bus(sent, outcome.records)
        except CapabilityError as exc:
            if exc.account is not None:
                self._services.quotas.hit(self._flow.holding_id, hit_of(exc.account))
            outcome, sent = Refused(self._flow.checkpoint, exc), []
        if outcome.checkpoint is not self._flow.checkpoint:
            self._journal_room.changed()
        self._flow.checkpoint = outcome.checkpoint
        self._flow.send(sent, begun)
        self._flow.publish(outcome.records)
        if isinstance(outcome, Wait):
            self.waiting = Waiting(
                call=call, function=name, digest=digest, condition=outcome.condition, since=since
            )
            raise SuspendRun
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
        answered_bytes = self._journal.characters - self._written_bytes
        if max(self._flow.outgoing_bytes, answered_bytes) > UNWRITTEN_BYTES_MAX:
            self._write()
        return entry

    def _write(self) -> None:
        """Commit the changes of the step so far."""
        self._persist()
        self._journal_room.forget()
        self._written_bytes = self._journal.characters

    def _check_bus(self, sent: Sequence[Sent], records: Sequence[NewRecord]) -> None:
        """Refuse a call whose messages exceed its node's room on the bus.

        Raises:
            CapabilityError: `quota-exceeded`.
        """
        more = sum(each.charged for each in sent) + sum(record.size for record in records)
        if not more:
            return
        try:
            self._room.check(Account.BUS, pending=self._flow.outgoing_bytes, more=more)
        except QuotaExceededError as exc:
            raise CapabilityError(exc.code, exc.message, account=exc.details["account"]) from exc

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
        flow, text = self._flow, (request or "").encode("utf-8", "surrogatepass")
        self._services.audit_logs.record(
            PrivilegedCall(
                holding=flow.checkpoint.holding.holding(),
                cpi=self._cpi.file_checksum,
                flow_id=flow.flow_id,
                flow_class=flow.checkpoint.flow_class,
                call=self._next,
                function=name,
                request_digest=f"SHA-256:{hashlib.sha256(text).hexdigest().upper()}",
                outcome=outcome,
            )
        )

    def _check_audit_log(self, name: str) -> None:
        """Refuse a privileged call if the node's log has no room for its entry.

        Evidence is never deleted to make room: `cordbox audit log archive` moves it elsewhere.

        Raises:
            CapabilityError: `quota-exceeded`.
        """
        node = self._flow.checkpoint.holding.holding().short_hash
        if name in PRIVILEGED and not self._services.audit_logs.has_room(node):
            raise CapabilityError(
                QuotaExceededError.code,
                "account audit: the node's audit log has no room",
                account=Account.AUDIT,
            )

    def _check_journal(self, name: str) -> None:
        """Refuse a call before it is made if the flow's journal has no room for its answer."""
        quota = self._quota
        if len(self._journal) >= quota.journal_calls_max:
            raise GuestKilledError(
                QuotaCode.JOURNAL,
                f"host call {name}: the flow's journal has {len(self._journal)} calls,"
                f" at most {quota.journal_calls_max}",
            )
        if self._journal.characters >= quota.journal_bytes_max:
            self._end_without_room(
                f"host call {name}: account journal: the journal has {self._journal.characters}"
                f" characters, at most {quota.journal_bytes_max}"
            )
        try:
            self._journal_room.check(unwritten=self._journal.characters - self._written_bytes)
        except QuotaExceededError as exc:
            self._end_without_room(f"host call {name}: {exc.message}")

    def _end_without_room(self, message: str) -> NoReturn:
        self._services.quotas.hit(self._flow.holding_id, hit_of(Account.JOURNAL))
        raise GuestKilledError(QuotaExceededError.code, message)

    def _performed(
        self, call: int, name: str, value: JsonObject, request: str
    ) -> Answer | Wait | Refused:
        """The outcome of a platform service's call, by a program where there is one."""
        held = self._flow.checkpoint.waiting
        if held is not None and isinstance(held.condition, AwaitProgram):
            return self._program_answer(call)
        begun = self._services.programs.begun_by(name, value)
        if begun is None:
            interface, _, function = name.partition(".")
            return self._capability(call, interface, function, value)
        now, checkpoint = self._services.clock.now_ms(), self._flow.checkpoint
        rows = begin(self._flow.flow_id, call, begun, request, now)
        self._flow.program_rows, self._flow.live_program = rows, None
        running = RunningProgram(call=call, rows=len(rows), depth=len(checkpoint.stack))
        return Wait(replace(checkpoint, program=running), AwaitProgram())

    def _program_answer(self, call: int) -> Answer | Refused:
        """The answer of the program that has performed the waiting call."""
        rows = self._flow.program_rows
        journal = program_journal(self._flow.flow_id, call)
        if rows is None:
            rows = decode_rows(journal, self._services.journals.journal(journal))
        last, self._flow.program_rows = rows[-1], None
        self._flow.answered_programs.append(journal)
        checkpoint = replace(self._flow.checkpoint, program=None)
        if last.is_error:
            return Refused(checkpoint, error_of(last.answer))
        return Answer(checkpoint, last.answer)

    def _capability(self, call: int, interface: str, function: str, request: JsonObject) -> Answer:
        capability = self._services.capabilities.get(interface)
        if capability is None:
            raise CapabilityError(
                "capability-unavailable", f"this host offers no {interface}.{function}"
            )
        if f"{interface}.{function}" not in REPEATABLE and self._flow.unwritten():
            self._write()
        flow = self._flow
        context = CallContext(
            holding=flow.checkpoint.holding.holding(),
            cpi=self._cpi,
            flow_id=flow.flow_id,
            request_id=f"{flow.flow_id}-{call}",
            now=self._services.wall.now_ms(),
        )
        answer = translated(capability, context, function, request)
        return Answer(flow.checkpoint, encoded(f"{interface}.{function}", answer))

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
