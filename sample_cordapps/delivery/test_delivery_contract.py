from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from delivery_contracts import Deliver, Line, Order, Party, Place, PriceList, Status, Window

from cordapp.contracts import TimeWindow
from cordapp_testkit import ContractRefusedError, Network

NAMES = [f"O={name}, L=London, C=GB" for name in ("Buyer", "Seller", "Carrier")]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_order(network: Network) -> Order:
    buyer, seller, carrier = (Party(name, network.node(name).key) for name in NAMES)
    return Order(
        id=UUID(int=1),
        buyer=buyer,
        seller=seller,
        carrier=carrier,
        lines=(Line("tea", 2, Decimal("3.50")),),
        window=Window(date(2026, 1, 1), date(2026, 1, 2), time(8), time(18)),
        handling=frozenset(),
        options={},
        parcels={},
    )


def test_prices_are_those_of_the_list(cordapp_network: Network) -> None:
    order = an_order(cordapp_network)
    prices = PriceList(seller=order.seller, readers=(order.buyer,), prices={"tea": Decimal("3.50")})
    keys = [order.buyer.key, order.seller.key]

    def place(wanted: Order, *references: PriceList) -> None:
        cordapp_network.verify(
            outputs=[wanted], commands=[Place()], signatories=keys, references=references
        )

    place(order, prices)
    with pytest.raises(ContractRefusedError, match="refers to one price list"):
        place(order)
    cheap = replace(order, lines=(Line("tea", 2, Decimal(3)),))
    with pytest.raises(ContractRefusedError, match=r"price of tea is 3\.50, not 3") as refused:
        place(cheap, prices)
    assert refused.value.failures[0]["code"] == "delivery-price"


def test_a_delivery_is_in_its_time_window(native_network: Network) -> None:
    shipped = replace(
        an_order(native_network), status=Status.SHIPPED, parcels={1: frozenset({"tea"})}
    )
    delivered = replace(shipped, status=Status.DELIVERED, delivered=NOON)

    def deliver(begin: datetime) -> None:
        native_network.verify(
            inputs=[shipped],
            outputs=[delivered],
            commands=[Deliver()],
            signatories=[shipped.buyer.key, shipped.carrier.key],
            time_window=TimeWindow(begin, begin + timedelta(hours=1)),
        )

    deliver(NOON)
    with pytest.raises(ContractRefusedError, match="transaction's time window"):
        deliver(NOON - timedelta(hours=1))
