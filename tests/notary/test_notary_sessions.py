"""What becomes of a flow that catches the notary's refusal, and of its session."""

import pytest

from cordapp_testkit import FlowFailedError
from host.tools.testkit.network import Network
from tests.notary.conftest import ALICE
from tests.notary.requests import NODE, SERVICE
from tests.notary.test_notary_finality import BOB, coins_code

__all__ = ["coins_code"]


@pytest.fixture
def alice(coins_code):
    with Network(coins_code) as network:
        network.notary(NODE, service=SERVICE)
        network.node(BOB)
        yield network.node(ALICE)


def pay(node, **payment):
    """A payment whose window has ended when the notary is asked."""
    given = {"notary": SERVICE, "amount": 5, "to": BOB, "seconds": -1}
    return node.start("coins_flows.PayStrictly", {**given, **payment})


def test_a_flow_that_waits_for_a_close_fails_as_its_counterparty_does(alice):
    with pytest.raises(FlowFailedError):
        pay(alice)
    (flow,) = alice.flows
    assert (flow.status, flow.error.code) == ("FAILED", "finality-failed")


def test_a_session_that_needs_no_close_ends_with_its_flow(alice):
    assert pay(alice, require_close=False) == "time-window-out-of-bounds"


def test_a_flow_that_closes_its_session_may_catch_that(alice):
    assert pay(alice, closes=True) == "closed: session-error"
