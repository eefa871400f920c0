"""Any order of steps and any lost session: after the repairs all parties have one status."""

import random

import pytest

from host.domain.capability_error import CapabilityError
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, Finality, Nodes

LOST = CapabilityError("session-error", "the other host is gone")
PARTIES = (ALICE, BOB, CAROL)


def go(made, chance, loses):
    """Run in a random order, losing sessions with a probability at each step."""
    going = list(made.parties)
    stuck = 0
    while stuck < 30:
        party = chance.choice(going)
        stuck = 0 if party.step_one() else stuck + 1
        if chance.random() < loses:
            lose(made, chance.choice(list(made.receivers)))
    for name in made.receivers:  # hosts notice in the end that the others are gone
        lose(made, name)
    for party in going:
        party.step()


def lose(made, name):
    for end in (made.initiator.ends[name], made.receivers[name].ends["r"]):
        end.error = end.error or LOST


def repaired(nodes, made):
    """Let all repairs happen, the last after the time window; answers the statuses."""
    for has_ended in (False, True):
        nodes.notary.has_window_ended = has_ended
        for name, party in zip(PARTIES, made.parties, strict=True):
            for later in list(party.later.values()):
                party.later = nodes.repair(name, later).later
    assert all(party.later == {} for party in made.parties)
    return [nodes.status(name, made.id) for name in PARTIES]


@pytest.mark.slow
@pytest.mark.parametrize("backchain", [True, False], ids=["backchain", "filtered"])
@pytest.mark.parametrize("loses", [0, 0.02, 0.05, 0.1])
def test_statuses_agree_after_the_repairs(node_stores, notary, backchain, loses):
    nodes = Nodes(*node_stores, backchain=backchain)
    ends = set()
    for seed in range(8):
        chance = random.Random(f"{seed} {loses} {backchain}")
        nodes.notary.has_window_ended = False
        (ref,) = nodes.final(5)
        signed = nodes.build(8, inputs=[ref], signatories=PARTIES)
        made = Finality(nodes, signed, [BOB, CAROL], by=ALICE)
        go(made, chance, loses)
        found = repaired(nodes, made)
        if made.id in nodes.notary.accepted:
            assert found == [("V", None)] * 3, seed
        else:
            # Who has not signed may keep it as unverified: it can never become final.
            assert not any(each and each[0] == "V" for each in found), seed
            assert found[0] in {("I", "notary"), ("I", "refused")}, seed
        ends.add(found[0])
    if loses == 0:
        assert ends == {("V", None)}
