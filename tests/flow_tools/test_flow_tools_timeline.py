"""Timelines: messages arrive after they were sent, lines fit, and nothing escapes from a page."""

import re

import pytest

from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, ShortHash
from host.flow.core.messages import other_side
from host.flow.records.history_export import (
    Cpi,
    Message,
    Node,
    OpenCall,
    Outcome,
    RecordedFlow,
    RecordedSession,
    Recording,
    Step,
)
from host.tools.flows.call_text import call_text, field_of, short_name
from host.tools.flows.conversation import RowKind, conversation_of
from host.tools.flows.timeline_page import timeline_page
from host.tools.flows.timeline_text import timeline_text

NASTY = "<script>alert(1)</script>\x1b[2J"


def message(direction, session, sequence, at, kind="data"):
    return Message(
        direction=direction, session=session, sequence=sequence, kind=kind, size=4, at=EpochMs(at)
    )


def step(number, function, since, at, *messages, request="{}", answer="null", is_error=False):
    return Step(
        number=number,
        function=function,
        digest="",
        is_error=is_error,
        answer=answer,
        answer_size=len(answer),
        since=EpochMs(since),
        at=EpochMs(at),
        request=request,
        messages=messages,
    )


def session(session_id, peer):
    return RecordedSession(
        id=session_id,
        peer_session=other_side(session_id),
        is_initiator=not session_id.endswith("-INITIATED"),
        peer=peer,
        protocol="p",
        version=1,
        status="CLOSED",
        failure=None,
    )


def recorded(name, steps, sessions, *, created=100, ended=None, late=(), waiting=None, **outcome):
    facts = {"result": None, "error_type": None, "error_message": None, "trace": (), **outcome}
    status = facts.pop("status", FlowStatusName.COMPLETED)
    return Recording(
        flow=RecordedFlow(
            id=name,
            flow_class=f"demo.{name}Flow",
            request_id=name,
            is_responder=bool(sessions) and not sessions[0].is_initiator,
            created_at=EpochMs(created),
            ended_at=None if ended is None else EpochMs(ended),
        ),
        node=Node(short_hash=ShortHash("0" * 12), name=f"O={name}, L=X, C=GB", group_id="g"),
        cpi=Cpi(file_checksum="c", name=NASTY, version="1", signer_summary_hash="s"),
        start="{}",
        first_step=0,
        step_count=len(steps),
        steps=tuple(steps),
        messages=tuple(late),
        waiting=waiting,
        sessions=tuple(sessions),
        outcome=Outcome(status=status, **facts),
    )


def pair():
    """Alice asks Bob at one instant; Bob answers at the same one."""
    alice = recorded(
        "Alice",
        [
            step(0, "sessions.open", 100, 100, request='{"counterparty":"O=Bob, L=X, C=GB"}'),
            step(1, "sessions.send", 100, 100, message("sent", "s", 1, 100)),
            step(2, "sessions.receive", 100, 160, message("received", "s", 1, 150), answer="[7]"),
        ],
        [session("s", "O=Bob, L=X, C=GB")],
        ended=170,
        late=[message("received", "s", 2, 165, "close")],
        result="7",
    )
    bob = recorded(
        "Bob",
        [
            step(0, "sessions.receive", 100, 100, message("received", "s-INITIATED", 1, 100)),
            step(1, "sessions.send", 100, 100, message("sent", "s-INITIATED", 1, 100)),
        ],
        [session("s-INITIATED", "O=Alice, L=X, C=GB")],
        ended=101,
        late=[message("sent", "s-INITIATED", 2, 101, "close")],
        result="",
    )
    return [alice, bob]


def test_nothing_arrives_before_it_was_sent():
    conversation = conversation_of(pair())
    rows = [(r.kind, r.lane, r.text.partition(",")[0]) for r in conversation.rows]
    sent = rows.index((RowKind.MESSAGE, 0, "data 1"))
    started = rows.index((RowKind.START, 1, "responder started"))
    answered = rows.index((RowKind.MESSAGE, 1, "data 1"))
    received = rows.index((RowKind.ANSWER, 0, "receive 7"))
    assert sent < started < answered < received
    assert [r.target for r in conversation.rows if r.kind is RowKind.MESSAGE] == [1, 0, 0]
    assert rows[-1][:2] == (RowKind.END, 0)


