"""Flows that look at orders: lists by day and amount, and waiting for a delivery."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from delivery_contracts import Status
from delivery_rows import OrderRow

from cordapp.flows import ClientStartableFlow, CordaRuntimeError


@dataclass(frozen=True)
class DueRequest:
    by: date
    statuses: frozenset[Status] = frozenset({Status.ORDERED, Status.SHIPPED})


@dataclass(frozen=True)
class AwaitRequest:
    """How often to look, and for how long."""

    id: UUID
    every: timedelta = timedelta(minutes=10)
    at_most: timedelta = timedelta(days=2)


@dataclass(frozen=True)
class Arrival:
    status: Status
    looked: int


class DueOrders(ClientStartableFlow[DueRequest, list[OrderRow]]):
    """Orders that are due by a day, the most urgent first."""

    def call(self, request_body: DueRequest) -> list[OrderRow]:
        query = self.persistence_service.query("OrderRow.due", OrderRow)
        query.set_parameter("by", request_body.by)
        query.set_parameter("statuses", sorted(request_body.statuses, key=lambda s: s.value))
        page = query.set_limit(100).execute()
        rows = list(page.results)
        while page.has_next():
            rows += page.next()
        return rows


class LargerOrders(ClientStartableFlow[Decimal, list[OrderRow]]):
    """Orders above an amount, the largest first."""

    def call(self, request_body: Decimal) -> list[OrderRow]:
        query = self.persistence_service.query("OrderRow.larger", OrderRow)
        return query.set_parameter("amount", request_body).set_limit(100).execute().results


class AwaitDelivery(ClientStartableFlow[AwaitRequest, Arrival]):
    """Looks at an order from time to time until it is delivered."""

    def call(self, request_body: AwaitRequest) -> Arrival:
        ends = self.clock.now() + request_body.at_most
        looked = 0
        while True:
            looked += 1
            row = self.persistence_service.find(OrderRow, request_body.id)
            if row is not None and row.status not in (Status.ORDERED, Status.SHIPPED):
                return Arrival(row.status, looked)
            if self.clock.now() >= ends:
                raise CordaRuntimeError("delivery-overdue", f"{request_body.id} did not arrive")
            self.flow_engine.sleep(request_body.every // timedelta(milliseconds=1))
