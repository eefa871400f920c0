"""Delivery versus payment: a bond and the money for it change hands in one transaction.

The buyer sends a builder that pays, the seller adds the bond. Both look at the whole transaction
before they sign, so that neither gives without getting.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from dvp_contracts import Bond, IssueBond, IssueMoney, Money, MoveBond, MoveMoney

from cordapp.contracts import (
    ContractState,
    StateAndRef,
    UtxoLedgerTransaction,
    require,
)
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
from cordapp.ledger import UtxoBaselinedTransactionBuilder, UtxoTransactionBuilder

_WINDOW = timedelta(hours=1)


@dataclass(frozen=True)
class BondRequest:
    name: str
    price: Decimal


@dataclass(frozen=True)
class MoneyRequest:
    owner: str
    amount: Decimal


@dataclass(frozen=True)
class BuyRequest:
    seller: str
    name: str
    price: Decimal
    bank: str


@dataclass(frozen=True)
class Made:
    transaction_id: str


@dataclass(frozen=True)
class Wanted:
    """The bond that a buyer pays for."""

    name: str


class IssueBonds(ClientStartableFlow[BondRequest, Made]):
    """This node owes a bond, to itself until it sells it."""

    def call(self, request_body: BondRequest) -> Made:
        me = self.member_lookup.my_info()
        bond = Bond(
            issuer=me.name,
            issuer_key=me.ledger_keys[0],
            owner=me.name,
            owner_key=me.ledger_keys[0],
            name=request_body.name,
            price=request_body.price,
        )
        builder = _builder(self).add_output_states(bond).add_commands(IssueBond())
        builder.add_signatories(me.ledger_keys[0])
        return Made(self.ledger_service.finalize(builder.to_signed_transaction()).id)


@initiating_flow(protocol="dvp-money", versions=(1,))
@dataclass(frozen=True)
class GiveMoney(SubFlow[Made]):
    """Makes money of this node, a bank, for another one."""

    money: Money

    def call(self) -> Made:
        builder = _builder(self).add_output_states(self.money).add_commands(IssueMoney())
        builder.add_signatories(self.money.bank_key)
        session = self.flow_messaging.initiate_flow(self.money.owner)
        return Made(self.ledger_service.finalize(builder.to_signed_transaction(), [session]).id)


class IssueMoneyTo(ClientStartableFlow[MoneyRequest, Made]):
    """This node, a bank, owes an amount to `owner`."""

    def call(self, request_body: MoneyRequest) -> Made:
        owner = _member(self, request_body.owner)
        bank = self.member_lookup.my_info()
        return self.flow_engine.sub_flow(GiveMoney(_money(bank, owner, request_body.amount)))


@initiated_by(protocol="dvp-money", versions=(1,))
class ReceiveMoney(ResponderFlow):
    """Records money that this node gets."""

    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, _is_money_only)


@initiating_flow(protocol="dvp", versions=(1,))
class BuyBond(ClientStartableFlow[BuyRequest, Made]):
    """Buy a bond of a seller at a price, with money of one bank."""

    def call(self, request_body: BuyRequest) -> Made:
        me, seller = self.member_lookup.my_info(), _member(self, request_body.seller)
        bank, price = _member(self, request_body.bank), request_body.price
        spent = _enough(self, bank, price)
        change = sum((found.state.amount for found in spent), Decimal(0)) - price
        paid = [_money(bank, seller, price)]
        if change:
            paid.append(_money(bank, me, change))
        builder = _builder(self).add_input_states(*(found.ref for found in spent))
        builder.add_output_states(*paid).add_commands(MoveMoney())
        builder.add_signatories(me.ledger_keys[0])

        session = self.flow_messaging.initiate_flow(seller.name)
        session.send(Wanted(request_body.name))
        merged = self.ledger_service.send_and_receive_transaction_builder(builder, session)
        self._check(merged, spent, paid, request_body)
        return Made(self.ledger_service.finalize(merged.to_signed_transaction(), [session]).id)

    def _check(
        self,
        merged: UtxoTransactionBuilder,
        spent: list[StateAndRef[Money]],
        paid: list[Money],
        wanted: BuyRequest,
    ) -> None:
        """The seller has added the bond, for this node, and nothing else."""
        me = self.member_lookup.my_info()
        bonds, rest = _parted(merged.output_states)
        if rest != paid or merged.input_state_refs[:-1] != [found.ref for found in spent]:
            raise CordaRuntimeError("dvp-changed", "The seller has changed more than the bond")
        wants = (wanted.name, me.name, me.ledger_keys[0])
        if [(bond.name, bond.owner, bond.owner_key) for bond in bonds] != [wants]:
            raise CordaRuntimeError("dvp-not-delivered", "The seller does not deliver the bond")


@initiated_by(protocol="dvp", versions=(1,))
class SellBond(ResponderFlow):
    """Sells a bond of this node to who pays its price."""

    def call(self, session: FlowSession) -> None:
        wanted = session.receive(Wanted)
        bond = self._bond(wanted.name)
        builder = self.ledger_service.receive_transaction_builder(session)
        self._add(bond, builder, _member(self, session.counterparty))
        self.ledger_service.send_updated_transaction_builder(builder, session)
        self.ledger_service.receive_finality(session, lambda seen: self._check(seen, bond))

    def _bond(self, name: str) -> StateAndRef[Bond]:
        for found in self.ledger_service.find_unconsumed_states(Bond):
            if found.state.name == name:
                return found
        raise CordaRuntimeError("dvp-bond-unknown", f"This node has no bond {name!r}")

    def _add(
        self,
        bond: StateAndRef[Bond],
        builder: UtxoBaselinedTransactionBuilder,
        buyer: MemberInfo,
    ) -> None:
        self._check_paid(bond.state, builder.output_states)
        sold = replace(bond.state, owner=buyer.name, owner_key=buyer.ledger_keys[0])
        builder.add_input_states(bond.ref).add_output_states(sold).add_commands(MoveBond())
        builder.add_signatories(bond.state.owner_key)

    def _check(self, seen: UtxoLedgerTransaction, bond: StateAndRef[Bond]) -> None:
        """The proposed transaction takes that bond and nothing else of this node, and pays."""
        me = self.member_lookup.my_info()
        inputs = seen.input_state_and_refs
        given = [found.ref for found in inputs if me.ledger_keys[0] in found.state.participants]
        require(given == [bond.ref], "The transaction takes more of this node than its bond")
        self._check_paid(bond.state, (found.state for found in seen.output_state_and_refs))

    def _check_paid(self, bond: Bond, outputs: Iterable[ContractState]) -> None:
        """Money for this node reaches the bond's price."""
        key = self.member_lookup.my_info().ledger_keys[0]
        mine = [each for each in outputs if isinstance(each, Money) and each.owner_key == key]
        paid = sum((money.amount for money in mine), Decimal(0))
        if paid < bond.price:
            raise CordaRuntimeError("dvp-not-paid", f"{bond.name} costs {bond.price}, not {paid}")


