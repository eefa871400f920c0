"""How the three parties of an order agree on a step: some sign it, all record it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from delivery_contracts import Deliver, Dispute, Order, Place, Publish, Settle, Ship
from delivery_rows import KeepRow

from cordapp.contracts import UtxoLedgerTransaction
from cordapp.flows import (
    CordaRuntimeError,
    Flow,
    FlowSession,
    MemberInfo,
    ResponderFlow,
    SubFlow,
    UtxoSignedTransaction,
    initiated_by,
    initiating_flow,
)

PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True)
class Signed:
    """A party agrees; those that only take note sign nothing."""

    signatures: list[dict[str, Any]]


@dataclass(frozen=True)
class Declined:
    code: str
    reason: str


@dataclass(frozen=True)
class Recorded:
    transaction_id: str


def member(flow: Flow, name: str) -> MemberInfo:
    """The member of this name.

    Raises:
        CordaRuntimeError: `delivery-unknown-party`.
    """
    found = flow.member_lookup.lookup(name)
    if found is None:
        raise CordaRuntimeError("delivery-unknown-party", f"{name} is no member")
    return found


@initiating_flow(protocol="delivery-step", versions=(1,))
class Agree(SubFlow[str]):
    """Has the others sign and record a transaction; answers its id."""

    def __init__(self, signed: UtxoSignedTransaction, others: set[str]) -> None:
        self.signed = signed
        self.others = sorted(others)

    def call(self) -> str:
        millis = PATIENCE // timedelta(milliseconds=1)
        sessions = [
            self.flow_messaging.initiate_flow(name, timeout_millis=millis) for name in self.others
        ]
        self.flow_messaging.send_all(self.signed, sessions)
        complete = self.signed
        answers = self.flow_messaging.receive_all(Signed | Declined, sessions)
        for answer in answers:
            if isinstance(answer, Declined):
                raise CordaRuntimeError(answer.code, answer.reason)
            complete = complete.with_signatures(answer.signatures)
        self.ledger_service.record(complete)
        self.flow_messaging.send_all(complete, sessions)
        self.flow_messaging.receive_all(Recorded, sessions)
        self.flow_engine.sub_flow(KeepRow(complete))
        return complete.id


@initiated_by(protocol="delivery-step", versions=(1,))
class CheckAndRecord(ResponderFlow):
    """Another party: checks that the step is its peer's, signs if it has to, and records."""

    def call(self, session: FlowSession) -> None:
        proposed = session.receive(UtxoSignedTransaction)
        seen = self.ledger_service.verify(proposed).transaction
        declined = self._why_not(seen, session.counterparty)
        if declined is not None:
            session.send(declined)
            return
        signatures = self.ledger_service.verify(proposed, sign=True).signatures
        complete = session.send_and_receive(UtxoSignedTransaction, Signed(signatures))
        if complete.id != proposed.id:
            raise CordaRuntimeError("delivery-other", "This is not the transaction we signed")
        self.ledger_service.record(complete)
        self.flow_engine.sub_flow(KeepRow(complete))
        session.send(Recorded(complete.id))

    def _why_not(self, seen: UtxoLedgerTransaction, peer: str) -> Declined | None:
        command = seen.commands[0]
        if isinstance(command, Publish):
            return None
        (order,) = seen.get_output_states(Order)
        match command:
            case Place() | Dispute():
                acts = order.buyer
            case Ship():
                acts = order.seller
            case Deliver():
                acts = order.carrier
            case Settle(refund):
                acts = order.seller
                if order.buyer.name == self.flow_engine.virtual_node_name and not refund:
                    return Declined("delivery-no-refund", "A settlement without refund is none")
            case _:
                return Declined("delivery-command", f"{type(command).__name__} is unknown to us")
        if acts.name != peer:
            return Declined("delivery-not-yours", f"This step is that of {acts.name}")
        if seen.time_window is not None and not seen.time_window.contains(self.clock.now()):
            return Declined("delivery-out-of-time", "The time window does not contain our time")
        return None
