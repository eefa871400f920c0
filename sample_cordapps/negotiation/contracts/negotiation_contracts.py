"""Negotiations: two members propose prices of an asset in turn, until one accepts or it ends."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated
from uuid import UUID

from cordapp.contracts import (
    Command,
    Contract,
    ContractState,
    PublicKey,
    UtxoLedgerTransaction,
    belongs_to,
    require,
)
from cordapp.schema import Constraint

Currency = Annotated[str, Constraint(pattern="^[A-Z]{3}$")]


class AssetKind(Enum):
    BOND = "bond"
    EQUITY = "equity"
    PROPERTY = "property"


class Side(Enum):
    BUYER = "buyer"
    SELLER = "seller"

    @property
    def other(self) -> "Side":
        return Side.SELLER if self is Side.BUYER else Side.BUYER


@dataclass(frozen=True)
class Asset:
    name: str
    kind: AssetKind
    quantity: Decimal


@dataclass(frozen=True)
class Price:
    amount: Decimal
    currency: Currency


@dataclass(frozen=True)
class Party:
    name: str
    key: PublicKey


@dataclass(frozen=True)
class Propose(Command):
    """A new proposal."""


@dataclass(frozen=True)
class Modify(Command):
    """The other side proposes another price."""


@dataclass(frozen=True)
class Accept(Command):
    """The other side takes the price: the proposal becomes a trade."""


@dataclass(frozen=True)
class Reject(Command):
    """The other side wants no trade."""

    reason: str


@dataclass(frozen=True)
class Expire(Command):
    """The proposal is no longer valid."""


def _is_one_proposal(proposal: "Proposal") -> None:
    require(proposal.price.amount > 0, "A price is positive")
    require(proposal.asset.quantity > 0, "A quantity is positive")
    require(proposal.buyer.name != proposal.seller.name, "Buyer and seller differ")


class NegotiationContract(Contract):
    """One command, at most one proposal before and one state after, and the signatures of both."""

    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        require(len(transaction.commands) == 1, "A negotiation's transaction has one command")
        before = transaction.get_input_states(Proposal)
        proposals = transaction.get_output_states(Proposal)
        trades = transaction.get_output_states(Trade)
        require(not transaction.get_input_states(Trade), "A trade cannot be consumed")
        require(len(before) <= 1 and len(proposals) + len(trades) <= 1, "One state at a time")
        command = transaction.commands[0]
        match command:
            case Propose():
                require(not before and proposals, "A proposal comes from nothing")
                require(proposals[0].round == 1, "The first round has number 1")
                _is_one_proposal(proposals[0])
            case Modify():
                require(before and proposals, "A modification replaces a proposal")
                self._verify_modification(before[0], proposals[0])
                self._is_in_time(before[0], transaction)
            case Accept():
                require(before and trades, "An acceptance makes a trade of a proposal")
                require(trades[0] == before[0].trade(), "A trade has what was proposed")
                self._is_in_time(before[0], transaction)
            case Reject(reason):
                require(before and not proposals and not trades, "A rejection leaves nothing")
                require(reason, "A rejection has a reason")
            case Expire():
                require(before and not proposals and not trades, "An expiry leaves nothing")
                self._verify_expiry(before[0], transaction)
            case _:
                name = type(command).__name__
                require(condition=False, message=f"{name} is no command of negotiations")
        for state in [*before, *proposals, *trades]:
            for key in state.participants:
                require(key in transaction.signatories, "Buyer and seller both sign")

    @staticmethod
    def _verify_modification(before: "Proposal", after: "Proposal") -> None:
        _is_one_proposal(after)
        require(after.price != before.price, "A modification changes the price")
        require(after.price.currency == before.price.currency, "The currency stays")
        expected = replace(
            before,
            price=after.price,
            proposer=before.proposer.other,
            round=before.round + 1,
            valid_until=after.valid_until,
        )
        require(after == expected, "A modification changes price and validity, by the other side")

    @staticmethod
    def _is_in_time(before: "Proposal", transaction: UtxoLedgerTransaction) -> None:
        window = transaction.time_window
        until = window.until if window is not None else None
        require(
            until is not None and until <= before.valid_until,
            "An answer's time window ends before the proposal does",
        )

    @staticmethod
    def _verify_expiry(before: "Proposal", transaction: UtxoLedgerTransaction) -> None:
        window = transaction.time_window
        begin = window.from_ if window is not None else None
        require(
            begin is not None and begin >= before.valid_until,
            "An expiry's time window begins when the proposal ends",
        )


@belongs_to(NegotiationContract)
@dataclass(frozen=True, kw_only=True)
class Proposal(ContractState):
    """A price that one side has proposed and the other has not answered."""

    id: UUID
    asset: Asset
    price: Price
    buyer: Party
    seller: Party
    proposer: Side
    round: int
    valid_until: datetime

    @property
    def participants(self) -> list[PublicKey]:
        return [self.buyer.key, self.seller.key]

    def party(self, side: Side) -> Party:
        return self.buyer if side is Side.BUYER else self.seller

    def trade(self) -> "Trade":
        return Trade(
            id=self.id,
            asset=self.asset,
            price=self.price,
            buyer=self.buyer,
            seller=self.seller,
            rounds=self.round,
        )


@belongs_to(NegotiationContract)
@dataclass(frozen=True, kw_only=True)
class Trade(ContractState):
    """What both sides have agreed on."""

    id: UUID
    asset: Asset
    price: Price
    buyer: Party
    seller: Party
    rounds: int

    @property
    def participants(self) -> list[PublicKey]:
        return [self.buyer.key, self.seller.key]
