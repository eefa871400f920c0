"""Performs the operations of programs: sessions, calls of services, time, randomness."""

import base64
import time
from collections import Counter
from dataclasses import replace

import msgspec

from host.domain.accounts import Account, QuotaExceededError, hit_of
from host.domain.call_time import limited_call
from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs
from host.domain.instants import instant_text
from host.domain.json import JsonObject, JsonValue
from host.domain.packages import CpiRecord
from host.flow.core import program_sessions
from host.flow.core.calls import Answer, held
from host.flow.core.checkpoint import Asleep, AwaitSessions, RunningProgram, is_satisfied
from host.flow.core.messages import Sent
from host.flow.core.offloaded_payloads import fetched
from host.flow.core.program_state import ProgramRows, error_json, kind_of
from host.flow.core.remembered import later_key, remembered
from host.flow.core.room import Room
from host.flow.engine.answers import encoded
from host.flow.engine.capability_calls import CapabilityCalls
from host.flow.engine.counterparties import new_session_id, reachable
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.privileged_calls import PrivilegedCalls
from host.flow.engine.step_state import StepState
from host.ports.audit_log import SUCCEEDED
from host.ports.programs import (
    INTERNAL,
    Call,
    Close,
    Counterparties,
    FailSession,
    Forget,
    Now,
    Open,
    Operation,
    Random,
    Receive,
    Remember,
    Send,
    Sleep,
)
from host.ports.state import StateWrite


class OperationWaits(Exception):  # noqa: N818  # no error: the operation has no answer yet
    """The operation waits for `condition`."""

    def __init__(self, condition: Asleep | AwaitSessions) -> None:
        super().__init__()
        self.condition = condition


