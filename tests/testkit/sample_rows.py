"""Flows of the sample CorDapps, and of the one for the kit: rows as in rows.py."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.testkit.sides import ALICE, BOB, CHARLIE, Row, row


def _settlement(results: Sequence[Any]) -> Mapping[str, Any]:
    return {"linear_id": json.loads(results[0])["linear_id"], "amount": 30}


def _with_id(**more: Any) -> Callable[[Sequence[Any]], Mapping[str, Any]]:
    """A request about what the first flow of the row has made."""
    return lambda results: {"id": _made(results[0]), **more}


def _made(result: str) -> str:
    answer = json.loads(result)
    made: str = answer.get("proposal") or answer["id"]
    return made


GILT = {"name": "Gilt 2040", "kind": "bond", "quantity": "100.5"}


def _gbp(amount: str) -> Mapping[str, str]:
    return {"amount": amount, "currency": "GBP"}


NEGOTIATION = [
    Row(
        id="negotiation",
        starts=(
            (
                ALICE,
                "negotiation_flows.ProposePrice",
                {"counterparty": BOB, "asset": GILT, "price": _gbp("9.50"), "as_side": "seller"},
            ),
            (ALICE, "negotiation_flows.AcceptPrice", _with_id()),
            (BOB, "negotiation_flows.ModifyPrice", _with_id(amount="9.25")),
            (ALICE, "negotiation_flows.AcceptPrice", _with_id()),
            (ALICE, "negotiation_flows.ExpensiveTrades", {"kind": "bond", "least": "9.25"}),
        ),
        sizes=False,
    ),
    Row(
        id="negotiation-haggle",
        starts=(
            (
                BOB,
                "negotiation_haggle.SetReserve",
                {"asset": "Gilt 2040", "least": _gbp("10"), "first_ask": "12"},
            ),
            (
                ALICE,
                "negotiation_haggle.Haggle",
                {
                    "seller": BOB,
                    "asset": GILT,
                    "opening": _gbp("9"),
                    "limit": "11",
                    "step": "1",
                },
            ),
            (
                ALICE,
                "negotiation_haggle.Haggle",
                {
                    "seller": CHARLIE,
                    "asset": GILT,
                    "opening": _gbp("9"),
                    "limit": "11",
                    "step": "1",
                },
            ),
        ),
        sizes=False,
    ),
]
DELIVERY = [
    Row(
        id="delivery",
        starts=(
            (
                BOB,
                "delivery_flows.PublishPrices",
                {"prices": {"tea": "3.50", "glass": "12"}, "readers": [ALICE, CHARLIE]},
            ),
            (
                ALICE,
                "delivery_flows.PlaceOrder",
                {
                    "seller": BOB,
                    "carrier": CHARLIE,
                    "articles": {"tea": 2, "glass": 1},
                    "handling": ["fragile", "cold"],
                    "options": {"insured_for": "20"},
                    "window": {
                        "first": "2000-01-01",
                        "last": "2999-12-31",
                        "opens": "00:00:00",
                        "closes": "23:59:59.999999",
                    },
                },
            ),
            (
                BOB,
                "delivery_flows.ShipOrder",
                lambda results: {
                    "id": _made(results[1]),
                    "parcels": {"1": ["tea"], "2": ["glass", "tea"]},
                },
            ),
            (
                CHARLIE,
                "delivery_flows.DeliverOrder",
                lambda results: {"id": _made(results[1])},
            ),
            (ALICE, "delivery_tracking.AwaitDelivery", lambda results: {"id": _made(results[1])}),
            (
                ALICE,
                "delivery_flows.DisputeOrder",
                lambda results: {
                    "id": _made(results[1]),
                    "complaint": {"text": "broken", "missing": {"glass": 1}},
                },
            ),
            (
                BOB,
                "delivery_flows.SettleOrder",
                lambda results: {"id": _made(results[1]), "refund": "12.00"},
            ),
            (CHARLIE, "delivery_tracking.LargerOrders", '"18.99"'),
            (
                CHARLIE,
                "delivery_tracking.DueOrders",
                {"by": "2999-12-31", "statuses": ["settled", "disputed"]},
            ),
        ),
        sizes=False,
    ),
]
SAMPLES = [
    row("hello", "hello_flows.Hello", {"name": "world"}),
    row("hello-wrong", "hello_flows.Hello", {}),
    row("kit-notes", "kit_flows.Notes"),
    row("kit-services", "kit_flows.Services"),
    *(
        row(f"kit-refused-{what.replace(' ', '-')}", "kit_flows.Refused", what)
        for what in ("context", "key", "key text", "digest", "spec", "random", "sleep", "session")
    ),
    Row(
        id="iou",
        starts=(
            (ALICE, "iou_flows.IssueIou", {"counterparty": BOB, "amount": 100}),
            (ALICE, "iou_flows.SettleIou", _settlement),
            (BOB, "iou_flows.SettleIou", _settlement),
            (BOB, "iou_flows.ListIous", {}),
        ),
        sizes=False,
    ),
    row(
        "iou-refused",
        "iou_flows.IssueIou",
        {"counterparty": CHARLIE, "amount": 0},
        sizes=False,
    ),
    Row(
        id="iou-over-limit",
        starts=(
            (CHARLIE, "iou_flows.SetCreditLimit", {"borrower": ALICE, "amount": 50}),
            (ALICE, "iou_flows.IssueIou", {"counterparty": CHARLIE, "amount": 51}),
        ),
        sizes=False,
    ),
    *NEGOTIATION,
    *DELIVERY,
]
