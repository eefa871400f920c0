"""Payments with and without a notary, chains of them, and a message each way."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from bench_contracts import Coin, Pay

from cordapp.contracts import StateRef
from cordapp.flows import (
    ClientStartableFlow,
    FlowSession,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)


@dataclass(frozen=True)
class Payment:
    """`notary`: None in a group without one. `to`: a member; None: this node alone.

    `coin`: is moved; None: one is issued. `links`: transactions, each of which consumes the one
    before; the last one goes to `to`.
    """

    notary: str | None = None
    to: str | None = None
    coin: str | None = None
    links: int = 1


@initiating_flow(protocol="pay", versions=(1,))
class PayCoin(ClientStartableFlow[Payment, str]):
    """Answers the reference of the last coin."""

    def call(self, payment: Payment) -> str:
        me = self.member_lookup.my_info()
        coin = payment.coin
        for number in range(payment.links):
            is_last = number == payment.links - 1
            payee = self.member_lookup.lookup(payment.to) if payment.to and is_last else me
            builder = self.ledger_service.create_transaction_builder()
            if payment.notary is not None:
                builder.set_notary(payment.notary)
                builder.set_time_window(until=self.clock.now() + timedelta(hours=1))
            builder.add_output_states(Coin(amount=Decimal(1), owner=payee.ledger_keys[0]))
            builder.add_commands(Pay()).add_signatories(me.ledger_keys[0])
            if coin is not None:
                builder.add_input_states(StateRef.parse(coin))
            signed = builder.to_signed_transaction()
            sessions = [self.flow_messaging.initiate_flow(payee.name)] if payee != me else []
            coin = f"{self.ledger_service.finalize(signed, sessions).id}:0"
        return coin or ""


@initiated_by(protocol="pay", versions=(1,))
class TakeCoin(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, lambda _transaction: None)


@dataclass(frozen=True)
class Greeting:
    to: str


@initiating_flow(protocol="echo", versions=(1,))
class Echo(ClientStartableFlow[Greeting, str]):
    def call(self, greeting: Greeting) -> str:
        session = self.flow_messaging.initiate_flow(greeting.to)
        return session.send_and_receive(str, "hello")


@initiated_by(protocol="echo", versions=(1,))
class Answer(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        session.send(session.receive(str))
