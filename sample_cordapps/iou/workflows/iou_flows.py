"""Flows of the IOU: issue, settle, list, and the credit limits that a lender sets."""

from dataclasses import dataclass, replace
from datetime import timedelta

from iou_checks import is_issued, is_settled, is_transferred
from iou_contracts import Iou, Issue, Settle, Transfer

from cordapp.contracts import StateAndRef
from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    Flow,
    FlowSession,
    MemberInfo,
    ResponderFlow,
    entity,
    initiated_by,
    initiating_flow,
)
from cordapp.ledger import UtxoTransactionBuilder
from cordapp.services import MemberLookup

NOTARISED_WITHIN = timedelta(hours=1)
"""How long the notary may take to sign a transaction of this CorDapp."""


@dataclass(frozen=True)
class IssueRequest:
    """Amounts count the currency's smallest unit; `pause_millis` waits before the agreement."""

    counterparty: str
    amount: int
    currency: str = "GBP"
    pause_millis: int = 0


@dataclass(frozen=True)
class SettleRequest:
    linear_id: str
    amount: int


@dataclass(frozen=True)
class TransferRequest:
    linear_id: str
    new_lender: str


@dataclass(frozen=True)
class IouResult:
    transaction_id: str
    linear_id: str
    outstanding: int


@dataclass(frozen=True)
class ListRequest:
    counterparty: str | None = None


@dataclass(frozen=True)
class IouView:
    state_ref: str
    linear_id: str
    borrower: str
    lender: str
    amount: int
    paid: int
    outstanding: int
    currency: str


@dataclass(frozen=True)
class Proposal:
    """What the borrower asks for, before a transaction exists."""

    amount: int
    currency: str


@dataclass(frozen=True)
class Accepted:
    limit: int | None


@entity(key="borrower")
@dataclass(frozen=True)
class CreditLimit:
    """The most that this node lends to `borrower` in one IOU."""

    borrower: str
    amount: int


@initiating_flow(protocol="iou-issue", versions=(1,))
class IssueIou(ClientStartableFlow[IssueRequest, IouResult]):
    """The node that runs this owes `amount` to the counterparty."""

    def call(self, request_body: IssueRequest) -> IouResult:
        me = self.member_lookup.my_info()
        lender = _member(self.member_lookup, request_body.counterparty)
        session = self.flow_messaging.initiate_flow(lender.name)
        session.send_and_receive(Accepted, Proposal(request_body.amount, request_body.currency))
        if request_body.pause_millis:
            self.flow_engine.sleep(request_body.pause_millis)
        iou = Iou(
            linear_id=self.random.uuid(),
            borrower=me.name,
            lender=lender.name,
            borrower_key=me.ledger_keys[0],
            lender_key=lender.ledger_keys[0],
            amount=request_body.amount,
            currency=request_body.currency,
        )
        builder = _builder(self)
        builder.add_output_states(iou).add_commands(Issue()).add_signatories(*iou.participants)
        signed = builder.to_signed_transaction()
        final = self.ledger_service.finalize(signed, [session])
        self.log.info("issued IOU %s to %s", iou.linear_id, lender.name)
        return IouResult(final.id, iou.linear_id, iou.outstanding)


@initiated_by(protocol="iou-issue", versions=(1,))
class AcceptIou(ResponderFlow):
    """The lender: accepts what stays within the borrower's credit limit."""

    def call(self, session: FlowSession) -> None:
        proposal = session.receive(Proposal)
        limit = self.persistence_service.find(CreditLimit, session.counterparty)
        if limit is not None and proposal.amount > limit.amount:
            raise CordaRuntimeError(
                "iou-over-limit",
                f"{session.counterparty} may borrow {limit.amount}, not {proposal.amount}",
            )
        session.send(Accepted(limit.amount if limit else None))
        check = is_issued(
            borrower=session.counterparty,
            lender=self.member_lookup.my_info(),
            amount=proposal.amount,
            currency=proposal.currency,
        )
        self.ledger_service.receive_finality(session, check)


