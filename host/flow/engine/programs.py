"""Runs the programs of flows: replayed from their rows, or resumed where they are kept.

A program performs operations until one has to wait. Its rows, the sessions that it changed and the
messages that it sent are written with the step; a step that is cut is made again from the same rows
and messages.
"""

import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from host.domain.capability_error import CapabilityError
from host.domain.errors import UnavailableError
from host.domain.flow import FlowError
from host.domain.json import JsonValue
from host.domain.packages import CpiRecord
from host.domain.quotas import RunCharge
from host.flow.core import program_sessions, system_flows
from host.flow.core.checkpoint import Asleep, AwaitSessions, RunningProgram
from host.flow.core.machine import Broken, Event, ProgramRan
from host.flow.core.messages import EVENT_TOPIC, Sent, Wake, encode
from host.flow.core.pauses import run_at
from host.flow.core.program_state import (
    END,
    ProgramNonDeterministicError,
    check_row,
    digest_of,
    error_json,
    error_of,
    kind_of,
)
from host.flow.engine.answers import encoded
from host.flow.engine.call_room import UNWRITTEN_BYTES_MAX
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.kept_programs import KeptPrograms, LiveProgram
from host.flow.engine.program_operations import Operations, OperationWaits
from host.flow.engine.step_state import StepState
from host.ports.bus import NewRecord
from host.ports.guest import Usage
from host.ports.programs import Operation
from host.ports.units import StateStore

Outcome: TypeAlias = "JsonValue | CapabilityError"
"""Of an operation, or of a whole program."""

STEP_MS = 200
"""A program that has worked for so long lets other flows of its partition go first."""


