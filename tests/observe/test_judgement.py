"""The judgement: which facts need an operator, how much a node hurts, and where a flow stands."""

import pytest

from host.domain.flow import FlowError, FlowStatus, FlowStatusName
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.core.checkpoint import (
    Asleep,
    AwaitClose,
    AwaitInfo,
    AwaitMessages,
    AwaitProgram,
    AwaitSessions,
    Checkpoint,
    Ending,
    RunningProgram,
    Scope,
    Waiting,
)
from host.flow.core.messages import Party
from host.flow.core.session import Session, SessionStatus
from host.observe.judgement import (
    FINDINGS,
    DeadLetterFacts,
    Facts,
    HitFacts,
    NodeFacts,
    ProblemFacts,
    QueueFacts,
    SetAsideFacts,
    Severity,
    WorkerFacts,
    judged,
    pain_of,
)
from host.observe.judgement.headline import headline
from host.observe.judgement.minutes import MINUTES, LastHour, first_minute
from host.observe.judgement.searching import Form, search_term
from host.observe.judgement.standing import (
    StandingKind,
    standing_of,
    standing_of_ended,
    standing_of_start,
    with_stopped,
)
from host.ports.glances import Ended

NOW = EpochMs(10_000_000_000)
NODE = ShortHash("0123456789AB")
ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


def node(**changes):
    return NodeFacts(**({"short_hash": NODE, "name": ALICE, "is_active": True} | changes))


def hit(code="fuel-rate", age=0, count=3):
    return HitFacts(code=code, count=count, last_at=EpochMs(NOW - age))


def queue(lag):
    return (QueueFacts(topic="flow.event", records=4, lag_ms=lag),)


def aside(cause, lag):
    return (SetAsideFacts(topic="flow.event", cause=cause, keys=1, records=2, lag_ms=lag),)


def worker(state, age):
    return (WorkerFacts(name="flow-0", state=state, since=EpochMs(NOW - age), restarts=2),)


def problem(code, *, stops):
    return (ProblemFacts(check="disk", code=code, message="No room is left.", stops=stops),)


def letters(count):
    return DeadLetterFacts(
        count=count, most=100, newest_at=EpochMs(NOW - MINUTE), oldest_at=EpochMs(NOW - HOUR)
    )


CASES = [
    ({}, None, None),
    ({"problems": problem("storage", stops=True)}, "host-not-ready", "critical"),
    ({"problems": problem("package-missing", stops=False)}, "host-degraded", "critical"),
    ({"problems": problem("certificate-expires", stops=False)}, "certificate-expires", "warning"),
    ({"workers": worker("ready", DAY)}, None, None),
    ({"workers": worker("joined", DAY)}, None, None),
    ({"workers": worker("starting", 9 * SECOND)}, None, None),
    ({"workers": worker("starting", 10 * SECOND)}, "worker-down", "critical"),
    ({"queues": queue(9_999)}, None, None),
    ({"queues": queue(10_000)}, "queue-waits", "warning"),
    ({"queues": queue(60_000)}, "queue-waits", "critical"),
    ({"set_aside": aside("paused", DAY)}, None, None),
    ({"set_aside": aside("outage", 59_999)}, None, None),
    ({"set_aside": aside("outage", 60_000)}, "records-set-aside", "warning"),
    ({"set_aside": aside("damaged", None)}, "records-set-aside", "critical"),
    ({"dead_letters": letters(0)}, None, None),
    ({"dead_letters": letters(1)}, "dead-letters", "warning"),
    ({"disk_free": 10, "disk_size": 100}, None, None),
    ({"disk_free": 9, "disk_size": 100}, "disk-low", "warning"),
    ({"disk_free": 2, "disk_size": 100}, "disk-low", "critical"),
    ({"network_expiry": EpochMs(NOW + 31 * DAY)}, None, None),
    ({"network_expiry": EpochMs(NOW + DAY)}, "network-certificate-expires", "warning"),
    ({"network_expiry": NOW}, "network-certificate-expires", "critical"),
    ({"nodes": (node(is_active=False),)}, None, None),
    ({"nodes": (node(hits=(hit(age=5 * MINUTE + 1),)),)}, None, None),
    ({"nodes": (node(hits=(hit(age=5 * MINUTE),)),)}, "node-at-quota", "warning"),
    ({"nodes": (node(failed_hour=4, ended_hour=4),)}, None, None),
    ({"nodes": (node(failed_hour=5, ended_hour=26),)}, None, None),
    ({"nodes": (node(failed_hour=5, ended_hour=25),)}, "node-fails", "warning"),
    ({"nodes": (node(failed_hour=5, ended_hour=10),)}, "node-fails", "critical"),
]


