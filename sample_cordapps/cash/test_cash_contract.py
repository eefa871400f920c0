from dataclasses import replace
from decimal import Decimal

import pytest
from cash_contracts import Cash, Issue, Move, Redeem

from cordapp.contracts import Command
from cordapp_testkit import ContractRefusedError, Network

BANK, ALICE, BOB = (f"O={name}, L=London, C=GB" for name in ("Bank", "Alice", "Bob"))


class Desk:
    """Cash of one bank, and transactions about it."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.keys = {name: network.node(name).key for name in (BANK, ALICE, BOB)}

    def cash(self, amount: str, owner: str = ALICE, currency: str = "GBP") -> Cash:
        return Cash(
            issuer=BANK,
            issuer_key=self.keys[BANK],
            owner=owner,
            owner_key=self.keys[owner],
            currency=currency,
            amount=Decimal(amount),
        )

    def verify(
        self, command: Command, inputs: list[Cash], outputs: list[Cash], *signers: str
    ) -> None:
        self.network.verify(
            inputs=inputs,
            outputs=outputs,
            commands=[command],
            signatories=[self.keys[name] for name in signers],
        )


@pytest.fixture
def desk(cordapp_network: Network) -> Desk:
    return Desk(cordapp_network)


def test_the_bank_issues_cash(desk: Desk) -> None:
    desk.verify(Issue(), [], [desk.cash("10"), desk.cash("5", BOB)], BANK)


def test_cash_moves_in_parts(desk: Desk) -> None:
    spent = [desk.cash("10"), desk.cash("5")]
    desk.verify(Move(), spent, [desk.cash("12.50", BOB), desk.cash("2.50")], ALICE)


def test_cash_is_redeemed_with_change(desk: Desk) -> None:
    desk.verify(Redeem(), [desk.cash("10")], [desk.cash("2.50")], ALICE, BANK)
    desk.verify(Redeem(), [desk.cash("10")], [], ALICE, BANK)


def refused(message: str, desk: Desk, *transaction: object) -> None:
    with pytest.raises(ContractRefusedError, match=message):
        desk.verify(*transaction)  # type: ignore[arg-type]


def test_what_breaks_the_rules_is_refused(desk: Desk) -> None:
    ten, eleven = desk.cash("10"), desk.cash("11", BOB)
    refused("The bank signs", desk, Issue(), [], [ten], ALICE)
    refused("An issue spends no cash", desk, Issue(), [ten], [ten], ALICE, BANK)
    refused("more than 0", desk, Issue(), [], [desk.cash("0")], BANK)
    refused("more than 0", desk, Move(), [ten], [eleven, desk.cash("-1")], ALICE)
    refused("neither made nor lost", desk, Move(), [ten], [eleven], ALICE)
    refused("neither made nor lost", desk, Move(), [ten], [desk.cash("10", BOB, "EUR")], ALICE)
    other = replace(ten, issuer=BOB)
    refused("neither made nor lost", desk, Move(), [ten], [other], ALICE)
    refused("Who holds cash signs", desk, Move(), [ten], [desk.cash("10", BOB)], BOB)
    refused("The bank signs", desk, Redeem(), [ten], [], ALICE)
    refused("the rest stays", desk, Redeem(), [ten], [ten], ALICE, BANK)
    refused("the rest stays", desk, Redeem(), [ten], [eleven], ALICE, BANK)