class Operations:
    """Performs the operations of one run of one program.

    Attributes:
        made: the operations performed, by kind.
    """

    def __init__(self, services: FlowServices, flow: StepState, cpi: CpiRecord) -> None:
        self._services = services
        self._flow = flow
        self._capabilities = CapabilityCalls(flow, services, cpi)
        self._privileged_calls = PrivilegedCalls(flow, services, cpi)
        self._room = Room(balances=flow.balances, node=flow.holding_id, quota=flow.quota)
        self.made: Counter[str] = Counter()

    def unwritten_bytes(self, rows: ProgramRows) -> int:
        return max(self._flow.outgoing_bytes, rows.unwritten_characters)

    def perform(self, operation: Operation, rows: ProgramRows) -> JsonValue:
        """The answer of an operation.

        Raises:
            OperationWaits: it has none yet.
            CapabilityError: it is refused.
        """
        self._check_journal(rows)
        answer = self._answer(operation, rows)
        self.made[f"program.{kind_of(operation)}"] += 1
        return answer

    def _answer(self, operation: Operation, rows: ProgramRows) -> JsonValue:
        match operation:
            case Call():
                return self._call(operation, rows)
            case Send():
                return self._send(operation, rows)
            case Receive():
                return self._receive(operation, rows)
            case Open() | Counterparties() | Close() | FailSession():
                return self._answer_of_sessions(operation)
            case Now() | Random():
                return self._answer_of_host(operation)
            case Sleep():
                self._sleep(operation)
            case Remember() | Forget():
                self._remember_or_forget(operation)
        return None

    def _answer_of_sessions(
        self, operation: Open | Counterparties | Close | FailSession
    ) -> JsonValue:
        checkpoint = self._flow.checkpoint
        match operation:
            case Open():
                return self._open(operation)
            case Counterparties():
                return program_sessions.counterparties(checkpoint, operation.sessions)
            case _:
                self._apply(program_sessions.end_session(checkpoint, operation))
                return None

    def _answer_of_host(self, operation: Now | Random) -> JsonValue:
        if isinstance(operation, Now):
            return instant_text(self._services.wall.now_ms())
        return base64.b64encode(self._services.entropy.random_bytes(operation.bytes)).decode()

    @property
    def _running(self) -> RunningProgram:
        running = self._flow.checkpoint.program
        assert running is not None  # noqa: S101  # it is being run
        return running

    def _check_journal(self, rows: ProgramRows) -> None:
        """Refuse an operation if the node's account of journals has no room for its answer.

        Raises:
            CapabilityError: `quota-exceeded`.
        """
        self._check_room(Account.JOURNAL, pending=rows.unwritten_characters, more=1)

    def _check_room(self, account: Account, *, pending: int, more: int) -> None:
        try:
            self._room.check(account, pending=pending, more=more)
        except QuotaExceededError as exc:
            self._services.quotas.hit(self._flow.holding_id, hit_of(account))
            raise CapabilityError(exc.code, exc.message, account=account) from exc

    def _call(self, call: Call, rows: ProgramRows) -> JsonValue:
        if call.audited is None:
            return self._answered(call, rows)
        self._privileged_calls.check_room()
        answer = self._answered(call, rows)
        request = msgspec.json.encode(call.request).decode()
        self._privileged_calls.record(
            self._running.call, call.audited, request, SUCCEEDED, step=len(rows)
        )
        return answer

    def _answered(self, call: Call, rows: ProgramRows) -> JsonValue:
        interface = self._interface()
        capability = self._capabilities.find(interface, interface)
        number = f"{self._running.call}.{len(rows)}"
        with limited_call(time.thread_time):
            function = f"{INTERNAL}{call.function}"
            return self._capabilities.perform(capability, function, call.request, number)

    def _interface(self) -> str:
        waiting = self._flow.checkpoint.waiting
        assert waiting is not None  # noqa: S101  # a program performs the waiting call
        return waiting.function.partition(".")[0]

    def _open(self, wanted: Open) -> JsonValue:
        peer = reachable(self._services, self._flow.checkpoint.holding, wanted.counterparty)
        session_id = new_session_id(self._services)
        answer = program_sessions.open_session(
            self._flow.checkpoint,
            wanted,
            session_id=session_id,
            peer=peer,
            now=self._services.node_time(self._flow.shift_ms),
            config=self._services.config,
        )
        self._flow.opened.append(session_id)
        self._apply(answer)
        return session_id

    def _send(self, wanted: Send, rows: ProgramRows) -> JsonValue:
        payload, summary = wanted.payload, None
        if wanted.made is not None:
            made = self._call(wanted.made, rows)
            assert isinstance(made, dict)  # noqa: S101  # the platform's own function
            payload, summary = made["payload"], made["summary"]
        text = encoded(kind_of(wanted), payload)
        config = self._services.config
        answer = program_sessions.send_text(self._flow.checkpoint, wanted.session, text, config)
        self._apply(answer)
        return summary

    def _receive(self, wanted: Receive, rows: ProgramRows) -> JsonValue:
        now = self._services.node_time(self._flow.shift_ms)
        self._apply(program_sessions.asked(self._flow.checkpoint, wanted.sessions))
        condition = program_sessions.condition_of(self._flow.checkpoint, wanted, now)
        if not is_satisfied(self._flow.checkpoint, condition, now):
            raise OperationWaits(condition)
        sessions = program_sessions.readable(self._flow.checkpoint, wanted)
        checkpoint = fetched(self._flow.checkpoint, sessions, self._services.states)
        found: list[JsonValue] = []
        for session_id in sessions:
            checkpoint, taken = program_sessions.take_next(checkpoint, session_id)
            found.append(self._taken(session_id, taken, wanted, rows))
        self._flow.checkpoint = checkpoint
        return found

    def _taken(
        self, session_id: str, taken: str | JsonObject, wanted: Receive, rows: ProgramRows
    ) -> JsonValue:
        if not isinstance(taken, str):
            return {"session": session_id, "error": taken}
        payload: JsonValue = msgspec.json.decode(taken)
        if wanted.into is None:
            return {"session": session_id, "payload": payload}
        peer = held(self._flow.checkpoint, session_id).peer.name
        request = {**wanted.into.request, "payload": payload, "counterparty": peer}
        into = replace(wanted.into, request=request)
        try:
            return {"session": session_id, "payload": self._call(into, rows)}
        except CapabilityError as refused:
            return {"session": session_id, "error": error_json(refused)}

    def _sleep(self, wanted: Sleep) -> None:
        before = self._running.condition
        now = self._services.node_time(self._flow.shift_ms)
        condition = before if isinstance(before, Asleep) else Asleep(until=EpochMs(now + wanted.ms))
        if not is_satisfied(self._flow.checkpoint, condition, now):
            raise OperationWaits(condition)

    def _remember_or_forget(self, wanted: Remember | Forget) -> None:
        holding, later = self._flow.checkpoint.holding, self._flow.later
        key = later_key(holding.node(), wanted.key)
        stored = self._services.states.get(key)
        if isinstance(wanted, Remember):
            now = self._services.clock.now_ms()
            later[key] = remembered(wanted, holding, before=stored, now=now)
        elif stored is None:
            later.pop(key, None)
        else:
            later[key] = StateWrite(key=key, value=None, expected=stored.version)

    def _apply(self, answer: Answer) -> None:
        """Take over the new state of sessions, and queue messages if the node has room for them.

        Raises:
            CapabilityError: `quota-exceeded`.
        """
        sent = Sent.all(answer.outbox)
        more = sum(each.charged for each in sent)
        if more:
            self._check_room(Account.BUS, pending=self._flow.outgoing_bytes, more=more)
        self._flow.checkpoint = answer.checkpoint
        self._flow.send(sent, self._services.clock.now_ms())
