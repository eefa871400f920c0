"""Issue a coin, move it to another member, and move it twice at once."""

from dataclasses import dataclass
from datetime import timedelta

from coins_contracts import Coin, Pay

from cordapp.contracts import StateRef
from cordapp.errors import NotaryError
from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    FlowSession,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)


@dataclass(frozen=True)
class Payment:
    """`coin`: a state reference; None issues one. `to`: a member's name; None: this node."""

    notary: str
    amount: int
    coin: str | None = None
    to: str | None = None
    seconds: int = 3600


@dataclass(frozen=True)
class StrictPayment(Payment):
    """`require_close`: of the session with the payee. `closes`: the flow does so by itself."""

    require_close: bool = True
    closes: bool = False


@initiating_flow(protocol="pay", versions=(1,))
class PayCoin(ClientStartableFlow[Payment, str]):
    """Answers the reference of the new coin, or the code of the refusal."""

    def call(self, payment: Payment) -> str:
        me = self.member_lookup.my_info()
        payee = self.member_lookup.lookup(payment.to) if payment.to else me
        coin = Coin(amount=payment.amount, owner=payee.ledger_keys[0])
        builder = self.ledger_service.create_transaction_builder()
        builder.set_notary(payment.notary)
        builder.set_time_window(until=self.clock.now() + timedelta(seconds=payment.seconds))
        builder.add_output_states(coin).add_commands(Pay()).add_signatories(me.ledger_keys[0])
        if payment.coin:
            builder.add_input_states(StateRef.parse(payment.coin))
        signed = builder.to_signed_transaction()
        sessions = [self.flow_messaging.initiate_flow(payee.name)] if payment.to else []
        try:
            final = self.ledger_service.finalize(signed, sessions)
        except CordaRuntimeError as refused:
            return f"{refused.code}: {refused}"
        return f"{final.id}:0"


@initiated_by(protocol="pay", versions=(1,))
class TakeCoin(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        try:
            self.ledger_service.receive_finality(session, lambda transaction: None)
        except CordaRuntimeError as failed:
            self.log.info("not taken: %s", failed.code)


@initiating_flow(protocol="pay-strictly", versions=(1,))
class PayStrictly(ClientStartableFlow[StrictPayment, str]):
    """As `PayCoin`, to a payee whose flow fails where the payment does."""

    def call(self, payment: StrictPayment) -> str:
        me = self.member_lookup.my_info()
        payee = self.member_lookup.lookup(payment.to or me.name)
        builder = self.ledger_service.create_transaction_builder()
        builder.set_notary(payment.notary)
        builder.set_time_window(until=self.clock.now() + timedelta(seconds=payment.seconds))
        builder.add_output_states(Coin(amount=payment.amount, owner=payee.ledger_keys[0]))
        builder.add_commands(Pay()).add_signatories(me.ledger_keys[0])
        session = self.flow_messaging.initiate_flow(payee.name, require_close=payment.require_close)
        try:
            return self.ledger_service.finalize(builder.to_signed_transaction(), [session]).id
        except NotaryError as refused:
            if not payment.closes:
                return refused.kind
        try:
            session.close()
        except CordaRuntimeError as failed:
            return f"closed: {failed.code}"
        return "closed"


@initiated_by(protocol="pay-strictly", versions=(1,))
class TakeStrictly(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, lambda transaction: None)


@dataclass(frozen=True)
class Sending:
    """`how`: `plain`, `backchain`, or `seen`: to be looked at only."""

    transaction: str
    to: str
    how: str


@initiating_flow(protocol="send", versions=(1,))
class SendCoin(ClientStartableFlow[Sending, str]):
    """Sends a recorded transaction; answers what the other side has found of it."""

    def call(self, sending: Sending) -> str:
        signed = self.ledger_service.find_signed_transaction(sending.transaction)
        if signed is None:
            return "unknown"
        session = self.flow_messaging.initiate_flow(sending.to)
        session.send(sending.how)
        send = {
            "plain": self.ledger_service.send_transaction,
            "backchain": self.ledger_service.send_transaction_with_backchain,
            "seen": self.ledger_service.send_ledger_transaction,
        }[sending.how]
        send(signed, [session])
        return session.receive(str)


@initiated_by(protocol="send", versions=(1,))
class ReceiveCoin(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        if session.receive(str) == "seen":
            seen = self.ledger_service.receive_ledger_transaction(session)
            before = [coin.amount for coin in seen.get_input_states(Coin)]
            session.send(
                f"{seen.id}: {before} to {[c.amount for c in seen.get_output_states(Coin)]}"
            )
        else:
            session.send(self.ledger_service.receive_transaction(session))


class LookAt(ClientStartableFlow[str, list[str]]):
    """Ask for a transaction of this node in every way; what came of it, as texts."""

    def call(self, transaction_id: str) -> list[str]:
        ledger = self.ledger_service
        signed = ledger.find_signed_transaction(transaction_id)
        seen = ledger.find_ledger_transaction(transaction_id)
        if signed is None or seen is None:
            return ["none"]
        ledger.verify_signatory_signatures(signed)
        draft = ledger.create_transaction_builder().set_notary(seen.notary.name)
        draft.set_time_window(until=self.clock.now() + timedelta(hours=1))
        me = self.member_lookup.my_info().ledger_keys[0]
        draft.add_output_states(Coin(amount=9, owner=me)).add_commands(Pay()).add_signatories(me)
        kept = draft.to_signed_transaction()
        ledger.persist_draft_signed_transaction(kept)
        found = ledger.find_draft_signed_transaction(kept.id)
        filtered = (
            ledger.filter_signed_transaction(signed)
            .with_notary()
            .with_output_states([0])
            .with_input_states_size()
            .build()
        )
        shown = ledger.verify_filtered_transaction(filtered)
        before = ledger.find_filtered_transactions_and_signatures(transaction_id) or []
        until = self.clock.now() + timedelta(hours=1)
        states = ledger.find_unconsumed_states_by_exact_type(Coin, 1)
        later = ledger.find_unconsumed_states_by_exact_type(Coin, 5, until)
        return [
            str([coin.amount for coin in seen.get_input_states(Coin)]),
            str(ledger.find_transaction_statuses(transaction_id, kept.id, "SHA-256D:" + "0" * 64)),
            str(found == kept),
            f"{filtered.id == signed.id} {shown['notary']['name']} {shown['inputs']['size']}",
            f"{shown['outputs']['values']['0']['value']['amount']} {shown['signatories']}",
            str([each.filtered_transaction.id == str(seen.input_state_and_refs[0].ref.transaction_id)
                 for each in before]),
            f"{len(states)} {len(later)}",
        ]  # fmt: skip


class Coins(ClientStartableFlow[None, list[int]]):
    """The amounts of this node's coins."""

    def call(self, _: None) -> list[int]:
        found = self.ledger_service.find_unconsumed_states(Coin)
        return [each.state.amount for each in found]