@pytest.mark.parametrize(("facts", "code", "severity"), CASES)
def test_facts_become_findings(facts, code, severity):
    found = judged(Facts(**({"now": NOW} | facts)))
    assert [(f.name, f.severity.value) for f in found] == (
        [] if code is None else [(code, severity)]
    )


def test_every_finding_is_judged_and_documented():
    assert {code for _, code, _ in CASES if code} == set(FINDINGS)
    for kind in FINDINGS.values():
        assert kind.meaning.endswith(".")
        assert kind.action.endswith(".")


def test_sentences_have_their_figures():
    found = {f.name: f for facts, _, _ in CASES for f in judged(Facts(**({"now": NOW} | facts)))}
    assert found["queue-waits"].title == "Records of flow.event wait for 1 min"
    assert found["worker-down"].consequence.startswith("It does no work for 10 s.")
    assert found["disk-low"].consequence.startswith("That is 2.0 % of 100 B.")
    assert found["node-fails"].title == f"{ALICE}: 5 flows failed in the last hour"
    assert found["node-fails"].consequence == "That is 50 % of the 10 that ended."
    assert found["node-at-quota"].title == f"{ALICE}: waits for fuel"
    assert "3 times in all, 5 min ago" in found["node-at-quota"].consequence
    assert found["records-set-aside"].figures == {"keys": 1, "records": 2}
    assert found["queue-waits"].since == NOW - 60_000


def test_what_has_stopped_comes_first_then_what_began_last():
    facts = Facts(
        now=NOW,
        queues=(*queue(20000), QueueFacts(topic="p2p.out", records=1, lag_ms=90000)),
        set_aside=aside("outage", 70_000),
        dead_letters=letters(2),
    )
    found = judged(facts)
    assert [f.name for f in found] == [
        "queue-waits",
        "queue-waits",
        "records-set-aside",
        "dead-letters",
    ]
    assert found[0].severity is Severity.CRITICAL


def test_at_most_fifty_nodes_are_named_the_worst_first():
    nodes = tuple(
        node(short_hash=ShortHash(f"{n:012X}"), failed_hour=20 + n, ended_hour=100)
        for n in range(60)
    )
    found = judged(Facts(now=NOW, nodes=nodes))
    assert len(found) == 50
    assert {f.named for f in found} == {f"{n:012X}" for n in range(10, 60)}


@pytest.mark.parametrize(
    ("changes", "amount", "phrase"),
    [
        ({}, 0, ""),
        ({"is_active": False}, 20, "maintenance"),
        ({"failed_hour": 1, "ended_hour": 100}, 11, "1 failed in 1 h"),
        ({"failed_hour": 50, "ended_hour": 100}, 700, "50 failed in 1 h"),
        ({"failed_hour": 100, "ended_hour": 100}, 1000, "100 failed in 1 h"),
        ({"hits": (hit(),)}, 600, "waits for fuel"),
        ({"hits": (hit(age=5 * MINUTE),)}, 300, "waits for fuel"),
        ({"hits": (hit(age=5 * MINUTE + 1),)}, 0, ""),
        ({"hits": (hit("quota-exceeded:vault"),)}, 600, "account vault is full"),
        ({"hits": (hit(),), "failed_hour": 9, "ended_hour": 9}, 1000, "9 failed in 1 h"),
    ],
)
def test_pain_is_the_worst_and_says_why(changes, amount, phrase):
    pain = pain_of(node(**changes), NOW)
    assert (pain.amount, pain.phrase) == (amount, phrase)


