"""Delivery of goods: a buyer orders by a seller's price list, and a carrier brings the goods."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, NamedTuple, NotRequired, TypedDict
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

Quantity = Annotated[int, Constraint(ge=1, le=10_000)]


class RuleError(ValueError):
    """A broken rule with a code of its own, which clients find in the flow's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Handling(StrEnum):
    COLD = "cold"
    FRAGILE = "fragile"
    HAZARDOUS = "hazardous"


class Status(Enum):
    ORDERED = "ordered"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    DISPUTED = "disputed"
    SETTLED = "settled"


class Party(NamedTuple):
    name: str
    key: PublicKey


class Line(NamedTuple):
    """So many pieces of an article, at the price of one."""

    article: str
    quantity: Quantity
    price: Decimal


class Window(NamedTuple):
    """Days and hours at which goods may arrive, first and last included; hours are UTC."""

    first: date
    last: date
    opens: time
    closes: time

    def contains(self, instant: datetime) -> bool:
        day_fits = self.first <= instant.date() <= self.last
        return day_fits and self.opens <= instant.time() <= self.closes


class Options(TypedDict):
    """What a buyer may ask for."""

    note: NotRequired[str]
    insured_for: NotRequired[Decimal]


@dataclass(frozen=True)
class Complaint:
    """Pieces that were missing or broken, by article."""

    missing: Mapping[str, int]
    text: str


@dataclass(frozen=True)
class Publish(Command):
    """A seller's prices, or new ones in the place of the old."""


@dataclass(frozen=True)
class Place(Command):
    """Buyer and seller agree on an order; the carrier takes note."""


@dataclass(frozen=True)
class Ship(Command):
    """The seller hands parcels over to the carrier."""


@dataclass(frozen=True)
class Deliver(Command):
    """The carrier hands parcels over to the buyer."""


@dataclass(frozen=True)
class Dispute(Command):
    """The buyer complains."""


@dataclass(frozen=True)
class Settle(Command):
    """Buyer and seller agree on a refund."""

    refund: Decimal


class PriceListContract(Contract):
    """A seller's price list is the seller's alone."""

    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        if not transaction.get_commands(Publish):
            require(not transaction.get_input_states(PriceList), "Price lists end by new ones")
            require(not transaction.get_output_states(PriceList), "Prices have to be published")
            return
        before = transaction.get_input_states(PriceList)
        after = transaction.get_output_states(PriceList)
        require(len(before) <= 1 and len(after) == 1, "One price list at a time")
        prices = after[0]
        require(prices.prices, "A price list has prices")
        require(all(price > 0 for price in prices.prices.values()), "Prices are positive")
        require(all(old.seller == prices.seller for old in before), "The seller stays")
        require(prices.seller.key in transaction.signatories, "The seller signs its prices")


class OrderContract(Contract):
    """An order goes from one status to the next, signed by those whose step it is."""

    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        before = transaction.get_input_states(Order)
        after = transaction.get_output_states(Order)
        require(len(transaction.commands) == 1, "An order's transaction has one command")
        require(len(before) <= 1 and len(after) == 1, "One order at a time")
        order = after[0]
        match transaction.commands[0]:
            case Place():
                require(not before, "A new order comes from nothing")
                self._verify_placed(order, transaction)
                signers = [order.buyer, order.seller]
            case Ship():
                expected = self._step(before, Status.ORDERED, order, parcels=order.parcels)
                require(order == expected, "Shipping changes status and parcels")
                packed = set().union(*order.parcels.values())
                require(packed == {line.article for line in order.lines}, "All articles are packed")
                signers = [order.seller, order.carrier]
            case Deliver():
                expected = self._step(before, Status.SHIPPED, order, delivered=order.delivered)
                require(order == expected, "A delivery changes status and instant")
                self._verify_delivered(order, transaction)
                signers = [order.carrier, order.buyer]
            case Dispute():
                expected = self._step(before, Status.DELIVERED, order, complaint=order.complaint)
                require(order == expected and order.complaint, "A dispute adds a complaint")
                signers = [order.buyer]
            case Settle(refund):
                expected = self._step(before, Status.DISPUTED, order, refund=refund)
                require(order == expected, "A settlement sets the refund")
                require(0 <= refund <= order.amount, "A refund is at most the order's amount")
                signers = [order.buyer, order.seller]
            case command:
                raise RuleError("delivery-command", f"{type(command).__name__} is for no order")
        for party in signers:
            require(party.key in transaction.signatories, f"{party.name} signs this step")

    @staticmethod
    def _step(before: list["Order"], status: Status, after: "Order", **changes: object) -> "Order":
        """The order before this step, with what the step may change."""
        require(len(before) == 1, "This step needs an order")
        if before[0].status is not status:
            raise RuleError("delivery-status", f"The order is {before[0].status.value}")
        require(after.status is _NEXT[status], f"After {status.value} is {_NEXT[status].value}")
        expected: Order = replace(before[0], status=after.status, **changes)  # type: ignore[arg-type]
        return expected

    @staticmethod
    def _verify_placed(order: "Order", transaction: UtxoLedgerTransaction) -> None:
        require(order.status is Status.ORDERED, "A new order is ordered")
        require(order.lines, "An order has lines")
        articles = [line.article for line in order.lines]
        require(len(set(articles)) == len(articles), "An article has one line")
        require(order.window.first <= order.window.last, "A window begins before it ends")
        require(not order.parcels and order.delivered is None, "Nothing is delivered yet")
        lists = transaction.get_reference_states(PriceList)
        require(len(lists) == 1, "An order refers to one price list")
        require(lists[0].seller == order.seller, "The price list is the seller's")
        for line in order.lines:
            price = lists[0].prices.get(line.article)
            if price != line.price:
                raise RuleError(
                    "delivery-price", f"The price of {line.article} is {price}, not {line.price}"
                )

    @staticmethod
    def _verify_delivered(order: "Order", transaction: UtxoLedgerTransaction) -> None:
        window = transaction.time_window
        require(
            order.delivered is not None and window is not None and window.contains(order.delivered),
            "A delivery is in the transaction's time window",
        )


_NEXT = {
    Status.ORDERED: Status.SHIPPED,
    Status.SHIPPED: Status.DELIVERED,
    Status.DELIVERED: Status.DISPUTED,
    Status.DISPUTED: Status.SETTLED,
}


@belongs_to(PriceListContract)
@dataclass(frozen=True, kw_only=True)
class PriceList(ContractState):
    """What a seller's articles cost; those who get it can order by it."""

    seller: Party
    readers: tuple[Party, ...]
    prices: Mapping[str, Decimal]

    @property
    def participants(self) -> list[PublicKey]:
        return [self.seller.key, *(reader.key for reader in self.readers)]


@belongs_to(OrderContract)
@dataclass(frozen=True, kw_only=True)
class Order(ContractState):
    """Goods on their way; `parcels` says which articles are in a parcel, by its number."""

    id: UUID
    buyer: Party
    seller: Party
    carrier: Party
    lines: tuple[Line, ...]
    window: Window
    handling: frozenset[Handling]
    options: Options
    status: Status = Status.ORDERED
    parcels: Mapping[int, frozenset[str]]
    delivered: datetime | None = None
    complaint: Complaint | None = None
    refund: Decimal = Decimal(0)

    @property
    def participants(self) -> list[PublicKey]:
        return [self.buyer.key, self.seller.key, self.carrier.key]

    @property
    def amount(self) -> Decimal:
        return sum((line.quantity * line.price for line in self.lines), Decimal(0))
