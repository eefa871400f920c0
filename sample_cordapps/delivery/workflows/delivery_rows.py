"""Rows beside the ledger: orders are found by day, status and amount."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from delivery_contracts import Handling, Order, Status

from cordapp.flows import (
    SubFlow,
    UtxoSignedTransaction,
    entity,
    entity_field,
    named_query,
    parameter,
)


@entity(
    "id",
    queries=[
        named_query(
            "OrderRow.due",
            (entity_field("last_day") <= parameter("by"))
            & entity_field("status").within(parameter("statuses")),
            order_by=["last_day", "-amount"],
        ),
        named_query(
            "OrderRow.larger", entity_field("amount") > parameter("amount"), order_by=["-amount"]
        ),
    ],
    indexes=[["last_day"], ["amount"]],
)
@dataclass(frozen=True, kw_only=True)
class OrderRow:
    id: UUID
    buyer: str
    amount: Decimal
    first_day: date
    last_day: date
    status: Status
    handling: frozenset[Handling]


class KeepRow(SubFlow[None]):
    """Keeps the row of an order up to date with a transaction that was recorded."""

    def __init__(self, recorded: UtxoSignedTransaction) -> None:
        self.recorded = recorded

    def call(self) -> None:
        seen = self.ledger_service.verify(self.recorded).transaction
        for order in seen.get_output_states(Order):
            self.persistence_service.merge(
                OrderRow(
                    id=order.id,
                    buyer=order.buyer.name,
                    amount=order.amount,
                    first_day=order.window.first,
                    last_day=order.window.last,
                    status=order.status,
                    handling=order.handling,
                )
            )