def session(name=BOB, *, heard=0, timeout=30 * MINUTE, **changes):
    values = {
        "id": "s1",
        "initiator": True,
        "me": Party(ALICE, "g"),
        "peer": Party(name, "g"),
        "protocol": "p",
        "versions": (1,),
        "require_close": True,
        "context": {},
        "timeout_ms": timeout,
        "last_heard": EpochMs(NOW - heard),
        "status": SessionStatus.CONFIRMED,
    }
    return Session(**(values | changes))


def checkpoint(condition=None, *, sessions=(), **changes):
    values = {
        "flow_id": FlowId("f"),
        "holding": Party(ALICE, "g"),
        "cpi_checksum": "SHA-256:00",
        "flow_class": "demo.Flow",
        "request_id": "r",
        "body": None,
        "responds_to": None,
        "created_at": EpochMs(NOW - HOUR),
        "stack": (Scope(flow="demo.Flow", protocol=None),),
        "sessions": {s.id: s for s in sessions},
        "calls": 4,
    }
    if condition is not None:
        values["waiting"] = Waiting(
            call=4, function="f", digest="d", condition=condition, since=EpochMs(NOW - MINUTE)
        )
    return Checkpoint(**(values | changes))


@pytest.mark.parametrize(
    "condition",
    [
        AwaitMessages(sessions=("s1",)),
        AwaitInfo(session="s1"),
        AwaitClose(sessions=("s1",)),
        AwaitSessions(sessions=("s1",), any=True, until=None),
    ],
)
def test_a_flow_that_waits_names_its_counterparty_and_its_timeout(condition):
    found = standing_of(checkpoint(condition, sessions=(session(heard=MINUTE),)), NOW)
    assert found.kind is StandingKind.WAITS_FOR_PEER
    assert BOB in found.title
    assert (found.since, found.step, found.peers) == (NOW - MINUTE, 4, (BOB,))
    assert (found.deadline, found.fails_with) == (NOW + 29 * MINUTE, "session-timeout")
    assert found.consequence == "If nothing comes until then, the flow fails with session-timeout."


def test_the_first_timeout_counts_whichever_session_or_the_flow_has_it():
    waits = AwaitMessages(sessions=("s1",))
    other = session("O=Dora, L=Vienna, C=AT", id="s2", timeout=MINUTE)
    both = checkpoint(waits, sessions=(session(), other))
    assert standing_of(both, NOW).deadline == NOW + MINUTE
    idle = checkpoint(waits, sessions=(session(),), idle_at=EpochMs(NOW + SECOND))
    found = standing_of(idle, NOW)
    assert (found.deadline, found.fails_with) == (NOW + SECOND, "flow-idle-timeout")
    over = session(status=SessionStatus.CLOSED)
    found = standing_of(checkpoint(waits, sessions=(over,)), NOW)
    assert (found.deadline, found.fails_with, found.peers) == (None, "", ())


def test_a_counterparty_that_is_stopped_here_is_named_as_the_cause():
    waits = standing_of(checkpoint(AwaitMessages(sessions=("s1",)), sessions=(session(),)), NOW)
    found = with_stopped(waits, {BOB: "PAUSED", ALICE: "MAINTENANCE"})
    assert found.consequence.startswith(f"{BOB} is paused on this cluster, and takes nothing. If ")
    assert with_stopped(waits, {ALICE: "PAUSED"}) == waits
    assert with_stopped(waits, {}) == waits


