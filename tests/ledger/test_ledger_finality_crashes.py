"""A process is lost at each operation of a finality, at each party: the end is the same."""

import pytest

from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, Finality, Nodes

PARTIES = (ALICE, BOB, CAROL)


def prepared(nodes):
    """A finality of three, whose receiver Carol resolves a chain."""
    (ref,) = nodes.final(5)
    signed = nodes.build(8, inputs=[ref], signatories=PARTIES)
    return Finality(nodes, signed, [BOB, CAROL], by=ALICE)


def go(made, crashing=None, at=None):
    """Run to the end; the party `crashing` is lost before its operation `at` is answered."""
    party = None if crashing is None else parties(made)[crashing]
    going = True
    while going:
        going = False
        for each in made.parties:
            if each is party and len(each.operations) == at and not each.is_over:
                each.crash()
                party = None
            going |= each.step_one()
    assert party is None, "it has so many operations"


def parties(made):
    return {ALICE: made.initiator, **made.receivers}


def end_of(nodes, made):
    """What is left of it at each node."""
    return [
        (
            nodes.status(name, made.id),
            sorted(each.by for each in nodes.stored(name, made.id).signed.signatures),
            nodes.unconsumed(name),
            party.later,
            party.is_over and not isinstance(party.result, Exception),
        )
        for name, party in parties(made).items()
    ]


@pytest.fixture(params=[True, False], ids=["backchain", "filtered"])
def made_nodes(request, node_stores, notary):
    return Nodes(*node_stores, backchain=request.param)


@pytest.mark.slow
@pytest.mark.parametrize("crashing", PARTIES)
def test_each_cut_ends_as_without(made_nodes, crashing):
    nodes = made_nodes
    whole = prepared(nodes)
    go(whole)
    expected = [(*each[:2], *each[3:]) for each in end_of(nodes, whole)]
    assert [each[0] for each in expected] == [("V", None)] * 3
    count = len(parties(whole)[crashing].operations)
    assert count >= 10 if crashing == ALICE else count >= 7
    for at in range(1, count + 1):
        before = [nodes.unconsumed(name) for name in PARTIES]
        made = prepared(nodes)
        go(made, crashing, at)
        found = end_of(nodes, made)
        assert [(*each[:2], *each[3:]) for each in found] == expected, at
        assert [each[2] for each in found] == [[*each, 8] for each in before], at
