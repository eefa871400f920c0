"""System flows: programs that are started later, again until forgotten, or by a session."""

import json
from typing import Any

from host.adapters.memory.store import MemoryStore
from host.domain.capability_error import CapabilityError
from host.domain.vnode import OperationalStatus
from host.flow.records.open_flows import OpenFlows
from host.ports.glances import GlanceQuery
from host.ports.programs import (
    Call,
    Close,
    Forget,
    Now,
    Open,
    ProgramTable,
    Receive,
    Remember,
    Send,
    SystemFlow,
)
from host.ports.quotas import Unmetered
from tests.flow.network import ALICE, BOB, Network, holding
from tests.flow.programs import CALLS, ProgramNotes
from tests.flow.scripted import CallFailed, Guest

REPAIR = "cordbox:repair"
ASKED = "cordbox:answer-repair"
PROTOCOL = "cordbox.repair"
MINUTE = 60_000


def remember(request: Any) -> Any:
    """The guest's program: a repair of `what` is due after ten minutes, and then each minute."""
    yield Remember(
        flow=REPAIR,
        key=f"repair:{request['what']}",
        request={"what": request["what"]},
        after_ms=10 * MINUTE,
        again_ms=MINUTE,
    )
    return "remembered"


def repair(request: Any) -> Any:
    yield Call("persist", {"repaired": request["what"]})
    yield Forget(f"repair:{request['what']}")
    return ["repaired", request["what"]]


def ask_peer(request: Any) -> Any:
    session = yield Open(counterparty=BOB, protocol=PROTOCOL, versions=(1,))
    yield Send(session, {"ask": request["what"]})
    (got,) = yield Receive(sessions=(session,))
    yield Close(session)
    yield Forget(f"repair:{request['what']}")
    return got.get("payload") or got["error"]["code"]


def answer_peer(request: Any) -> Any:
    (asked,) = yield Receive(sessions=(request["session"],))
    yield Call("persist", {"asked": asked["payload"]["ask"], "by": request["counterparty"]})
    yield Send(request["session"], ["answer", request["version"]])
    return "answered"


def failing(request: Any) -> Any:
    yield Now()
    raise CapabilityError("too-late", "not today")


def network(store: Any = None, *, flow: Any = None, **programs: Any) -> Network:
    made = {"other": remember, "repair": repair, "answer": answer_peer, **programs}
    table = ProgramTable(
        {(name, 1): program for name, program in made.items()},
        CALLS,
        [
            SystemFlow(name=REPAIR, program="repair", interface="persistence"),
            SystemFlow(name=ASKED, program="answer", interface="persistence", protocol=PROTOCOL),
        ],
    )
    flows = {"test.Initiator": flow or remembering}
    return Network(store or MemoryStore(), flows, notes=ProgramNotes(), programs=table)


def remembering(guest: Guest) -> str:
    return str(guest.call("persistence", "persist", op="other", what="x1"))


def system_flows(made: Network, name: str = ALICE, **query: Any) -> list[tuple[str, str, Any]]:
    """Class, status and result or error code of a node's system flows, the oldest first."""
    glances = made.service.page(GlanceQuery(node=holding(name).short_hash, **query), 100)
    statuses = [made.service.glanced(glance) for glance in glances]
    return [
        (s.flow_class, s.status, json.loads(s.result) if s.result else s.error and s.error.code)
        for s in reversed(statuses)
        if s is not None and s.flow_class.startswith("cordbox:")
    ]


def repaired(made: Network) -> list[Any]:
    return [row for _, row in made.notes.rows]


def test_a_remembered_flow_starts_when_it_is_due(store):
    made = network(store)
    assert made.run().result == "remembered"
    made.later(10 * MINUTE - 1)
    assert system_flows(made) == []
    made.later(1)
    assert system_flows(made) == [(REPAIR, "COMPLETED", ["repaired", "x1"])]
    assert repaired(made) == [{"repaired": "x1"}]


def test_nothing_is_left_of_a_system_flow_and_it_starts_once(store):
    made = network(store)
    made.run()
    made.later(10 * MINUTE)
    made.later(10 * MINUTE)
    assert len(system_flows(made)) == 1
    for prefix in ("later/", "flow/", "timer/"):
        assert store.scan(prefix) == []


def test_a_system_flow_that_fails_is_started_again_until_it_forgets(store):
    made = network(store, repair=failing)
    made.run()
    made.later(10 * MINUTE)
    made.later(MINUTE)
    assert system_flows(made) == [(REPAIR, "FAILED", "too-late")] * 2