def _is_money_only(transaction: UtxoLedgerTransaction) -> None:
    types = {type(found.state) for found in transaction.output_state_and_refs}
    require(types == {Money} and not transaction.input_state_and_refs, "This is no new money")


def _parted(states: list[ContractState]) -> tuple[list[Bond], list[ContractState]]:
    bonds = [state for state in states if isinstance(state, Bond)]
    return bonds, [state for state in states if not isinstance(state, Bond)]


def _builder(flow: Flow) -> UtxoTransactionBuilder:
    builder = flow.ledger_service.create_transaction_builder()
    services = flow.notary_lookup.notary_services()
    if services:
        builder.set_notary(services[0].name).set_time_window(until=flow.clock.now() + _WINDOW)
    return builder


def _member(flow: Flow, name: str) -> MemberInfo:
    found = flow.member_lookup.lookup(name)
    if found is None:
        raise CordaRuntimeError("dvp-member-unknown", f"{name} is no member of the group")
    return found


def _money(bank: MemberInfo, owner: MemberInfo, amount: Decimal) -> Money:
    return Money(
        bank=bank.name,
        bank_key=bank.ledger_keys[0],
        owner=owner.name,
        owner_key=owner.ledger_keys[0],
        amount=amount,
    )


def _enough(flow: Flow, bank: MemberInfo, amount: Decimal) -> list[StateAndRef[Money]]:
    """Money of this node that reaches an amount, oldest first."""
    found: list[StateAndRef[Money]] = []
    total = Decimal(0)
    for each in flow.ledger_service.find_unconsumed_states(Money):
        if total >= amount:
            break
        if each.state.bank_key == bank.ledger_keys[0]:
            found.append(each)
            total += each.state.amount
    if total < amount:
        raise CordaRuntimeError("dvp-money-not-enough", f"There is {total}, not {amount}")
    return found
