from dataclasses import replace
from typing import Any

import pytest
from iou_contracts import Iou, Issue, Settle, Transfer

from cordapp_testkit import ContractRefusedError, Network

ALICE, BOB, CHARLIE = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))


@pytest.fixture
def iou(cordapp_network: Network) -> Iou:
    return Iou(
        linear_id="1",
        borrower=ALICE,
        lender=BOB,
        borrower_key=cordapp_network.node(ALICE).key,
        lender_key=cordapp_network.node(BOB).key,
        amount=100,
        currency="GBP",
    )


def test_issue_is_accepted(cordapp_network: Network, iou: Iou) -> None:
    cordapp_network.verify(outputs=[iou], commands=[Issue()], signatories=iou.participants)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": 0}, "An IOU's amount must be positive"),
        ({"amount": -1}, "An IOU's amount must be positive"),
        ({"paid": 1}, "A new IOU has nothing paid yet"),
        ({"lender": ALICE}, "Borrower and lender must differ"),
        ({"currency": "pounds"}, "An IOU's currency is an ISO 4217 code such as GBP"),
    ],
)
def test_issue_of_a_wrong_iou_is_refused(
    cordapp_network: Network, iou: Iou, changes: dict[str, Any], message: str
) -> None:
    wrong = replace(iou, **changes)
    with pytest.raises(ContractRefusedError) as refused:
        cordapp_network.verify(outputs=[wrong], commands=[Issue()], signatories=wrong.participants)
    assert refused.value.failures == [
        {
            "contract": "iou_contracts.IouContract",
            "states": ["iou_contracts.Iou"],
            "type": "RequirementError",
            "message": message,
        }
    ]


def test_both_must_sign(cordapp_network: Network, iou: Iou) -> None:
    with pytest.raises(ContractRefusedError, match="must both sign"):
        cordapp_network.verify(outputs=[iou], commands=[Issue()], signatories=[iou.borrower_key])


def test_one_command_only(cordapp_network: Network, iou: Iou) -> None:
    with pytest.raises(ContractRefusedError, match="exactly one command"):
        cordapp_network.verify(
            outputs=[iou], commands=[Issue(), Transfer()], signatories=iou.participants
        )


def test_settle_in_part_and_in_full(cordapp_network: Network, iou: Iou) -> None:
    part = replace(iou, paid=40)
    cordapp_network.verify(
        inputs=[iou], outputs=[part], commands=[Settle(40)], signatories=iou.participants
    )
    cordapp_network.verify(inputs=[part], commands=[Settle(60)], signatories=iou.participants)


@pytest.mark.parametrize(
    ("amount", "changes", "message"),
    [
        (0, {}, "A settlement's amount must be positive"),
        (101, {"paid": 101}, "cannot exceed what is outstanding"),
        (40, {"paid": 50}, "changes only what is paid"),
        (40, {"paid": 40, "currency": "USD"}, "changes only what is paid"),
    ],
)
def test_wrong_settlement_is_refused(
    cordapp_network: Network, iou: Iou, amount: int, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ContractRefusedError, match=message):
        cordapp_network.verify(
            inputs=[iou],
            outputs=[replace(iou, **changes)],
            commands=[Settle(amount)],
            signatories=iou.participants,
        )


def test_settlement_cannot_make_the_iou_vanish(cordapp_network: Network, iou: Iou) -> None:
    with pytest.raises(ContractRefusedError, match="changes only what is paid"):
        cordapp_network.verify(inputs=[iou], commands=[Settle(1)], signatories=iou.participants)


def test_transfer_changes_the_lender_and_nothing_else(cordapp_network: Network, iou: Iou) -> None:
    charlie = cordapp_network.node(CHARLIE)
    sold = replace(iou, lender=CHARLIE, lender_key=charlie.key)
    keys = [*iou.participants, charlie.key]
    cordapp_network.verify(inputs=[iou], outputs=[sold], commands=[Transfer()], signatories=keys)
    with pytest.raises(ContractRefusedError, match="changes only the lender"):
        cordapp_network.verify(
            inputs=[iou],
            outputs=[replace(sold, amount=1)],
            commands=[Transfer()],
            signatories=keys,
        )
