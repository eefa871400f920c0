"""Haggling: bids and asks of both sides in one session, before anything is on the ledger."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated
from uuid import UUID

from negotiation_contracts import Asset, Price
from negotiation_flows import ProposeRequest, ProposeTo

from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    FlowSession,
    ResponderFlow,
    SessionError,
    entity,
    initiated_by,
    initiating_flow,
)
from cordapp.schema import Constraint


class WalkReason(Enum):
    """Why a side has no interest any more."""

    LIMIT = "limit"
    ROUNDS = "rounds"
    CURRENCY = "currency"


@dataclass(frozen=True)
class Bid:
    asset: str
    price: Price


@dataclass(frozen=True)
class Ask:
    price: Price


@dataclass(frozen=True)
class Taken:
    price: Price


@dataclass(frozen=True)
class Walked:
    reason: WalkReason


@entity("asset")
@dataclass(frozen=True)
class Reserve:
    """What this node sells, the least that it wants, and how long it thinks about a bid."""

    asset: str
    least: Price
    first_ask: Decimal
    thinks: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class HaggleRequest:
    seller: str
    asset: Asset
    opening: Price
    limit: Decimal
    step: Annotated[Decimal, Constraint(gt=Decimal(0))]
    rounds: Annotated[int, Constraint(ge=1, le=20)] = 10
    patience: timedelta = timedelta(minutes=5)


@dataclass(frozen=True)
class Agreed:
    """The price, and the proposal on the ledger that the seller has to accept."""

    price: Price
    proposal: UUID
    bids: tuple[Decimal, ...]


@dataclass(frozen=True)
class NoDeal:
    """`reason` is a side's; `code` is that of the seller's failure."""

    reason: WalkReason | None
    code: str | None
    bids: tuple[Decimal, ...]


class SetReserve(ClientStartableFlow[Reserve, None]):
    """Offers an asset for sale."""

    def call(self, request_body: Reserve) -> None:
        self.persistence_service.merge(request_body)


@initiating_flow(protocol="negotiation-haggle", versions=(1,))
class Haggle(ClientStartableFlow[HaggleRequest, Agreed | NoDeal]):
    """Bids more and more until the seller takes a bid; proposes that price on the ledger."""

    def call(self, request_body: HaggleRequest) -> Agreed | NoDeal:
        millis = request_body.patience // timedelta(milliseconds=1)
        session = self.flow_messaging.initiate_flow(request_body.seller, timeout_millis=millis)
        bids: list[Decimal] = []
        try:
            outcome = self._bid(session, request_body, bids)
        except SessionError as failed:
            return NoDeal(None, failed.reason_code, tuple(bids))
        if isinstance(outcome, Walked):
            return NoDeal(outcome.reason, None, tuple(bids))
        proposal = ProposeRequest(
            counterparty=request_body.seller, asset=request_body.asset, price=outcome.price
        )
        proposed = self.flow_engine.sub_flow(ProposeTo(proposal))
        return Agreed(outcome.price, proposed.id, tuple(bids))

    @staticmethod
    def _bid(session: FlowSession, request: HaggleRequest, bids: list[Decimal]) -> Taken | Walked:
        price = request.opening
        for _ in range(request.rounds):
            bids.append(price.amount)
            match session.send_and_receive(Ask | Taken | Walked, Bid(request.asset.name, price)):
                case Ask(asked):
                    next_bid = min(price.amount + request.step, asked.amount)
                    if next_bid > request.limit:
                        session.send(Walked(WalkReason.LIMIT))
                        return Walked(WalkReason.LIMIT)
                    price = replace(price, amount=next_bid)
                case ended:
                    return ended
        session.send(Walked(WalkReason.ROUNDS))
        return Walked(WalkReason.ROUNDS)


@initiated_by(protocol="negotiation-haggle", versions=(1,))
class AnswerBids(ResponderFlow):
    """The seller: asks less in each round, but never less than its reserve."""

    def call(self, session: FlowSession) -> None:
        rounds = 0
        while isinstance(message := session.receive(Bid | Walked), Bid):
            rounds += 1
            answer = self._answer(message, rounds)
            session.send(answer)
            if not isinstance(answer, Ask):
                return
        self.log.info("the buyer walked: %s", message.reason.value)

    def _answer(self, bid: Bid, rounds: int) -> Ask | Taken | Walked:
        reserve = self.persistence_service.find(Reserve, bid.asset)
        if reserve is None:
            raise CordaRuntimeError("negotiation-not-for-sale", f"{bid.asset} is not for sale")
        if reserve.least.currency != bid.price.currency:
            return Walked(WalkReason.CURRENCY)
        if reserve.thinks:
            self.flow_engine.sleep(reserve.thinks // timedelta(milliseconds=1))
        least = reserve.least.amount
        asked = max(least, reserve.first_ask - (reserve.first_ask - least) * rounds / 4)
        if bid.price.amount >= asked:
            return Taken(bid.price)
        return Ask(replace(bid.price, amount=asked))
