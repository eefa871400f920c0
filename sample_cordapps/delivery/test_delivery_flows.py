import json
from decimal import Decimal
from typing import Any

import pytest
from delivery_contracts import Handling, Order, PriceList, Status
from delivery_flows import (
    DeliverOrder,
    DisputeOrder,
    PlaceOrder,
    PublishPrices,
    SettleOrder,
    ShipOrder,
)
from delivery_rows import OrderRow
from delivery_tracking import AwaitDelivery, DueOrders, LargerOrders

from cordapp_testkit import FlowFailedError, FlowRefusedError, Network, Node

BUYER, SELLER, CARRIER = (f"O={name}, L=London, C=GB" for name in ("Buyer", "Seller", "Carrier"))
WINDOW = {"first": "2026-01-01", "last": "2026-01-02", "opens": "00:00:00", "closes": "18:00:00"}
DAY_MS = 24 * 60 * 60 * 1000


class Trade:
    """Three nodes, and the steps of an order."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.buyer, self.seller, self.carrier = (
            network.node(name) for name in (BUYER, SELLER, CARRIER)
        )
        self.publish({"tea": "3.50", "glass": "12"})

    @property
    def nodes(self) -> tuple[Node, ...]:
        return (self.buyer, self.seller, self.carrier)

    def publish(self, prices: dict[str, str]) -> None:
        self.seller.start(PublishPrices, {"prices": prices, "readers": [BUYER, CARRIER]})

    def order(self, articles: dict[str, int], **more: Any) -> dict[str, Any]:
        request = {"seller": SELLER, "carrier": CARRIER, "articles": articles, "window": WINDOW}
        placed: dict[str, Any] = self.buyer.start(PlaceOrder, request | more)
        return placed

    def ship(self, order: str, *articles: str) -> None:
        self.seller.start(ShipOrder, {"id": order, "parcels": {"1": list(articles)}})

    def the_order(self, node: Node) -> Order:
        (order,) = node.states(Order)
        return order


@pytest.fixture
def trade(cordapp_network: Network) -> Trade:
    return Trade(cordapp_network)


@pytest.fixture
def native_trade(native_network: Network) -> Trade:
    return Trade(native_network)


def test_goods_are_ordered_shipped_delivered_and_settled(trade: Trade) -> None:
    placed = trade.order(
        {"tea": 4, "glass": 2},
        handling=["fragile"],
        options={"note": "ring twice", "insured_for": "38.00"},
    )
    assert (placed["status"], placed["amount"]) == ("ordered", "38.00")
    order = placed["id"]
    trade.seller.start(ShipOrder, {"id": order, "parcels": {"1": ["tea"], "2": ["glass"]}})
    trade.carrier.start(DeliverOrder, {"id": order})
    complaint = {"missing": {"glass": 1}, "text": "one is broken"}
    trade.buyer.start(DisputeOrder, {"id": order, "complaint": complaint})
    trade.seller.start(SettleOrder, {"id": order, "refund": "12"})
    for node in trade.nodes:
        found = trade.the_order(node)
        assert (found.status, found.refund) == (Status.SETTLED, Decimal(12))
        assert found.parcels == {1: {"tea"}, 2: {"glass"}}
        assert found.handling == {Handling.FRAGILE}
        assert found.options == {"note": "ring twice", "insured_for": Decimal("38.00")}
        assert [row.status for row in node.stored(OrderRow)] == [Status.SETTLED]


def test_orders_are_found_by_day_and_amount(trade: Trade) -> None:
    for quantity, last in ((1, "2026-01-09"), (30, "2026-01-10"), (4, "2026-01-10")):
        trade.order({"tea": quantity}, window=WINDOW | {"last": last})
    due = trade.carrier.start(DueOrders, {"by": "2026-01-10"})
    assert [row["amount"] for row in due] == ["3.50", "105.00", "14.00"]
    assert len(trade.carrier.start(DueOrders, {"by": "2026-01-09"})) == 1
    assert trade.carrier.start(DueOrders, {"by": "2026-01-10", "statuses": ["settled"]}) == []
    larger = trade.buyer.start(LargerOrders, Decimal("9.99"))
    assert [row["amount"] for row in larger] == ["105.00", "14.00"]


def test_a_buyer_waits_for_its_goods(trade: Trade) -> None:
    order = trade.order({"tea": 1})["id"]
    waiting = trade.buyer.begin(AwaitDelivery, {"id": order})
    trade.ship(order, "tea")
    trade.carrier.start(DeliverOrder, {"id": order})
    assert trade.buyer.flow(waiting).status == "RUNNING"
    trade.network.advance(600_000)
    result = trade.buyer.flow(waiting).result
    assert result is not None
    assert json.loads(result) == {"status": "delivered", "looked": 2}


def test_goods_that_do_not_arrive_are_overdue(native_trade: Trade) -> None:
    order = native_trade.order({"tea": 1})["id"]
    with pytest.raises(FlowFailedError) as failed:
        native_trade.buyer.start(AwaitDelivery, {"id": order, "at_most": "PT30M"})
    assert failed.value.code == "delivery-overdue"


def test_orders_are_by_the_newest_prices(native_trade: Trade) -> None:
    trade = native_trade
    trade.publish({"tea": "4"})
    assert [each.prices for each in trade.buyer.states(PriceList)] == [{"tea": Decimal(4)}]
    assert trade.order({"tea": 1})["amount"] == "4"
    with pytest.raises(FlowFailedError) as failed:
        trade.order({"glass": 1})
    assert failed.value.code == "delivery-unknown-article"


def test_new_prices_go_to_the_readers_of_the_old_ones(native_trade: Trade) -> None:
    other = native_trade.network.node("O=Other, L=London, C=GB")
    request = {"prices": {"tea": "4"}, "readers": [BUYER, other.name]}
    with pytest.raises(FlowFailedError, match="O=Other") as failed:
        native_trade.seller.start(PublishPrices, request)
    assert failed.value.code == "delivery-readers"


def test_who_has_no_price_list_cannot_verify_an_order(native_trade: Trade) -> None:
    native_trade.network.node("O=Other, L=London, C=GB")
    with pytest.raises(FlowFailedError, match="not in this node's vault") as failed:
        native_trade.order({"tea": 1}, carrier="O=Other, L=London, C=GB")
    assert failed.value.code == "state-not-found"


def test_steps_come_in_their_order(native_trade: Trade) -> None:
    trade = native_trade
    order = trade.order({"tea": 1})["id"]
    with pytest.raises(FlowFailedError, match="The order is ordered") as failed:
        trade.carrier.start(DeliverOrder, {"id": order})
    assert failed.value.code == "delivery-status"
    with pytest.raises(FlowFailedError, match="All articles are packed"):
        trade.ship(order, "glass")


def test_steps_are_for_those_whose_they_are(trade: Trade) -> None:
    order = trade.order({"tea": 1})["id"]
    with pytest.raises(FlowFailedError) as failed:
        trade.carrier.start(ShipOrder, {"id": order, "parcels": {"1": ["tea"]}})
    assert failed.value.code == "delivery-not-yours"
    assert trade.the_order(trade.buyer).status is Status.ORDERED


def test_goods_arrive_in_their_window(native_trade: Trade) -> None:
    trade = native_trade
    order = trade.order({"tea": 1})["id"]
    trade.ship(order, "tea")
    trade.network.advance(2 * DAY_MS)
    with pytest.raises(FlowFailedError) as failed:
        trade.carrier.start(DeliverOrder, {"id": order})
    assert failed.value.code == "delivery-outside-window"


def test_a_request_that_does_not_fit_is_refused(native_trade: Trade) -> None:
    request = {"seller": SELLER, "carrier": CARRIER, "articles": {"tea": 1}, "window": WINDOW}
    wrong: list[dict[str, Any]] = [
        {"articles": {}},
        {"articles": {"tea": 0}},
        {"handling": ["with care"]},
        {"window": WINDOW | {"first": "1 January"}},
        {"options": {"insured_for": "much"}},
    ]
    for more in wrong:
        with pytest.raises(FlowRefusedError) as refused:
            native_trade.buyer.start(PlaceOrder, request | more)
        assert refused.value.type == "flow-input-invalid"


def test_no_party_may_be_unknown(native_trade: Trade) -> None:
    with pytest.raises(FlowFailedError, match="O=Nobody") as failed:
        native_trade.order({"tea": 1}, carrier="O=Nobody, L=London, C=GB")
    assert failed.value.code == "delivery-unknown-party"
