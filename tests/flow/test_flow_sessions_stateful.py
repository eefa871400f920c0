"""Two sides of a session over a network that reorders and repeats messages."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from host.domain.ids import EpochMs
from host.flow.core.messages import Party, SessionMessage
from host.flow.core.session import Session, SessionStatus, close, read, receive, send
from tests.support.properties import examples

ALICE, BOB = (
    Party(name="O=Alice, L=London, C=GB", group_id="g"),
    Party(name="O=Bob, L=Paris, C=FR", group_id="g"),
)
SIDES = {"s": "s-INITIATED", "s-INITIATED": "s"}


def side(session_id: str) -> Session:
    first = session_id == "s"
    return Session(
        id=session_id, initiator=first, me=ALICE if first else BOB, peer=BOB if first else ALICE,
        protocol="p", versions=(1,), version=None if first else 1, require_close=True, context={},
        timeout_ms=1000, last_heard=EpochMs(0),
    )  # fmt: skip


class TwoSides(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.sessions = {s: side(s) for s in SIDES}
        self.sent: dict[str, list[str]] = {s: [] for s in SIDES}
        self.got: dict[str, list[str]] = {s: [] for s in SIDES}
        self.wire: list[SessionMessage] = []
        self.delivered: list[SessionMessage] = []

    def _keep(self, session: Session, outbox: tuple[SessionMessage, ...]) -> None:
        self.sessions[session.id] = session
        self.wire += outbox

    def _is_open(self, session_id: str) -> bool:
        return self.sessions[session_id].status in (SessionStatus.CREATED, SessionStatus.CONFIRMED)

    @rule(session_id=st.sampled_from(sorted(SIDES)), payload=st.integers())
    def sends(self, session_id: str, payload: int) -> None:
        if self._is_open(session_id):
            change = send(self.sessions[session_id], str(payload))
            self.sent[session_id].append(str(payload))
            self._keep(change.session, change.outbox)

    @precondition(lambda self: self.wire)
    @rule(which=st.integers(min_value=0))
    def delivers(self, which: int) -> None:
        message = self.wire.pop(which % len(self.wire))
        self.delivered.append(message)
        self._take(message)

    @precondition(lambda self: self.delivered)
    @rule(which=st.integers(min_value=0))
    def delivers_again(self, which: int) -> None:
        self._take(self.delivered[which % len(self.delivered)])

    def _take(self, message: SessionMessage) -> None:
        change = receive(self.sessions[message.session_id], message, EpochMs(1))
        self._keep(change.session, change.outbox)

    @rule(session_id=st.sampled_from(sorted(SIDES)))
    def reads(self, session_id: str) -> None:
        session = self.sessions[session_id]
        if session.inbox and session.status is not SessionStatus.ERROR:
            self.sessions[session_id], payload = read(session)
            self.got[session_id].append(payload)

    @precondition(lambda self: not self.wire and not any(s.inbox for s in self.sessions.values()))
    @rule()
    def both_close(self) -> None:
        """With nothing under way and nothing unread, closing is clean on both sides."""
        was_open = all(self._is_open(s) for s in SIDES)
        for session_id in sorted(SIDES):
            change = close(self.sessions[session_id])
            self._keep(change.session, change.outbox)
        if was_open:
            while self.wire:
                self.delivers(0)
            if any(self.sent.values()):
                assert self.sessions["s-INITIATED"].status is SessionStatus.CLOSED
            assert self.sessions["s"].status is SessionStatus.CLOSED

    @invariant()
    def what_was_read_is_a_prefix_of_what_was_sent(self) -> None:
        for session_id, other in SIDES.items():
            seen = self.got[session_id] + list(self.sessions[session_id].inbox)
            assert seen == self.sent[other][: len(seen)]

    @invariant()
    def no_side_fails_by_itself(self) -> None:
        assert all(s.status is not SessionStatus.ERROR for s in self.sessions.values())


TwoSides.TestCase.settings = settings(
    max_examples=examples(150), stateful_step_count=40, deadline=None
)


@pytest.mark.property
class TestTwoSides(TwoSides.TestCase):  # type: ignore[name-defined,misc]
    pass
