from dataclasses import replace
from decimal import Decimal

import pytest
from dvp_contracts import Bond, IssueBond, IssueMoney, Money, MoveBond, MoveMoney

from cordapp.contracts import Command, ContractState
from cordapp_testkit import ContractRefusedError, Network

BANK, ALICE, BOB = (f"O={name}, L=London, C=GB" for name in ("Bank", "Alice", "Bob"))


class Desk:
    """A bond and money, and transactions about them."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.keys = {name: network.node(name).key for name in (BANK, ALICE, BOB)}

    def bond(self, owner: str, price: str = "80") -> Bond:
        keys = self.keys
        return Bond(
            issuer=ALICE,
            issuer_key=keys[ALICE],
            owner=owner,
            owner_key=keys[owner],
            name="A1",
            price=Decimal(price),
        )

    def money(self, owner: str, amount: str) -> Money:
        keys = self.keys
        return Money(
            bank=BANK,
            bank_key=keys[BANK],
            owner=owner,
            owner_key=keys[owner],
            amount=Decimal(amount),
        )

    def verify(
        self,
        commands: list[Command],
        inputs: list[ContractState],
        outputs: list[ContractState],
        *signers: str,
    ) -> None:
        self.network.verify(
            inputs=inputs,
            outputs=outputs,
            commands=commands,
            signatories=[self.keys[name] for name in signers],
        )


@pytest.fixture
def desk(cordapp_network: Network) -> Desk:
    return Desk(cordapp_network)


def test_a_bond_is_issued_and_so_is_money(desk: Desk) -> None:
    desk.verify([IssueBond()], [], [desk.bond(ALICE)], ALICE)
    desk.verify([IssueMoney()], [], [desk.money(BOB, "90")], BANK)


def test_a_bond_moves_against_money(desk: Desk) -> None:
    spent = [desk.money(BOB, "90"), desk.bond(ALICE)]
    made = [desk.money(ALICE, "80"), desk.money(BOB, "10"), desk.bond(BOB)]
    desk.verify([MoveMoney(), MoveBond()], spent, made, ALICE, BOB)


def refused(message: str, desk: Desk, *transaction: object) -> None:
    with pytest.raises(ContractRefusedError, match=message):
        desk.verify(*transaction)  # type: ignore[arg-type]


def test_what_breaks_the_rules_of_bonds_is_refused(desk: Desk) -> None:
    mine, his = desk.bond(ALICE), desk.bond(BOB)
    refused("The issuer signs", desk, [IssueBond()], [], [mine], BOB)
    refused("An issue spends no bond", desk, [IssueBond()], [mine], [his], ALICE)
    refused("one command about bonds", desk, [IssueBond(), MoveBond()], [mine], [his], ALICE)
    refused("makes one bond", desk, [MoveBond()], [mine], [], ALICE)
    refused("makes one bond", desk, [MoveBond()], [mine], [his, his], ALICE)
    refused("One bond moves", desk, [MoveBond()], [mine, mine], [his], ALICE)
    refused("owner signs its sale", desk, [MoveBond()], [mine], [his], BOB)
    refused("its owner only", desk, [MoveBond()], [mine], [desk.bond(BOB, "1")], ALICE)


def test_what_breaks_the_rules_of_money_is_refused(desk: Desk) -> None:
    ten, eleven = desk.money(BOB, "10"), desk.money(ALICE, "11")
    refused("The bank signs", desk, [IssueMoney()], [], [ten], BOB)
    refused("An issue spends no money", desk, [IssueMoney()], [ten], [ten], BOB, BANK)
    refused("more than 0", desk, [IssueMoney()], [], [desk.money(BOB, "0")], BANK)
    refused("Who holds money signs", desk, [MoveMoney()], [ten], [desk.money(ALICE, "10")], ALICE)
    refused("neither made nor lost", desk, [MoveMoney()], [ten], [eleven], BOB)
    other = replace(ten, bank=ALICE, bank_key=desk.keys[ALICE])
    refused("neither made nor lost", desk, [MoveMoney()], [ten], [other], BOB)
    refused("one command about money", desk, [MoveBond()], [ten, desk.bond(ALICE)],
            [ten, desk.bond(BOB)], ALICE, BOB)  # fmt: skip
