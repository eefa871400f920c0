from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from negotiation_contracts import (
    Accept,
    Asset,
    AssetKind,
    Expire,
    Modify,
    Party,
    Price,
    Proposal,
    Propose,
    Reject,
    Side,
)

from cordapp.contracts import Command, ContractState, TimeWindow
from cordapp_testkit import ContractRefusedError, Network

ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"


def price(amount: str) -> Price:
    return Price(Decimal(amount), "GBP")


def a_proposal(network: Network) -> Proposal:
    alice, bob = network.node(ALICE), network.node(BOB)
    return Proposal(
        id=UUID(int=1),
        asset=Asset("Gilt 2040", AssetKind.BOND, Decimal("100.5")),
        price=price("99.50"),
        buyer=Party(alice.name, alice.key),
        seller=Party(bob.name, bob.key),
        proposer=Side.BUYER,
        round=1,
        valid_until=datetime(2026, 1, 2, tzinfo=UTC),
    )


@pytest.fixture
def proposal(cordapp_network: Network) -> Proposal:
    return a_proposal(cordapp_network)


def countered(proposal: Proposal) -> Proposal:
    return replace(proposal, price=price("101"), proposer=Side.SELLER, round=2)


def test_a_negotiation_ends_with_a_trade(cordapp_network: Network, proposal: Proposal) -> None:
    keys, second = proposal.participants, countered(proposal)
    in_time = TimeWindow(until=proposal.valid_until)
    steps: list[tuple[list[ContractState], list[ContractState], Command]] = [
        ([], [proposal], Propose()),
        ([proposal], [second], Modify()),
        ([second], [second.trade()], Accept()),
        ([second], [], Reject("too dear")),
    ]
    for inputs, outputs, command in steps:
        cordapp_network.verify(
            inputs=inputs,
            outputs=outputs,
            commands=[command],
            signatories=keys,
            time_window=in_time,
        )


def test_what_is_no_negotiation_is_refused(cordapp_network: Network, proposal: Proposal) -> None:
    second = countered(proposal)
    trade = second.trade()
    refused: list[tuple[list[ContractState], list[ContractState], Command, str]] = [
        ([], [replace(proposal, price=price("0"))], Propose(), "price is positive"),
        ([], [second], Propose(), "first round has number 1"),
        ([proposal], [replace(second, proposer=Side.BUYER)], Modify(), "by the other side"),
        ([proposal], [replace(second, price=proposal.price)], Modify(), "changes the price"),
        ([second], [replace(trade, price=price("1"))], Accept(), "has what was proposed"),
        ([second], [], Reject(""), "has a reason"),
        ([second], [], Expire(), "time window begins when"),
        ([second], [trade], Accept(), "time window ends before"),
    ]
    for inputs, outputs, command, message in refused:
        with pytest.raises(ContractRefusedError, match=message):
            cordapp_network.verify(
                inputs=inputs,
                outputs=outputs,
                commands=[command],
                signatories=proposal.participants,
            )


def test_a_proposal_ends_by_its_time(native_network: Network) -> None:
    proposal = a_proposal(native_network)
    end = proposal.valid_until
    for begin, message in ((end, ""), (end - timedelta(seconds=1), "begins when")):
        window = TimeWindow(begin, end + timedelta(hours=1))
        refusal = pytest.raises(ContractRefusedError, match=message) if message else nullcontext()
        with refusal:
            native_network.verify(
                inputs=[proposal],
                commands=[Expire()],
                signatories=proposal.participants,
                time_window=window,
            )


def test_both_sign(cordapp_network: Network, proposal: Proposal) -> None:
    with pytest.raises(ContractRefusedError, match="both sign"):
        cordapp_network.verify(
            outputs=[proposal], commands=[Propose()], signatories=[proposal.buyer.key]
        )
