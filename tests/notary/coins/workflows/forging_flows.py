"""Flows that speak the platform's protocols by themselves, on sessions of their own."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from coins_contracts import Coin, Pay

from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    FlowSession,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)


@dataclass(frozen=True)
class Forgery:
    """Payloads for a flow of `to` that receives a finality."""

    to: str
    payloads: list[dict[str, Any]]


@initiating_flow(protocol="forge", versions=(1,))
class SendForged(ClientStartableFlow[Forgery, str]):
    """Answers the kind of what came back, or the code of the error."""

    def call(self, forgery: Forgery) -> str:
        session = self.flow_messaging.initiate_flow(forgery.to, require_close=False)
        try:
            for payload in forgery.payloads:
                session.send(payload)
            answer: dict[str, Any] = session.receive(dict[str, Any])
        except CordaRuntimeError as failed:
            return failed.code
        return str(answer["kind"])


@initiated_by(protocol="forge", versions=(1,))
class ReceiveForged(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, lambda _: None)


@dataclass(frozen=True)
class ForgedAnswer:
    """`answer`: what `to` sends instead of its signature; None: it waits for a text."""

    notary: str
    to: str
    answer: dict[str, Any] | None


@initiating_flow(protocol="pay-forger", versions=(1,))
class PayForger(ClientStartableFlow[ForgedAnswer, str]):
    """A coin that both sign; answers the code of the refusal."""

    def call(self, request: ForgedAnswer) -> str:
        me, payee = self.member_lookup.my_info(), self.member_lookup.lookup(request.to)
        keys = (me.ledger_keys[0], payee.ledger_keys[0])
        builder = self.ledger_service.create_transaction_builder().set_notary(request.notary)
        builder.set_time_window(until=self.clock.now() + timedelta(hours=1))
        builder.add_output_states(Coin(amount=5, owner=keys[0])).add_commands(Pay())
        builder.add_signatories(*keys)
        session = self.flow_messaging.initiate_flow(request.to, require_close=False)
        session.send({"answer": request.answer})
        try:
            return self.ledger_service.finalize(builder.to_signed_transaction(), [session]).id
        except CordaRuntimeError as refused:
            return refused.code


@initiated_by(protocol="pay-forger", versions=(1,))
class AnswerForged(ResponderFlow):
    """Receives a proposal as any other payload, and answers it without the ledger."""

    def call(self, session: FlowSession) -> None:
        answer = session.receive(dict[str, Any])["answer"]
        if answer is None:
            session.receive(str)
        proposal: dict[str, Any] = session.receive(dict[str, Any])
        mine = self.member_lookup.my_info().ledger_keys[0]
        for signature in answer.get("signatures", ()):
            if signature.get("copied"):
                (copied,) = proposal["transaction"]["signatures"]
                signature.clear()
                signature.update({**copied, "key": mine})
        session.send(answer)
        session.receive(dict[str, Any])
