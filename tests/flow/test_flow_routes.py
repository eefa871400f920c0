"""Where messages go is asked of one port, and one place hands those to others that leave."""

from dataclasses import dataclass, field

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.ids import HoldingIdentity
from host.flow.core.events import MessageRefused
from host.flow.core.messages import P2P_OUT_TOPIC, decode_message
from host.ports.routes import Here, Hold, Link, Refused, Route
from tests.flow.network import ALICE, BOB, Flow, Network, holding
from tests.flow.queues import ALICES
from tests.flow.scripted import CallFailed, Guest

PARKS_ITSELF = True
CAROL = "O=Carol, L=Rome, C=IT"


@dataclass
class Table:
    """Routes that a test sets; `then` take their place once a route was asked for."""

    to: dict[str, Route] = field(default_factory=dict)
    then: dict[str, Route] = field(default_factory=dict)
    refusals: dict[str, Refused] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        name = str(target.x500_name)
        self.asked.append((str(source.x500_name), name))
        found = self.to.get(name, Here(target.short_hash))
        self.to |= self.then
        return found

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        return self.refusals.get(str(target.x500_name))


def sends(name: str) -> Flow:
    def run(guest: Guest) -> str:
        try:
            session = guest.open(name)
            guest.send(session, "hello")
            return str(guest.receive(session))
        except CallFailed as failed:
            return failed.code

    return run


def answers(guest: Guest) -> str:
    guest.send(guest.session, guest.receive(guest.session))
    return "answered"


def network(table: Table, name: str) -> Network:
    flows = {"test.Initiator": sends(name), "test.Responder": answers}
    made = Network(MemoryStore(), flows, routes=table)
    made.start()
    made.engine.drain()
    return made


def leaving(made: Network, pair: str) -> list[bytes]:
    """Values that wait to leave, all of Alice and by one pair."""
    found = []
    for queue in made.store.waiting([P2P_OUT_TOPIC]):
        taken = made.store.take(queue, 100).records
        assert {(queue.node, record.key) for record in taken} == {(ALICES, pair)}
        found += [record.value for record in taken]
    return found


@pytest.mark.parametrize("route", [Link("a-c"), Hold("a-c")])
def test_a_message_to_a_member_elsewhere_leaves_by_its_pair(route: Route) -> None:
    """Nobody of that name has a node here: the engine does not look for one."""
    table = Table(to={CAROL: route})
    made = network(table, CAROL)
    (value,) = leaving(made, "a-c")
    message = decode_message(value)
    assert (message.source.name, message.target.name) == (ALICE, CAROL)
    assert made.store.waiting(["flow.mapper.session.out"]) == []
    assert set(table.asked) == {(ALICE, CAROL)}


def test_what_is_refused_fails_the_call_by_its_code() -> None:
    made = network(Table(to={CAROL: Refused("counterparty-suspended", "is suspended")}), CAROL)
    assert made.service.status(ALICES, "r1").result == "counterparty-suspended"
    assert leaving(made, "") == []


def test_who_does_not_accept_refuses_the_session_to_its_sender() -> None:
    made = network(Table(refusals={BOB: Refused("counterparty-inactive", "no messages")}), BOB)
    assert made.service.status(ALICES, "r1").result == "session-error"
    assert [e.code for e in made.events if isinstance(e, MessageRefused)] == [
        "counterparty-inactive"
    ]


def test_a_member_that_moved_after_a_session_was_opened_is_found_where_it_is() -> None:
    made = network(Table(then={BOB: Link("a-b")}), BOB)
    (value,) = leaving(made, "a-b")
    assert decode_message(value).target.name == BOB
    assert holding(BOB).short_hash not in {q.node for q in made.store.waiting(["flow.event"])}
