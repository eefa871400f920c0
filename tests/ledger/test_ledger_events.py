"""What the ledger tells its host, and the metrics that come of it."""

from typing import get_args

import pytest
from prometheus_client import CollectorRegistry

from host.domain.capability_error import CapabilityError
from host.ledger.events import (
    BatchDecided,
    ChainBegun,
    ChainVerified,
    FinalityEnded,
    LedgerEvent,
    Notarised,
    RepairGivenUp,
    StillUnverified,
    TokensClaimed,
    VaultFunctionFailed,
    VerificationDiffers,
)
from host.observe.ledger_observer import LedgerObserver
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, Nodes

METRICS = [
    (FinalityEnded("initiator", "final", 0.2), "finalities_ended_total",
     {"side": "initiator", "outcome": "final"}, 1),
    (FinalityEnded("receiver", "refused", 0.2), "finality_seconds_sum", {}, 0.2),
    (StillUnverified(700), "ledger_unverified_seconds_bucket", {"le": "1200.0"}, 1),
    (RepairGivenUp(), "ledger_repairs_given_up_total", {}, 1),
    (VerificationDiffers("run"), "ledger_verifications_differing_total", {"of": "run"}, 1),
    (ChainBegun(), "ledger_chains_total", {}, 1),
    (ChainVerified(20), "ledger_chain_transactions_total", {}, 20),
    (Notarised("InputStateConflict"), "notarisations_total", {"result": "InputStateConflict"}, 1),
    (BatchDecided(3), "notary_batch_requests_sum", {}, 3),
    (TokensClaimed("not-enough", 0.5), "token_claims_total", {"result": "not-enough"}, 1),
    (TokensClaimed("claimed", 0.5), "token_claim_seconds_sum", {}, 0.5),
    (VaultFunctionFailed(), "vault_functions_failed_total", {}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("event", "name", "labels", "value"), METRICS)
def test_each_event_is_counted(event, name, labels, value):
    registry = CollectorRegistry()
    LedgerObserver(registry)(event)
    assert registry.get_sample_value(f"cordbox_{name}", labels) == value


def test_all_events_are_among_those():
    assert {type(each[0]) for each in METRICS} == set(get_args(LedgerEvent))


@pytest.fixture
def nodes(node_stores, notary):
    return Nodes(*node_stores)


def test_a_finality_tells_of_itself_once_at_each_party(nodes):
    made = nodes.finality(nodes.build(5), BOB)
    ends = [FinalityEnded(side, "final", 0.0) for side in ("initiator", "receiver")]
    assert sorted(nodes.events, key=lambda event: event.side) == ends
    nodes.call(ALICE, "protocol.finish", {"id": made.id, "signatures": []})
    assert len(nodes.events) == 2


def test_refusals_tell_whose_they_are(nodes):
    nodes.finality(nodes.build(5), BOB, refuse={BOB: "no"})
    assert FinalityEnded("initiator", "refused", 0.0) in nodes.events
    nodes.notary.refuses = CapabilityError("notary-input-state-conflict", "spent")
    nodes.events.clear()
    nodes.finality(nodes.build(6), BOB)
    assert FinalityEnded("initiator", "rejected", 0.0) in nodes.events


def test_a_newcomers_chain_is_counted(nodes):
    (ref,) = nodes.final(5)
    (ref,) = nodes.final(6, inputs=[ref])
    nodes.events.clear()
    nodes.final(7, others=(BOB, CAROL), inputs=[ref])
    assert nodes.events.count(ChainBegun()) == 1
    assert sum(e.count for e in nodes.events if isinstance(e, ChainVerified)) == 2