def test_a_flow_sleeps_runs_closes_and_works_on_the_ledger():
    asleep = standing_of(checkpoint(Asleep(until=EpochMs(NOW + 90 * SECOND))), NOW)
    assert (asleep.kind, asleep.title) == (StandingKind.SLEEPING, "It sleeps for 1 min 30 s more")
    assert standing_of(checkpoint(), NOW).kind is StandingKind.RUNNING
    closing = checkpoint(ending=Ending(result="1", sessions=("s1",)), sessions=(session(),))
    found = standing_of(closing, NOW)
    assert (found.kind, found.peers) == (StandingKind.CLOSING, (BOB,))
    program = RunningProgram(
        call=4,
        rows=1,
        depth=1,
        condition=AwaitSessions(sessions=("s1",), any=False, until=None),
    )
    waits = checkpoint(AwaitProgram(), sessions=(session(),), program=program)
    assert standing_of(waits, NOW).title == (
        f"It waits for an answer to its ledger operation from {BOB}"
    )
    busy = checkpoint(AwaitProgram(), program=RunningProgram(call=4, rows=1, depth=1))
    assert standing_of(busy, NOW).kind is StandingKind.WAITS_FOR_LEDGER


def status(name, error=None):
    return FlowStatus(
        holding_short_hash=NODE,
        client_request_id="r",
        flow_id=FlowId("f"),
        flow_class="demo.Flow",
        status=name,
        result=None,
        error=error,
        updated_at=NOW,
    )


def test_an_ended_flow_says_how():
    assert standing_of_start(status(FlowStatusName.START_REQUESTED)).kind is StandingKind.STARTING
    assert standing_of_ended(status(FlowStatusName.COMPLETED)).title == "It has completed"
    error = FlowError(type="FLOW_FAILED", message="no money", code="iou.broke")
    failed = standing_of_ended(status(FlowStatusName.FAILED, error))
    assert (failed.title, failed.consequence) == ("It failed with iou.broke", "no money")
    assert standing_of_ended(status(FlowStatusName.KILLED, error)).title == "It was killed"


def test_the_last_hour_is_counted_by_minute_and_moves_on():
    now = EpochMs(100 * MINUTE + 30_000)
    hour = LastHour()
    assert hour.due_from(now) == first_minute(now) == 41 * MINUTE
    other = ShortHash("BA9876543210")
    found = [
        Ended(node=NODE, status="COMPLETED", minute=EpochMs(41 * MINUTE), count=4),
        Ended(node=NODE, status="FAILED", minute=EpochMs(100 * MINUTE), count=2),
        Ended(node=other, status="KILLED", minute=EpochMs(100 * MINUTE), count=1),
        # The other side of a conversation: it fails at its node, and counts once in the series.
        Ended(node=other, status="FAILED", minute=EpochMs(99 * MINUTE), count=2, is_responder=True),
    ]
    hour.add(found, hour.due_from(now), now)
    ended, failed = hour.series(now)
    assert (len(ended), ended[0], ended[-1], failed[-1]) == (MINUTES, 4, 3, 2)
    assert {n: (h.ended, h.failed, h.failing_since) for n, h in hour.nodes().items()} == {
        NODE: (6, 2, 100 * MINUTE),
        other: (3, 2, 99 * MINUTE),
    }
    later = EpochMs(now + MINUTE)
    assert hour.due_from(later) == 99 * MINUTE
    more = [Ended(node=NODE, status="FAILED", minute=EpochMs(100 * MINUTE), count=3)]
    hour.add(more, hour.due_from(later), later)
    ended, failed = hour.series(later)
    assert (ended[0], ended[-2], failed[-2], ended[-1]) == (0, 3, 3, 0)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (" 9a41c07e55d2 ", Form.NODE),
        ("6b3c2d6e-1c22-4d6e-9d3c-222222222222", Form.UUID),
        ("SHA-256D:F2F1257F", Form.DIGEST),
        ("F2F1257F", Form.DIGEST),
        ("O=Carol", Form.NAME),
        ("settle-4471", Form.WORD),
    ],
)
def test_a_search_text_is_known_by_its_form(text, form):
    assert search_term(text).form is form


def test_headlines():
    assert headline(0) == "Nothing needs you"
    assert headline(3) == "Three things need you"
    assert headline(12) == "12 things need you"