def test_it_is_started_again_after_the_nodes_flows_were_switched_off(store):
    made = network(store)
    made.run()
    made.replace(ALICE, flow_status=OperationalStatus.INACTIVE)
    made.later(10 * MINUTE)
    made.later(MINUTE)
    assert system_flows(made) == []
    made.replace(ALICE, flow_status=OperationalStatus.ACTIVE)
    made.later(MINUTE)
    assert system_flows(made) == [(REPAIR, "COMPLETED", ["repaired", "x1"])]


def test_a_later_time_replaces_the_former(store):
    made = network(store)
    made.run()
    made.later(5 * MINUTE)
    made.start(request_id="r2")
    made.engine.drain()
    assert len(store.scan("later/")) == 1
    made.later(5 * MINUTE)
    assert system_flows(made) == []
    made.later(5 * MINUTE)
    assert len(system_flows(made)) == 1


def test_what_is_remembered_and_forgotten_in_one_step_leaves_nothing(store):
    def both(request: Any) -> Any:
        yield from remember(request)
        yield Forget(f"repair:{request['what']}")
        yield Forget("repair:never")
        return "both"

    made = network(store, other=both)
    assert made.run().result == "both"
    assert store.scan("later/") == []


def test_a_key_of_another_form_is_refused():
    def wrong(request: Any) -> Any:
        try:
            yield Remember(flow=REPAIR, key="a/b", request={}, after_ms=1, again_ms=1)
        except CapabilityError as refused:
            return refused.code

    made = network(other=wrong)
    assert made.run().result == "request-invalid"


def test_a_system_flow_asks_that_of_another_node(store):
    made = network(store, repair=ask_peer)
    made.run()
    made.later(10 * MINUTE)
    assert system_flows(made) == [(REPAIR, "COMPLETED", ["answer", 1])]
    assert system_flows(made, BOB, responders=True) == [(ASKED, "COMPLETED", "answered")]
    assert repaired(made) == [{"asked": "x1", "by": ALICE}]


def test_another_version_of_its_protocol_is_refused():
    def asking(request: Any) -> Any:
        session = yield Open(counterparty=BOB, protocol=PROTOCOL, versions=(2, 3))
        (got,) = yield Receive(sessions=(session,))
        yield Forget(f"repair:{request['what']}")
        return got["error"]["message"].partition(" at ")[0]

    made = network(repair=asking)
    made.run()
    made.later(10 * MINUTE)
    refused = f"No responder is configured for protocol {PROTOCOL}"
    assert system_flows(made) == [(REPAIR, "COMPLETED", refused)]


def test_system_flows_do_not_count_as_open_flows(store):
    def waiting(request: Any) -> Any:
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        yield Receive(sessions=(session,))

    def silent(guest: Guest) -> str:
        guest.receive(guest.session)
        return ""

    made = network(store, repair=waiting)
    made.guests.flows["test.Responder"] = silent
    made.run()
    made.later(10 * MINUTE)
    assert [status for _, status, _ in system_flows(made)] == ["RUNNING"]
    assert OpenFlows(store, Unmetered()).count(holding(ALICE).short_hash) == 0


def test_a_guest_cannot_open_a_session_of_the_platforms_protocols():
    def guest(made: Guest) -> str:
        try:
            made.call("flow", "sub-flow", op="enter", flow="test.Sub", protocol=PROTOCOL)
        except CallFailed as failed:
            return failed.code
        return "entered"

    assert network(flow=guest).run().result == "request-invalid"


def test_a_cut_before_or_after_any_commit_changes_nothing():
    """A commit that fails, or whose success is not seen, at each place of both flows."""
    whole = outcome(None)
    assert whole == ([(REPAIR, "COMPLETED", ["answer", 1])], [{"asked": "x1", "by": ALICE}])
    place = 0
    while (cut := outcome(place)) is not None:
        assert cut == whole, place
        place += 1
    assert place > 4


class CutStore(MemoryStore):
    """Fails at one commit, before or after it."""

    def __init__(self, place: int | None) -> None:
        super().__init__()
        self.place = place
        self.commits = 0
        self.was_cut = False

    def commit(self, unit: Any) -> None:
        number, self.commits = self.commits, self.commits + 1
        if self.place is not None and number == self.place // 2 and not self.was_cut:
            self.was_cut = True
            if self.place % 2:
                super().commit(unit)
            raise OSError("cut")
        super().commit(unit)


def outcome(place: int | None) -> Any:
    store = CutStore(place)
    made = network(store, repair=ask_peer)
    try:
        made.start()
    except OSError:
        made.start() if store.get(f"status/{holding(ALICE).short_hash}/r1") is None else None
    made.engine.drain()
    for _ in range(12):
        made.later(MINUTE)
    if place is not None and not store.was_cut:
        return None
    assert store.scan("later/") == []
    # A cut delays the flow, which may have been started again by then: its effects are the same.
    ends = system_flows(made)
    return [end for number, end in enumerate(ends) if end not in ends[:number]], repaired(made)
