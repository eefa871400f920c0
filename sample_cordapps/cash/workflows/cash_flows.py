"""Flows of cash: issue, move, redeem, and what a node holds."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from cash_contracts import Cash, CashOfCurrency, Issue, Move, Redeem

from cordapp.contracts import Command, StateAndRef, UtxoLedgerTransaction, require
from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    Flow,
    FlowSession,
    MemberInfo,
    ResponderFlow,
    SubFlow,
    initiated_by,
    initiating_flow,
)
from cordapp.registry import name_of
from cordapp.tokens import TokenBalanceCriteria, TokenClaimCriteria
from cordapp.vault import secure_hash

_WINDOW = timedelta(hours=1)


@dataclass(frozen=True)
class IssueRequest:
    owner: str
    currency: str
    amount: Decimal


@dataclass(frozen=True)
class MoveRequest:
    issuer: str
    owner: str
    currency: str
    amount: Decimal


@dataclass(frozen=True)
class RedeemRequest:
    issuer: str
    currency: str
    amount: Decimal


@dataclass(frozen=True)
class Moved:
    transaction_id: str
    change: Decimal


@dataclass(frozen=True)
class BalanceRequest:
    issuer: str
    currency: str


@dataclass(frozen=True)
class Balance:
    available: Decimal
    total: Decimal


@dataclass(frozen=True)
class ListRequest:
    currency: str
    least: Decimal = Decimal(0)


@initiating_flow(protocol="cash", versions=(1,))
@dataclass(frozen=True)
class FinalizeCash(SubFlow[Moved]):
    """Makes a transaction about cash final: what it does, spends and makes, who signs, is told."""

    command: Command
    spent: list[StateAndRef[Cash]]
    made: list[Cash]
    signatories: list[MemberInfo]
    told: list[str]

    def call(self) -> Moved:
        builder = self.ledger_service.create_transaction_builder()
        builder.add_input_states(*(found.ref for found in self.spent))
        builder.add_output_states(*self.made).add_commands(self.command)
        builder.add_signatories(*(member.ledger_keys[0] for member in self.signatories))
        notary = _notary(self)
        if notary is not None:
            builder.set_notary(notary).set_time_window(until=self.clock.now() + _WINDOW)
        me = self.member_lookup.my_info().name
        sessions = [self.flow_messaging.initiate_flow(name) for name in self.told if name != me]
        final = self.ledger_service.finalize(builder.to_signed_transaction(), sessions)
        kept = [cash.amount for cash in self.made if cash.owner == me]
        return Moved(final.id, sum(kept, Decimal(0)))


class IssueCash(ClientStartableFlow[IssueRequest, Moved]):
    """This node, a bank, owes an amount to `owner`."""

    def call(self, request_body: IssueRequest) -> Moved:
        bank = self.member_lookup.my_info()
        cash = _cash(bank, _member(self, request_body.owner), request_body)
        return self.flow_engine.sub_flow(
            FinalizeCash(Issue(), [], [cash], [bank], [request_body.owner])
        )


class MoveCash(ClientStartableFlow[MoveRequest, Moved]):
    """Give cash to another member, and keep the change."""

    def call(self, request_body: MoveRequest) -> Moved:
        spent = _claimed(self, request_body)
        owner = _member(self, request_body.owner)
        me = self.member_lookup.my_info()
        bank = _member(self, request_body.issuer)
        made = [_cash(bank, owner, request_body), *_change(spent, request_body.amount)]
        return self.flow_engine.sub_flow(FinalizeCash(Move(), spent, made, [me], [owner.name]))


class RedeemCash(ClientStartableFlow[RedeemRequest, Moved]):
    """Have the bank pay out; it signs that the cash is no more."""

    def call(self, request_body: RedeemRequest) -> Moved:
        spent = _claimed(self, request_body)
        me = self.member_lookup.my_info()
        bank = _member(self, request_body.issuer)
        change = _change(spent, request_body.amount)
        return self.flow_engine.sub_flow(
            FinalizeCash(Redeem(), spent, change, [me, bank], [bank.name])
        )


class CashBalance(ClientStartableFlow[BalanceRequest, Balance]):
    """How much cash of a bank and currency this node holds."""

    def call(self, request_body: BalanceRequest) -> Balance:
        criteria = TokenBalanceCriteria(
            token_type=name_of(Cash),
            issuer_hash=secure_hash(request_body.issuer),
            symbol=request_body.currency,
            notary=_notary(self),
        )
        found = self.token_selection.query_balance(criteria)
        return Balance(found.available_balance, found.total_balance)


class ListCash(ClientStartableFlow[ListRequest, list[Decimal]]):
    """Amounts of a currency, the largest first."""

    def call(self, request_body: ListRequest) -> list[Decimal]:
        query = self.ledger_service.query(CashOfCurrency, StateAndRef)
        query.set_parameters({"currency": request_body.currency, "least": request_body.least})
        page = query.set_limit(100).execute()
        amounts = [each.state.amount for each in page.results]
        while page.has_next():
            amounts += [each.state.amount for each in page.next()]
        return amounts


@initiated_by(protocol="cash", versions=(1,))
class ReceiveCash(ResponderFlow):
    """Records cash that this node gets; of a bank that pays out, signs that it is no more."""

    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, _about_cash)


def _about_cash(transaction: UtxoLedgerTransaction) -> None:
    types = {type(state.state) for state in transaction.output_state_and_refs}
    require(types <= {Cash}, "This node takes cash only")


def _member(flow: Flow, name: str) -> MemberInfo:
    found = flow.member_lookup.lookup(name)
    if found is None:
        raise CordaRuntimeError("cash-member-unknown", f"{name} is no member of the group")
    return found


def _notary(flow: Flow) -> str | None:
    services = flow.notary_lookup.notary_services()
    return services[0].name if services else None


def _cash(bank: MemberInfo, owner: MemberInfo, request: IssueRequest | MoveRequest) -> Cash:
    return Cash(
        issuer=bank.name,
        issuer_key=bank.ledger_keys[0],
        owner=owner.name,
        owner_key=owner.ledger_keys[0],
        currency=request.currency,
        amount=request.amount,
    )


def _claimed(flow: Flow, request: MoveRequest | RedeemRequest) -> list[StateAndRef[Cash]]:
    """Cash that no other flow of the node spends."""
    criteria = TokenClaimCriteria(
        token_type=name_of(Cash),
        issuer_hash=secure_hash(request.issuer),
        symbol=request.currency,
        notary=_notary(flow),
        target_amount=request.amount,
    )
    claim = flow.token_selection.try_claim(criteria)
    if claim is None:
        raise CordaRuntimeError("cash-not-enough", "There is not enough cash that is not claimed")
    return flow.ledger_service.resolve(*(token.state_ref for token in claim.claimed_tokens))


def _change(spent: list[StateAndRef[Cash]], amount: Decimal) -> list[Cash]:
    left = sum((found.state.amount for found in spent), Decimal(0)) - amount
    return [replace(spent[0].state, amount=left)] if left > 0 else []