class ProgramRuns:
    """Runs programs for the steps of flows. Thread-safe, one thread per flow at a time."""

    def __init__(
        self,
        *,
        store: StateStore,
        services: FlowServices,
        kept: KeptPrograms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._services = services
        self._kept = kept
        self._monotonic = monotonic

    def run(self, flow: StepState, cpi: CpiRecord) -> Event | None:
        """Run the program until it ends, waits, or has had its share of the step.

        Returns:
            None if the flow's timer will run it later, because its node has exceeded its rate.

        Raises:
            UnavailableError: this release has no such program, or a service is unavailable.
        """
        later = self._services.quotas.may_run_at(flow.holding_id)
        if later is not None:
            flow.checkpoint = run_at(flow.checkpoint, later, flow.shift_ms)
            return None
        begun = self._services.clock.now_ms()
        operations = Operations(self._services, flow, cpi)
        try:
            live = self._live(flow)
            return self._advance(flow, live, operations)
        except ProgramNonDeterministicError as exc:
            return Broken(FlowError(type=exc.code, message=exc.message))
        finally:
            spent = self._services.clock.now_ms() - begun
            self._services.quotas.spent(
                flow.holding_id,
                RunCharge(
                    usage=Usage(),
                    wall_ms=0,
                    host_call_ms=max(0, spent),
                    calls=operations.made,
                    code=None,
                ),
            )

    def ended(self, flow: StepState) -> Event:
        """The end of a system flow, whose program has ended."""
        running = _running(flow)
        rows = flow.rows_of_program(running.call, self._store.journal)
        flow.checkpoint, event = system_flows.ended(flow.checkpoint, rows)
        return event

    def settle(self, flow: StepState) -> None:
        """Keep the program of a flow whose step is committed."""
        live, flow.live_program = flow.live_program, None
        running = flow.checkpoint.program
        if live is not None and running is not None and not running.ended and not flow.ended:
            self._kept.keep(flow.flow_id, live)

    def _live(self, flow: StepState) -> LiveProgram:
        live, flow.live_program = flow.live_program, None
        running = _running(flow)
        if live is None and flow.program_rows is None:
            live = self._kept.take(flow.flow_id, running)
        if live is None:
            live = self._replayed(flow, running)
        flow.program_rows = live.rows
        flow.live_program = live
        return live

    def _replayed(self, flow: StepState, running: RunningProgram) -> LiveProgram:
        """Run the program from its beginning with the stored answers.

        Raises:
            ProgramNonDeterministicError: it performs other operations.
        """
        rows = flow.rows_of_program(running.call, self._store.journal)
        program = self._services.programs.find(rows.program)
        if program is None:
            raise UnavailableError(
                f"program {rows.program.name} revision {rows.program.revision} of flow"
                f" {flow.flow_id} is not in this release"
            )
        live = LiveProgram(call=running.call, rows=rows, running=program(rows.request))
        for row in rows[1:]:
            try:
                before = live.pending or next(live.running)
                check_row(row, before, str(running.call))
                live.pending = (
                    live.running.throw(error_of(row.answer))
                    if row.is_error
                    else live.running.send(msgspec.json.decode(row.answer))
                )
            except (StopIteration, CapabilityError) as exc:
                raise ProgramNonDeterministicError(row, str(running.call), END) from exc
        return live

    def _advance(self, flow: StepState, live: LiveProgram, operations: Operations) -> Event:
        until = self._monotonic() + STEP_MS / 1000
        ended = self._go(flow, live, lambda: next(live.running)) if live.pending is None else None
        while ended is None:
            operation = live.pending
            assert operation is not None  # noqa: S101  # the program has not ended
            if live.rows.is_full():
                return self._ended(flow, live, CapabilityError("program-too-large", _TOO_LARGE))
            try:
                answer: Outcome = operations.perform(operation, live.rows)
            except OperationWaits as waits:
                _note(flow, live, waits.condition)
                return ProgramRan(paused=False)
            except CapabilityError as refused:
                answer = refused
            ended = self._answer(flow, live, operation, answer)
            if ended is None and operations.unwritten_bytes(live.rows) > UNWRITTEN_BYTES_MAX:
                flow.write(self._store, self._services.clock.now_ms(), None)
            if ended is None and self._monotonic() > until:
                wake = NewRecord(
                    topic=EVENT_TOPIC,
                    key=flow.flow_id,
                    value=encode(Wake()),
                    node=flow.holding_id,
                )
                flow.publish([wake])
                return ProgramRan(paused=True)
        return ended

    def _answer(
        self,
        flow: StepState,
        live: LiveProgram,
        operation: Operation,
        answer: Outcome,
    ) -> Event | None:
        """Add the row, and run the program to its next operation; the event if it has ended."""
        is_error = isinstance(answer, CapabilityError)
        value = error_json(answer) if isinstance(answer, CapabilityError) else answer
        live.rows.add(
            kind_of(operation),
            encoded(kind_of(operation), value),
            digest=digest_of(operation),
            is_error=is_error,
            at=self._services.clock.now_ms(),
        )
        _note(flow, live, None)
        if isinstance(answer, CapabilityError):
            refused = answer
            return self._go(flow, live, lambda: live.running.throw(refused))
        value = answer
        return self._go(flow, live, lambda: live.running.send(value))

    def _go(
        self, flow: StepState, live: LiveProgram, resume: Callable[[], Operation]
    ) -> Event | None:
        """Run the program to its next operation; the event if it has ended."""
        try:
            live.pending = resume()
        except StopIteration as stopped:
            return self._ended(flow, live, stopped.value)
        except CapabilityError as refused:
            return self._ended(flow, live, refused)
        return None

    def _ended(self, flow: StepState, live: LiveProgram, answer: Outcome) -> Event:
        live.pending = None
        is_error = isinstance(answer, CapabilityError)
        value = error_json(answer) if isinstance(answer, CapabilityError) else answer
        now = self._services.clock.now_ms()
        text = encoded(END, value)
        if len(text) > flow.config.max_payload_bytes:
            is_error, text = True, encoded(END, error_json(_too_large(len(text), flow)))
        live.rows.add(END, text, is_error=is_error, at=now)
        closed = program_sessions.finished(flow.checkpoint, _running(flow).depth)
        flow.checkpoint = closed.checkpoint
        flow.send(Sent.all(closed.outbox), now)
        _note(flow, live, None, ended=True)
        return ProgramRan(paused=False)


_TOO_LARGE = "the platform's protocol needs more operations or data than one call may"


def _too_large(size: int, flow: StepState) -> CapabilityError:
    return CapabilityError(
        "answer-too-large",
        f"the answer has {size} characters, at most {flow.config.max_payload_bytes}",
    )


def _running(flow: StepState) -> RunningProgram:
    running = flow.checkpoint.program
    assert running is not None  # noqa: S101  # the machine runs it only while there is one
    return running


def _note(
    flow: StepState,
    live: LiveProgram,
    condition: Asleep | AwaitSessions | None,
    *,
    ended: bool = False,
) -> None:
    """Bring the checkpoint up to the program's rows."""
    running = replace(_running(flow), rows=len(live.rows), condition=condition, ended=ended)
    flow.checkpoint = replace(flow.checkpoint, program=running)