def test_a_message_that_was_delivered_twice_is_told_once():
    alice, bob = pair()
    twice = message("received", "s", 1, 155)
    rows = conversation_of([alice, bob]).rows
    more = recorded("Alice", [*alice.steps, step(3, "flow.now", 161, 161, twice)], alice.sessions)
    assert [r.kind for r in conversation_of([more]).rows].count(RowKind.ARRIVAL) == 1
    assert RowKind.ARRIVAL not in {r.kind for r in rows}


def test_a_peer_that_is_not_recorded_is_named():
    rows = conversation_of(pair()[:1]).rows
    assert [r.text for r in rows if r.kind is RowKind.MESSAGE] == ["data 1, 4 characters to Bob"]
    assert "data 1, 4 characters from Bob" in [r.text for r in rows if r.kind is RowKind.ARRIVAL]


def test_a_waiting_flow_is_drawn_to_where_it_waits():
    waiting = recorded(
        "Alice",
        [],
        [],
        waiting=OpenCall(function="flow.sleep", since=EpochMs(120)),
        status=FlowStatusName.RUNNING,
    )
    assert timeline_text(conversation_of([waiting]), 80).splitlines()[-1] == (
        "+0.020    │ waits in flow.sleep …"
    )


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_lines_fit(width, count):
    text = timeline_text(conversation_of((pair() * 5)[:count]), width)
    assert max(map(len, text.splitlines())) <= width
    assert "completed" in text


def test_lanes_that_do_not_fit_are_listed():
    lines = timeline_text(conversation_of(pair() * 2), 80).splitlines()
    assert any(line.startswith("+0.000    Alice: ") for line in lines)


def test_a_page_needs_nothing_else_and_runs_nothing():
    failed = recorded(
        "Alice",
        [step(0, "persistence.read", 100, 100, request=f'{{"type":"{NASTY}"}}', answer=NASTY)],
        [],
        ended=5000,
        status=FlowStatusName.FAILED,
        error_type="FLOW_FAILED",
        error_message=NASTY,
        trace=(NASTY,),
    )
    page = timeline_page(conversation_of([failed, *pair()]))
    assert "<script" not in page
    assert "\x1b" not in page
    assert not re.search(r'(?:src|href)="', page)
    assert "default-src 'none'" in page
    assert page.count('class="arrow') == 3
    assert "4.8 s later" in page


@pytest.mark.parametrize(
    ("function", "request_text", "text"),
    [
        ("flow.sleep", '{"millis":30}', "sleep 30 ms"),
        ("flow.sub-flow", '{"op":"enter","flow":"a.b.Sub"}', "enter Sub"),
        ("flow.sub-flow", '{"op":"leave"}', "leave"),
        ("flow.sub-flow", '{"op":"fail","message":"no"}', "fail: no"),
        ("flow.context", '{"op":"get","key":"k"}', "context get k"),
        ("sessions.open", '{"counterparty":"CN=Ops, O=Bob"}', "open with Ops"),
        (
            "sessions.send",
            '{"messages":[{"session":"a","payload":1},{"payload":2}',
            "send 2 messages",
        ),
        ("ledger.record", '{"transaction":{"id":"SHA', "ledger.record"),
        ("crypto.digest", '{"algorithm":"SHA-256","bytes":"', "crypto.digest SHA-256"),
        ("some.thing", "no json", "some.thing"),
        ("ledger.find", f'{{"id":"SHA-256D:{"AB" * 32}"}}', "ledger.find SHA-256D:ABABABAB…"),
    ],
)
def test_calls_in_a_few_words(function, request_text, text):
    assert call_text(function, request_text) == text


def test_a_field_that_is_cut_off_is_not_known():
    assert field_of('{"key":"unfinis', "key") is None
    assert field_of('{"key":"a\\u001bb"}', "key") == "a\\x1bb"
    assert short_name("L=London, C=GB") == "L=London, C=GB"
