"""Flows of clients: propose a price, answer a proposal, list proposals and trades."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from negotiation_agreement import Agree, Step
from negotiation_contracts import (
    Accept,
    Asset,
    AssetKind,
    Expire,
    Modify,
    Party,
    Price,
    Proposal,
    Propose,
    Reject,
    Side,
)

from cordapp.contracts import StateAndRef
from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    Flow,
    MemberInfo,
    SubFlow,
    entity,
    entity_field,
    named_query,
    parameter,
)
from cordapp.schema import Constraint


@dataclass(frozen=True, kw_only=True)
class ProposeRequest:
    """`as_side` is what the node that proposes wants to be."""

    counterparty: str
    asset: Asset
    price: Price
    as_side: Side = Side.BUYER
    valid_for: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class ModifyRequest:
    id: UUID
    amount: Decimal
    valid_for: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class RejectRequest:
    id: UUID
    reason: Annotated[str, Constraint(min_length=1, max_length=200)]


@dataclass(frozen=True)
class ProposalRequest:
    id: UUID


@dataclass(frozen=True)
class Proposed:
    id: UUID
    transaction_id: str
    round: int
    valid_until: datetime


@dataclass(frozen=True)
class Ended:
    id: UUID
    transaction_id: str


@entity(
    "id",
    queries=[
        named_query(
            "TradeRow.expensive",
            (entity_field("kind") == parameter("kind"))
            & (entity_field("amount") >= parameter("least")),
            order_by=["-amount"],
        )
    ],
    indexes=[["kind", "amount"]],
)
@dataclass(frozen=True, kw_only=True)
class TradeRow:
    """A trade, to be found by its price: the ledger has no queries by fields."""

    id: UUID
    kind: AssetKind
    asset: str
    amount: Decimal
    currency: str
    traded: datetime


@dataclass(frozen=True)
class TradesRequest:
    kind: AssetKind
    least: Decimal = Decimal(0)


def find_proposal(flow: Flow, proposal_id: UUID) -> StateAndRef[Proposal]:
    """The open proposal of this id.

    Raises:
        CordaRuntimeError: `negotiation-unknown`.
    """
    for found in flow.ledger_service.find_unconsumed_states(Proposal):
        if found.state.id == proposal_id:
            return found
    raise CordaRuntimeError("negotiation-unknown", f"There is no open proposal {proposal_id}")


def peer_of(flow: Flow, proposal: Proposal) -> str:
    names = [proposal.buyer.name, proposal.seller.name]
    names.remove(flow.flow_engine.virtual_node_name)
    return names[0]


def party(member: MemberInfo) -> Party:
    return Party(member.name, member.ledger_keys[0])


class ProposeTo(SubFlow[Proposed]):
    """Proposes a price to another member, and records the proposal on both sides."""

    def __init__(self, request: ProposeRequest) -> None:
        self.request = request

    def call(self) -> Proposed:
        request = self.request
        peer = self.member_lookup.lookup(request.counterparty)
        if peer is None:
            raise CordaRuntimeError(
                "negotiation-unknown-party", f"{request.counterparty} is no member"
            )
        parties = {request.as_side: party(self.member_lookup.my_info())}
        parties[request.as_side.other] = party(peer)
        proposal = Proposal(
            id=UUID(self.random.uuid()),
            asset=request.asset,
            price=request.price,
            buyer=parties[Side.BUYER],
            seller=parties[Side.SELLER],
            proposer=request.as_side,
            round=1,
            valid_until=self.clock.now() + request.valid_for,
        )
        step = Step(Propose(), after=proposal)
        transaction_id = self.flow_engine.sub_flow(Agree(peer.name, step))
        return Proposed(proposal.id, transaction_id, proposal.round, proposal.valid_until)


class ProposePrice(ClientStartableFlow[ProposeRequest, Proposed]):
    """Proposes a price of an asset to another member."""

    def call(self, request_body: ProposeRequest) -> Proposed:
        return self.flow_engine.sub_flow(ProposeTo(request_body))


class ModifyPrice(ClientStartableFlow[ModifyRequest, Proposed]):
    """Answers a proposal by another price; it is the other side's turn then."""

    def call(self, request_body: ModifyRequest) -> Proposed:
        before = find_proposal(self, request_body.id)
        old = before.state
        new = replace(
            old,
            price=replace(old.price, amount=request_body.amount),
            proposer=old.proposer.other,
            round=old.round + 1,
            valid_until=self.clock.now() + request_body.valid_for,
        )
        step = Step(Modify(), before, new, ends=old.valid_until)
        transaction_id = self.flow_engine.sub_flow(Agree(peer_of(self, old), step))
        return Proposed(new.id, transaction_id, new.round, new.valid_until)


class AcceptPrice(ClientStartableFlow[ProposalRequest, Ended]):
    """Accepts what the other side has proposed."""

    def call(self, request_body: ProposalRequest) -> Ended:
        before = find_proposal(self, request_body.id)
        proposal = before.state
        step = Step(Accept(), before, proposal.trade(), ends=proposal.valid_until)
        transaction_id = self.flow_engine.sub_flow(Agree(peer_of(self, proposal), step))
        row = TradeRow(
            id=proposal.id,
            kind=proposal.asset.kind,
            asset=proposal.asset.name,
            amount=proposal.price.amount,
            currency=proposal.price.currency,
            traded=self.clock.now(),
        )
        self.persistence_service.persist(row)
        return Ended(proposal.id, transaction_id)


class RejectPrice(ClientStartableFlow[RejectRequest, Ended]):
    """Ends a negotiation without a trade."""

    def call(self, request_body: RejectRequest) -> Ended:
        before = find_proposal(self, request_body.id)
        step = Step(Reject(request_body.reason), before)
        transaction_id = self.flow_engine.sub_flow(Agree(peer_of(self, before.state), step))
        return Ended(request_body.id, transaction_id)


class ExpireProposal(ClientStartableFlow[ProposalRequest, Ended]):
    """Ends a proposal whose time is over; either side may."""

    def call(self, request_body: ProposalRequest) -> Ended:
        before = find_proposal(self, request_body.id)
        begins = before.state.valid_until
        if self.clock.now() < begins:
            raise CordaRuntimeError("negotiation-still-valid", f"It is valid until {begins}")
        step = Step(Expire(), before, begins=begins, ends=self.clock.now() + timedelta(hours=1))
        transaction_id = self.flow_engine.sub_flow(Agree(peer_of(self, before.state), step))
        return Ended(request_body.id, transaction_id)


class ListProposals(ClientStartableFlow[None, list[Proposal]]):
    """Open proposals of this node, oldest first."""

    def call(self, request_body: None) -> list[Proposal]:  # noqa: ARG002
        return [found.state for found in self.ledger_service.find_unconsumed_states(Proposal)]


class ExpensiveTrades(ClientStartableFlow[TradesRequest, list[TradeRow]]):
    """Trades that this node accepted, from a price on, the highest first."""

    def call(self, request_body: TradesRequest) -> list[TradeRow]:
        query = self.persistence_service.query("TradeRow.expensive", TradeRow)
        query.set_parameters({"kind": request_body.kind, "least": request_body.least})
        page = query.set_limit(100).execute()
        rows = list(page.results)
        while page.has_next():
            rows += page.next()
        return rows
