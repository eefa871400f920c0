"""The version of the platform's protocols, by what the member list says of counterparties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain.membership import MemberInfo, MemberStatus
from host.domain.platform import PLATFORM_VERSION
from host.ledger.core.messages import VERSION
from host.ledger.core.protocol_versions import SPOKEN_SINCE, highest_spoken
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, Nodes
from tests.ledger.test_ledger_builders import EMPTY, parties
from tests.ledger.test_ledger_transfer import show, transfer
from tests.services.support import GROUP_ID

LATER = {1: 50_200, 2: 50_300, 4: 60_000}
"""What a later release may speak."""


@pytest.mark.parametrize(
    ("platforms", "version"),
    [
        ((50_200,), 1),
        ((50_299, 60_000), 1),
        ((50_300, 60_000), 2),
        ((70_000, 60_000), 4),
        ((50_199, 60_000), None),
        ((), 4),
    ],
)
def test_the_highest_version_that_all_speak(platforms, version):
    assert highest_spoken(platforms, LATER) == version


@given(st.lists(st.integers(50_000, 70_000), min_size=1))
def test_each_counterparty_speaks_the_version_found(platforms):
    found = highest_spoken(platforms, LATER)
    known = [v for v, least in LATER.items() if all(least <= each for each in platforms)]
    assert found == (max(known) if known else None)


def test_this_release_speaks_its_newest_version():
    assert highest_spoken([PLATFORM_VERSION]) == max(SPOKEN_SINCE) == VERSION


@pytest.fixture
def nodes(node_stores, notary):
    return Nodes(*node_stores)


def on(nodes, monkeypatch, **platforms):
    """The member list gives these members a platform version."""
    known = {{"alice": ALICE, "bob": BOB, "carol": CAROL}[k]: v for k, v in platforms.items()}

    def lookup(viewer, name):
        if (version := known.get(str(name))) is None:
            return None
        return MemberInfo(
            name=name,
            group_id=GROUP_ID,
            status=MemberStatus.ACTIVE,
            ledger_keys=(),
            platform_version=version,
            serial=1,
            member_context=(),
            mgm_context=(),
        )

    monkeypatch.setattr(nodes.group, "lookup", lookup)


def test_a_counterparty_that_is_too_old_is_refused_before_it_is_sent_anything(nodes, monkeypatch):
    signed = nodes.build(5, signatories=(ALICE, BOB, CAROL))
    on(nodes, monkeypatch, bob=60_000, carol=50_100)
    made = nodes.finality(signed, BOB, CAROL)
    assert made.result.code == "protocol-version-unknown"
    assert CAROL in made.result.message
    assert "50100" in made.result.message
    assert made.seen == []
    assert nodes.notary.asked == []
    assert nodes.statuses(made.id, ALICE, BOB, CAROL) == [None] * 3


def test_a_newer_counterparty_is_spoken_to_in_the_version_that_both_know(nodes, monkeypatch):
    on(nodes, monkeypatch, bob=60_000)
    made = nodes.finality(nodes.build(5), BOB)
    assert nodes.statuses(made.id, ALICE, BOB) == ["V", "V"]
    assert {payload["v"] for party in made.parties for _, payload in party.sent} == {1}


def test_transfers_and_builders_are_refused_in_the_same_way(nodes, monkeypatch):
    (ref,) = nodes.final(5)
    signed = nodes.stored(ALICE, ref.rpartition(":")[0]).signed.to_json()
    on(nodes, monkeypatch, carol=50_199)
    for send in (transfer, show):
        more = {"backchain": True} if send is transfer else {}
        alice, _ = send(nodes, signed, CAROL, **more)
        assert alice.result.code == "protocol-version-unknown"
        assert alice.sent == []
    one, _ = parties(nodes, EMPTY, lambda received: received, by=ALICE, to=CAROL)
    one.step()
    assert one.result.code == "protocol-version-unknown"