@initiating_flow(protocol="iou-settle", versions=(1,))
class SettleIou(ClientStartableFlow[SettleRequest, IouResult]):
    """The borrower pays `amount` of an IOU; the IOU ends when all is paid."""

    def call(self, request_body: SettleRequest) -> IouResult:
        me = self.flow_engine.virtual_node_name
        found = _unconsumed(self.ledger_service.find_unconsumed_states(Iou), request_body.linear_id)
        before = found.state
        if before.borrower != me:
            raise CordaRuntimeError("iou-not-borrower", f"Only {before.borrower} settles this IOU")
        after = replace(before, paid=before.paid + request_body.amount)
        session = self.flow_messaging.initiate_flow(before.lender)
        session.send(request_body)
        builder = _builder(self)
        builder.add_input_states(found.ref).add_commands(Settle(request_body.amount))
        builder.add_signatories(*before.participants)
        if after.outstanding:
            builder.add_output_states(after)
        signed = builder.to_signed_transaction()
        final = self.ledger_service.finalize(signed, [session])
        return IouResult(final.id, before.linear_id, after.outstanding)


@initiated_by(protocol="iou-settle", versions=(1,))
class AcceptSettlement(ResponderFlow):
    """The lender: accepts payments on IOUs that it holds."""

    def call(self, session: FlowSession) -> None:
        request = session.receive(SettleRequest)
        check = is_settled(linear_id=request.linear_id, amount=request.amount)
        self.ledger_service.receive_finality(session, check)


@initiating_flow(protocol="iou-transfer", versions=(1,))
class TransferIou(ClientStartableFlow[TransferRequest, IouResult]):
    """The lender sells an IOU: borrower, seller and buyer sign."""

    def call(self, request_body: TransferRequest) -> IouResult:
        me = self.flow_engine.virtual_node_name
        found = _unconsumed(self.ledger_service.find_unconsumed_states(Iou), request_body.linear_id)
        before = found.state
        if before.lender != me:
            raise CordaRuntimeError("iou-not-lender", f"Only {before.lender} sells this IOU")
        buyer = _member(self.member_lookup, request_body.new_lender)
        after = replace(before, lender=buyer.name, lender_key=buyer.ledger_keys[0])
        builder = _builder(self)
        builder.add_input_states(found.ref).add_output_states(after).add_commands(Transfer())
        builder.add_signatories(*before.participants, after.lender_key)
        signed = builder.to_signed_transaction()
        others = (before.borrower, buyer.name)
        sessions = [self.flow_messaging.initiate_flow(name) for name in others]
        final = self.ledger_service.finalize(signed, sessions)
        return IouResult(final.id, before.linear_id, after.outstanding)


@initiated_by(protocol="iou-transfer", versions=(1,))
class AcceptTransfer(ResponderFlow):
    """The borrower or the buyer. The buyer's host verifies how the IOU came to be."""

    def call(self, session: FlowSession) -> None:
        check = is_transferred(party=self.flow_engine.virtual_node_name)
        self.ledger_service.receive_finality(session, check)


class ListIous(ClientStartableFlow[ListRequest, list[IouView]]):
    """Open IOUs that this node knows, oldest first."""

    def call(self, request_body: ListRequest) -> list[IouView]:
        wanted = request_body.counterparty
        return [
            _view(found)
            for found in self.ledger_service.find_unconsumed_states(Iou)
            if wanted is None or wanted in (found.state.borrower, found.state.lender)
        ]


class SetCreditLimit(ClientStartableFlow[CreditLimit, CreditLimit]):
    """The lender decides how much it lends to one borrower in one IOU."""

    def call(self, request_body: CreditLimit) -> CreditLimit:
        borrower = _member(self.member_lookup, request_body.borrower)
        limit = CreditLimit(borrower.name, request_body.amount)
        return self.persistence_service.merge(limit)[0]


def _builder(flow: Flow) -> UtxoTransactionBuilder:
    """A builder that names the group's notary, if it has one."""
    builder = flow.ledger_service.create_transaction_builder()
    for notary in flow.notary_lookup.notary_services()[:1]:
        builder.set_notary(notary.name)
        builder.set_time_window(until=flow.clock.now() + NOTARISED_WITHIN)
    return builder


def _member(members: MemberLookup, name: str) -> MemberInfo:
    member = members.lookup(name)
    if member is None:
        raise CordaRuntimeError("iou-unknown-member", f"{name} is no member of this network")
    return member


def _unconsumed(found: list[StateAndRef[Iou]], linear_id: str) -> StateAndRef[Iou]:
    for entry in found:
        if entry.state.linear_id == linear_id:
            return entry
    raise CordaRuntimeError("iou-not-found", f"This node holds no open IOU {linear_id}")


def _view(found: StateAndRef[Iou]) -> IouView:
    iou = found.state
    return IouView(
        state_ref=str(found.ref),
        linear_id=iou.linear_id,
        borrower=iou.borrower,
        lender=iou.lender,
        amount=iou.amount,
        paid=iou.paid,
        outstanding=iou.outstanding,
        currency=iou.currency,
    )
