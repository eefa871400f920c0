"""Flows of clients: publish prices, order, ship, deliver, dispute, settle."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from delivery_contracts import (
    Complaint,
    Deliver,
    Dispute,
    Handling,
    Line,
    Options,
    Order,
    Party,
    Place,
    PriceList,
    Publish,
    Quantity,
    Settle,
    Ship,
    Status,
    Window,
)
from delivery_signing import Agree, member

from cordapp.contracts import Command, StateAndRef
from cordapp.flows import ClientStartableFlow, CordaRuntimeError, Flow, MemberInfo, SubFlow
from cordapp.schema import Constraint


@dataclass(frozen=True)
class PublishRequest:
    """Prices by article, and who may order by them or carry the goods."""

    prices: Mapping[str, Decimal]
    readers: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    seller: str
    carrier: str
    articles: Annotated[Mapping[str, Quantity], Constraint(min_length=1, max_length=100)]
    window: Window
    handling: frozenset[Handling] = frozenset()
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class ShipRequest:
    id: UUID
    parcels: Mapping[int, frozenset[str]]


@dataclass(frozen=True)
class DeliverRequest:
    id: UUID


@dataclass(frozen=True)
class DisputeRequest:
    id: UUID
    complaint: Complaint


@dataclass(frozen=True)
class SettleRequest:
    id: UUID
    refund: Annotated[Decimal, Constraint(ge=Decimal(0))]


@dataclass(frozen=True)
class Done:
    id: UUID
    transaction_id: str
    status: Status
    amount: Decimal


def party(info: MemberInfo) -> Party:
    return Party(info.name, info.ledger_keys[0])


def find_order(flow: Flow, order_id: UUID) -> StateAndRef[Order]:
    """The order of this id.

    Raises:
        CordaRuntimeError: `delivery-unknown-order`.
    """
    for found in flow.ledger_service.find_unconsumed_states(Order):
        if found.state.id == order_id:
            return found
    raise CordaRuntimeError("delivery-unknown-order", f"This node has no order {order_id}")


class Advance(SubFlow[Done]):
    """Takes an order to its next status."""

    def __init__(
        self, command: Command, before: StateAndRef[Order], after: Order, signers: list[Party]
    ) -> None:
        self.command = command
        self.before = before
        self.after = after
        self.signers = signers

    def call(self) -> Done:
        order = self.after
        builder = self.ledger_service.create_transaction_builder()
        builder.add_input_states(self.before.ref).add_output_states(order)
        builder.add_commands(self.command)
        builder.add_signatories(*(signer.key for signer in self.signers))
        if order.delivered is not None:
            hour = timedelta(hours=1)
            builder.set_time_window(from_=order.delivered - hour, until=order.delivered + hour)
        others = {each.name for each in (order.buyer, order.seller, order.carrier)}
        others.discard(self.flow_engine.virtual_node_name)
        transaction_id = self.flow_engine.sub_flow(Agree(builder.to_signed_transaction(), others))
        return Done(order.id, transaction_id, order.status, order.amount)


class PublishPrices(ClientStartableFlow[PublishRequest, str]):
    """The seller: records its prices at those who may use them; answers the transaction's id."""

    def call(self, request_body: PublishRequest) -> str:
        readers = [member(self, name) for name in sorted(request_body.readers)]
        me = party(self.member_lookup.my_info())
        prices = PriceList(
            seller=me,
            readers=tuple(party(reader) for reader in readers),
            prices=request_body.prices,
        )
        builder = self.ledger_service.create_transaction_builder()
        builder.add_output_states(prices).add_commands(Publish()).add_signatories(me.key)
        for old in self.ledger_service.find_unconsumed_states(PriceList):
            if old.state.seller == me:
                new = {reader.name for reader in readers} - {r.name for r in old.state.readers}
                if new:  # they could not verify a transaction that consumes what they never got
                    raise CordaRuntimeError("delivery-readers", f"No readers before: {sorted(new)}")
                builder.add_input_states(old.ref)
        signed = builder.to_signed_transaction()
        return self.flow_engine.sub_flow(Agree(signed, {reader.name for reader in readers}))


