"""Merges several recorded flows into one conversation: the events of each lane in causal order.

Pure. Clocks count milliseconds, so many events have the same time: rows are ordered by time, but a
message never arrives before it was sent, and each lane keeps its own order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from host.domain.printable import printable
from host.flow.core.messages import other_side
from host.flow.records.history_export import Message, Recording, Step
from host.tools.flows.call_text import call_text, field_of, short_class, short_name

WAIT_MS_MIN = 5
"""Milliseconds; shorter calls are shown as one instant."""


class RowKind(StrEnum):
    START = "start"
    CALL = "call"
    WAIT = "wait"
    ANSWER = "answer"
    MESSAGE = "message"
    ARRIVAL = "arrival"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event in lane `lane`.

    Attributes:
        at: milliseconds since the first row's instant.
        step: the number of the host call.
        depth: nesting depth of sub-flows.
        target: a message's other lane; None if that side is not recorded.
        waited: of an answer, the milliseconds since its call.
        detail: the full text, which may not fit on a line.
    """

    kind: RowKind
    lane: int
    at: int
    text: str
    step: int | None = None
    depth: int = 0
    target: int | None = None
    waited: int = 0
    is_error: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One flow. `node` is its member's short name."""

    node: str
    flow_class: str
    recording: Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The lanes, the initiator's first, and their events."""

    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]
    begun_at: int


_Key = tuple[str, int]
"""A message: the session's id on the receiving side, and the sequence number."""


@dataclass(slots=True)
class _Happening:
    """A row without a position yet; `after` and `sends` link the two sides of messages."""

    row: Row | None
    at: int
    after: _Key | None = None
    sends: _Key | None = None


@dataclass(slots=True)
class _Teller:
    """Collects one lane's events in order."""

    lane: int
    recording: Recording
    lane_of: Mapping[str, int]
    begun_at: int
    depth: int = 0
    seen: set[tuple[str, _Key]] = field(default_factory=set)

    def tell(self) -> Iterator[_Happening]:
        flow, recording = self.recording.flow, self.recording
        role = "responder started" if flow.is_responder else "started"
        first = next((m for s in recording.steps for m in s.messages), None)
        starts_by = _key(first) if flow.is_responder and first else None
        yield self._happen(RowKind.START, flow.created_at, role, after=starts_by)
        for step in recording.steps:
            yield from self._step(step)
        if not recording.steps and recording.step_count:
            yield self._happen(
                RowKind.CALL, flow.created_at, f"{recording.step_count} calls that were not kept"
            )
        waiting, late = recording.waiting, recording.messages
        if waiting is not None:
            yield from self._messages([m for m in late if m.at < waiting.since])
            late = tuple(m for m in late if m.at >= waiting.since)
            text = f"waits in {waiting.function}"
            yield self._happen(RowKind.WAIT, waiting.since, text)
        yield from self._messages(late)
        if flow.ended_at is not None:
            yield self._end(flow.ended_at)

    def _step(self, step: Step) -> Iterator[_Happening]:
        before = [m for m in step.messages if m.at < step.since]
        yield from self._messages(before)
        if step.function == "flow.sub-flow" and field_of(step.request, "op") != "enter":
            self.depth = max(0, self.depth - 1)
        waited = step.at - step.since
        failure = _failure(step)
        is_long = waited >= WAIT_MS_MIN
        known = step.answer if not is_long else None
        text = call_text(step.function, step.request, known)
        kind = RowKind.WAIT if is_long else RowKind.CALL
        shown = text if is_long or not failure else f"{text}: {failure}"
        yield self._happen(kind, step.since, shown, step, is_error=bool(failure) and not is_long)
        yield from self._messages([m for m in step.messages if m.at >= step.since])
        if is_long:
            answered = failure or call_text(step.function, step.request, step.answer)
            yield self._happen(
                RowKind.ANSWER, step.at, answered, step, waited=waited, is_error=bool(failure)
            )
        if step.function == "flow.sub-flow" and field_of(step.request, "op") == "enter":
            self.depth += 1

    def _messages(self, messages: Sequence[Message]) -> Iterator[_Happening]:
        for message in messages:
            key = _key(message)
            if (message.direction, key) in self.seen:
                continue  # a message that was delivered twice
            self.seen.add((message.direction, key))
            yield (
                self._sent(message, key) if message.direction == "sent" else self._got(message, key)
            )

    def _sent(self, message: Message, key: _Key) -> _Happening:
        target = self.lane_of.get(key[0])
        to = "" if target is not None else f" to {self._peer(message.session)}"
        happening = self._happen(RowKind.MESSAGE, message.at, _message_text(message) + to)
        if target is not None and happening.row is not None:
            happening.row = _with_target(happening.row, target)
        happening.sends = key
        return happening

    def _got(self, message: Message, key: _Key) -> _Happening:
        """An arrival that is already shown by another lane's arrow gets no row."""
        peer_session = next(
            (s.peer_session for s in self.recording.sessions if s.id == message.session), ""
        )
        if peer_session in self.lane_of:
            return _Happening(None, message.at, after=key)
        text = f"{_message_text(message)} from {self._peer(message.session)}"
        return self._happen(RowKind.ARRIVAL, message.at, text)

    def _peer(self, session: str) -> str:
        names = (s.peer for s in self.recording.sessions if s.id == session)
        return short_name(next(names, "an unknown peer"))

    def _end(self, at: int) -> _Happening:
        outcome = self.recording.outcome
        reason = f": {printable(outcome.error_message)}" if outcome.error_message else ""
        text = f"{outcome.status.value.lower()}{reason}"
        is_error = outcome.error_message is not None
        detail = "\n".join(outcome.trace) if is_error else printable(outcome.result or "")
        self.depth = 0
        return self._happen(RowKind.END, at, text, is_error=is_error, detail=detail)

    def _happen(
        self,
        kind: RowKind,
        at: int,
        text: str,
        step: Step | None = None,
        *,
        after: _Key | None = None,
        waited: int = 0,
        is_error: bool = False,
        detail: str = "",
    ) -> _Happening:
        row = Row(
            kind=kind,
            lane=self.lane,
            at=max(0, at - self.begun_at),
            text=text,
            step=step.number if step else None,
            depth=self.depth,
            waited=waited,
            is_error=is_error,
            detail=detail or (printable(step.request) if step else ""),
        )
        return _Happening(row, at, after=after)


