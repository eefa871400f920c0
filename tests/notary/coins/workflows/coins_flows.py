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


class Coins(ClientStartableFlow[None, list[int]]):
    """The amounts of this node's coins."""

    def call(self, _: None) -> list[int]:
        found = self.ledger_service.find_unconsumed_states(Coin)
        return [each.state.amount for each in found]
