"""The resolution of a backchain: what is asked for, in which order it is verified, what is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.domain.capability_error import CapabilityError
from host.ledger.core.message_reading import read_reply
from host.ledger.core.messages import (
    ChainGet,
    ChainGetParameters,
    ChainStop,
    ChainTransactions,
    message_json,
)
from host.ledger.protocols import backchain
from host.ledger.protocols.backchain import Offer, resolve, serve
from host.ledger.protocols.steps import receive_from
from tests.ledger.program_network import Party, join, run
from tests.ledger.transactions import identifier
from tests.support.properties import examples

LIMITS = {"batch": 10, "transactions": 1000, "bytes": 1_000_000, "millis": 1_800_000}


class Vault:
    """The functions of a backchain over transactions that are nothing but ids."""

    def __init__(self, graph: dict[str, list[str]], verified: Any = (), unverified: Any = ()):
        self.graph = graph
        self.verified = set(verified)
        self.unverified = set(unverified)
        self.order: list[str] = []
        self.limits = dict(LIMITS)
        self.parameters = {"p"}
        self.count = 20
        self.served: list[str] = []
        self.prefix = 10

    def functions(self) -> Any:
        return {
            "plan": self.plan,
            "chain-limits": lambda _: self.limits,
            "take-chain": self.take,
            "take-parameters": lambda r: self.parameters.add(r["hash"]),
            "verify-chain": self.verify,
            "serve-chain": self.serve,
            "dependencies": lambda r: {"ids": [d for i in r["ids"] for d in self.graph[i]]},
            "serve-parameters": lambda r: {
                "payload": message_json(ChainStop()),
                "summary": {"sent": [], "dependencies": [], "parameters": []},
            },
        }

    def plan(self, request: Any) -> Any:
        ids = [each for each in request["ids"] if each not in self.verified]
        return {
            "ask": [each for each in ids if each not in self.unverified],
            "unverified": {each: self.graph[each] for each in ids if each in self.unverified},
        }

    def take(self, request: Any) -> Any:
        found = [each["id"] for each in request["payload"]["transactions"]]
        if len(set(found) - set(request["ids"])) > request["ahead"]:
            raise CapabilityError("backchain-unexpected", "not asked for")
        known = self.verified | self.unverified
        found = [each for each in found if each in request["ids"] or each not in known]
        self.unverified |= set(found)
        unknown = {"q"} - self.parameters if len(found) > 9 else set()
        return {
            "taken": {each: self.graph[each] for each in found},
            "parameters": sorted(unknown),
            "bytes": 100 * len(found),
        }

    def verify(self, request: Any) -> Any:
        for each in request["ids"][: self.count]:
            assert set(self.graph[each]) <= self.verified, "parents first"
            self.verified.add(each)
            self.order.append(each)
        return {"count": min(self.count, len(request["ids"]))}

    def serve(self, request: Any) -> Any:
        ids = request["ids"][: self.prefix]
        for each in ids if len(ids) == len(request["ids"]) else ():
            if len(ids) < len(request["ids"]) + request["ahead"]:
                ids += [d for d in self.graph[each] if d not in ids]
        ids = ids[: len(request["ids"]) + request["ahead"]]
        self.served += ids
        message = ChainTransactions(transactions=[{"id": each} for each in ids])
        return {
            "payload": message_json(message),
            "summary": {
                "sent": ids,
                "dependencies": [d for each in ids for d in self.graph[each]],
                "parameters": ["q"],
            },
        }


def server(request: Any) -> Any:
    offer = Offer()
    offer.add(request["offer"])
    while True:
        question = read_reply((yield from receive_from("s")))
        if isinstance(question, ChainStop):
            return "stopped"
        assert isinstance(question, ChainGet | ChainGetParameters)
        yield from serve("s", question, offer)


def resolver(request: Any) -> Any:
    yield from resolve("r", request["ids"])
    return "resolved"


def resolved(mine: Vault, theirs: Vault, ids: list[str]) -> tuple[Party, Party]:
    one = Party("O=Alice", resolver, {"ids": ids}, mine.functions())
    other = Party("O=Bob", server, {"offer": ids}, theirs.functions())
    join(one, "r", other, "s")
    run(one, other)
    return one, other


def asked_by(party: Party) -> set[str]:
    return {each for _, sent in party.sent if sent["kind"] == "get" for each in sent["ids"]}


def chain(length: int) -> dict[str, list[str]]:
    return {identifier(n): [identifier(n - 1)] if n else [] for n in range(length)}


def test_a_chain_is_verified_parents_first():
    graph = chain(50)
    mine = Vault(graph)
    one, other = resolved(mine, Vault(graph), [identifier(49)])
    assert (one.result, other.result) == ("resolved", "stopped")
    assert mine.order == [identifier(n) for n in range(50)]


def test_nothing_is_asked_for_that_is_verified():
    graph = chain(20)
    mine = Vault(graph, verified=list(graph)[:12])
    theirs = Vault(graph)
    one, _ = resolved(mine, theirs, [identifier(19)])
    assert one.result == "resolved"
    assert asked_by(one) == {identifier(19)}
    assert mine.order == list(graph)[12:]


def test_no_message_if_all_is_verified():
    graph = chain(5)
    one, _ = resolved(Vault(graph, verified=graph), Vault(graph), [identifier(4)])
    assert [kind["kind"] for _, kind in one.sent] == ["stop"]


def test_what_is_stored_unverified_is_not_asked_for_but_its_dependencies_are():
    graph = chain(20)
    mine = Vault(graph, unverified=list(graph)[10:])
    theirs = Vault(graph)
    one, _ = resolved(mine, theirs, [identifier(19)])
    assert one.result == "resolved"
    assert sorted(theirs.served) == sorted(list(graph)[:10])
    assert mine.order == list(graph)


def test_a_transaction_that_many_depend_on_is_asked_for_once():
    root, leaves = identifier(0), [identifier(n) for n in range(1, 30)]
    graph = {root: [], **{leaf: [root] for leaf in leaves}}
    theirs = Vault(graph)
    one, _ = resolved(Vault(graph), theirs, leaves)
    assert one.result == "resolved"
    assert sorted(theirs.served) == sorted(graph)


def test_unknown_parameters_are_asked_for():
    leaves = [identifier(n) for n in range(10)]
    mine = Vault({leaf: [] for leaf in leaves})
    one, _ = resolved(mine, Vault(mine.graph), leaves)
    assert one.result == "resolved"
    assert ("take-parameters", "q") in [(name, r.get("hash")) for name, r in one.calls]


@given(st.data())
@settings(max_examples=examples(100), deadline=None)
def test_any_graph_is_resolved_to_what_can_be_reached(data):
    """Random graphs of up to 60 transactions, with random prior knowledge and slow functions."""
    count = data.draw(st.integers(1, 60))
    graph = {}
    for n in range(count):
        older = st.lists(st.integers(0, n - 1), max_size=3, unique=True) if n else st.just([])
        graph[identifier(n)] = [identifier(each) for each in data.draw(older)]
    tops = data.draw(st.lists(st.sampled_from(list(graph)), min_size=1, max_size=4, unique=True))
    verified: set[str] = set()
    for each, below in graph.items():  # what is verified has verified dependencies
        if set(below) <= verified and data.draw(st.booleans()):
            verified.add(each)
    unverified = data.draw(st.sets(st.sampled_from(list(graph)))) - verified
    mine, theirs = Vault(graph, verified, unverified), Vault(graph)
    mine.count, theirs.prefix = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 10))
    one, _ = resolved(mine, theirs, tops)
    assert one.result == "resolved"
    reachable, new = set(), list(tops)
    while new:
        each = new.pop()
        if each not in reachable and each not in verified:
            reachable.add(each)
            new += graph[each]
    assert set(mine.order) == reachable
    assert len(mine.order) == len(reachable)
    assert asked_by(one) <= reachable - unverified <= set(theirs.served)


def test_a_server_serves_only_what_it_offered():
    graph = chain(3)
    theirs = Vault({**graph, identifier(99): []})
    other = Party("O=Bob", server, {"offer": [identifier(2)]}, theirs.functions())
    one = Party("O=Alice", resolver, {"ids": [identifier(99)]}, Vault(theirs.graph).functions())
    join(one, "r", other, "s")
    run(one, other)
    assert other.result.code == "backchain-unexpected"
    assert theirs.served == []
    assert one.result.code == "session-error"


def test_a_server_serves_no_parameters_that_it_did_not_name():
    theirs = Vault(chain(1))
    other = Party("O=Bob", server, {"offer": []}, theirs.functions())
    other.session("s")
    other.ends["s"].inbox.append(message_json(ChainGetParameters(hash="SHA-256:00")))
    run(other)
    assert other.result.code == "backchain-unexpected"
    assert other.calls == []


@pytest.mark.parametrize(("limit", "value"), [("transactions", 30), ("bytes", 900), ("millis", -1)])
def test_a_chain_beyond_a_limit_is_refused(limit, value):
    graph = chain(100)
    mine = Vault(graph)
    mine.limits[limit] = value
    one, _ = resolved(mine, Vault(graph), [identifier(99)])
    assert one.result.code == "backchain-too-large"
    assert mine.order == []


def test_a_cycle_is_refused():
    """Ids are hashes; only what is not checked can depend on itself."""
    graph = {identifier(0): [identifier(1)], identifier(1): [identifier(0)]}
    one, _ = resolved(Vault(graph), Vault(graph), [identifier(0)])
    assert one.result.code == "backchain-invalid"


def test_a_peer_that_does_not_answer_is_given_up():
    one = Party("O=Alice", resolver, {"ids": [identifier(0)]}, Vault(chain(1)).functions())
    one.session("r")
    run(one)
    assert one.pending.within_ms == backchain.ANSWER_MS
    assert not one.is_over


def test_what_was_verified_before_a_failure_stays():
    graph = chain(10)
    mine = Vault(graph)
    functions = mine.functions()

    def verify(request: Any) -> Any:
        if mine.order:
            raise CapabilityError("backchain-invalid", "a contract refuses")
        mine.count = 4
        return mine.verify(request)

    one = Party(
        "O=Alice", resolver, {"ids": [identifier(9)]}, {**functions, "verify-chain": verify}
    )
    other = Party("O=Bob", server, {"offer": [identifier(9)]}, Vault(graph).functions())
    join(one, "r", other, "s")
    run(one, other)
    assert one.result.code == "backchain-invalid"
    assert mine.verified == {identifier(n) for n in range(4)}


def test_the_rows_of_a_long_chain_are_small():
    """A thousand transactions: answers and requests that name them take less than 1 MiB."""
    graph = chain(1000)
    mine = Vault(graph)
    mine.limits["bytes"] = 10**9
    one, _ = resolved(mine, Vault(graph), [identifier(999)])
    assert one.result == "resolved"
    assert len(mine.order) == 1000
    assert one.answer_characters < 1024 * 1024