def conversation_of(recordings: Sequence[Recording]) -> Conversation:
    """Merge the recordings into one conversation; the first one is the initiator's."""
    lanes = tuple(
        Lane(node=short_name(r.node.name), flow_class=short_class(r.flow.flow_class), recording=r)
        for r in recordings
    )
    lane_of = {s.id: i for i, r in enumerate(recordings) for s in r.sessions}
    begun_at = min((r.flow.created_at for r in recordings), default=0)
    happenings = [list(_Teller(i, r, lane_of, begun_at).tell()) for i, r in enumerate(recordings)]
    return Conversation(lanes=lanes, rows=tuple(_merged(happenings)), begun_at=begun_at)


def _merged(happenings: list[list[_Happening]]) -> Iterator[Row]:
    """Merge the lanes by time; a row that needs a message which is not sent yet is delayed."""
    to_send = {h.sends for lane in happenings for h in lane if h.sends is not None}
    places = [0] * len(happenings)
    while heads := [i for i, lane in enumerate(happenings) if places[i] < len(lane)]:
        free = [i for i in heads if happenings[i][places[i]].after not in to_send]
        lane = min(free or heads, key=lambda i: (happenings[i][places[i]].at, i))
        happening = happenings[lane][places[lane]]
        places[lane] += 1
        to_send.discard(happening.sends)
        if happening.row is not None:
            yield happening.row


def _key(message: Message) -> _Key:
    receiver = message.session if message.direction == "received" else other_side(message.session)
    return receiver, message.sequence


def _message_text(message: Message) -> str:
    number = f" {message.sequence}" if message.sequence else ""
    size = f", {message.size} characters" if message.size else ""
    return f"{message.kind}{number}{size}"


def _failure(step: Step) -> str:
    if not step.is_error:
        return ""
    if step.answer is None:
        return "refused"
    return field_of(step.answer, "code") or "refused"


def _with_target(row: Row, target: int) -> Row:
    return replace(row, target=target)