class PlaceOrder(ClientStartableFlow[OrderRequest, Done]):
    """The buyer: orders by the seller's price list, which the transaction refers to."""

    def call(self, request_body: OrderRequest) -> Done:
        seller = party(member(self, request_body.seller))
        found = [
            each
            for each in self.ledger_service.find_unconsumed_states(PriceList)
            if each.state.seller == seller
        ]
        if not found:
            raise CordaRuntimeError("delivery-no-prices", f"{seller.name} gave us no prices")
        prices = found[-1].state.prices
        unknown = sorted(set(request_body.articles) - set(prices))
        if unknown:
            raise CordaRuntimeError("delivery-unknown-article", f"Not for sale: {unknown}")
        order = Order(
            id=UUID(self.random.uuid()),
            buyer=party(self.member_lookup.my_info()),
            seller=seller,
            carrier=party(member(self, request_body.carrier)),
            lines=tuple(
                Line(article, quantity, prices[article])
                for article, quantity in request_body.articles.items()
            ),
            window=request_body.window,
            handling=request_body.handling,
            options=request_body.options,
            parcels={},
        )
        builder = self.ledger_service.create_transaction_builder()
        builder.add_reference_states(found[-1].ref)
        builder.add_output_states(order).add_commands(Place())
        builder.add_signatories(order.buyer.key, order.seller.key)
        signed = builder.to_signed_transaction()
        others = {order.seller.name, order.carrier.name}
        transaction_id = self.flow_engine.sub_flow(Agree(signed, others))
        return Done(order.id, transaction_id, order.status, order.amount)


class ShipOrder(ClientStartableFlow[ShipRequest, Done]):
    """The seller: hands parcels over to the carrier."""

    def call(self, request_body: ShipRequest) -> Done:
        before = find_order(self, request_body.id)
        after = replace(before.state, status=Status.SHIPPED, parcels=request_body.parcels)
        signers = [after.seller, after.carrier]
        return self.flow_engine.sub_flow(Advance(Ship(), before, after, signers))


class DeliverOrder(ClientStartableFlow[DeliverRequest, Done]):
    """The carrier: hands parcels over to the buyer, in the order's window."""

    def call(self, request_body: DeliverRequest) -> Done:
        before = find_order(self, request_body.id)
        now = self.clock.now()
        if not before.state.window.contains(now):
            raise CordaRuntimeError("delivery-outside-window", f"{now} is not in the window")
        after = replace(before.state, status=Status.DELIVERED, delivered=now)
        signers = [after.carrier, after.buyer]
        return self.flow_engine.sub_flow(Advance(Deliver(), before, after, signers))


class DisputeOrder(ClientStartableFlow[DisputeRequest, Done]):
    """The buyer: complains about what was delivered."""

    def call(self, request_body: DisputeRequest) -> Done:
        before = find_order(self, request_body.id)
        ordered = {line.article: line.quantity for line in before.state.lines}
        for article, missing in request_body.complaint.missing.items():
            if missing > ordered.get(article, 0):
                raise CordaRuntimeError("delivery-not-ordered", f"{missing} of {article} missing")
        after = replace(before.state, status=Status.DISPUTED, complaint=request_body.complaint)
        return self.flow_engine.sub_flow(Advance(Dispute(), before, after, [after.buyer]))


class SettleOrder(ClientStartableFlow[SettleRequest, Done]):
    """The seller: offers a refund, which the buyer signs."""

    def call(self, request_body: SettleRequest) -> Done:
        before = find_order(self, request_body.id)
        after = replace(before.state, status=Status.SETTLED, refund=request_body.refund)
        command = Settle(request_body.refund)
        signers = [after.buyer, after.seller]
        return self.flow_engine.sub_flow(Advance(command, before, after, signers))
