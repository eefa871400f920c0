"""How both sides of a negotiation agree on a transaction: one signs, the other checks and signs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from negotiation_contracts import Expire, Proposal, Propose

from cordapp.contracts import Command, ContractState, StateAndRef, UtxoLedgerTransaction
from cordapp.flows import (
    CordaRuntimeError,
    FlowSession,
    ResponderFlow,
    SubFlow,
    UtxoSignedTransaction,
    initiated_by,
    initiating_flow,
)


@dataclass(frozen=True)
class Signed:
    """The other side agrees."""

    signatures: list[dict[str, Any]]


@dataclass(frozen=True)
class Declined:
    """The other side does not sign; the flow that proposes may go on."""

    code: str
    reason: str


@dataclass(frozen=True)
class Recorded:
    transaction_id: str


@dataclass(frozen=True)
class Step:
    """One transaction of a negotiation."""

    command: Command
    before: StateAndRef[Proposal] | None = None
    after: ContractState | None = None
    begins: datetime | None = None
    ends: datetime | None = None


@initiating_flow(protocol="negotiation-agree", versions=(1,))
class Agree(SubFlow[str]):
    """Has the other side sign a step; answers the id of the recorded transaction."""

    def __init__(self, peer: str, step: Step) -> None:
        self.peer = peer
        self.step = step

    def call(self) -> str:
        signed = self._build()
        session = self.flow_messaging.initiate_flow(self.peer)
        answer = session.send_and_receive(Signed | Declined, signed)
        if isinstance(answer, Declined):
            raise CordaRuntimeError(answer.code, answer.reason)
        complete = signed.with_signatures(answer.signatures)
        self.ledger_service.record(complete)
        return session.send_and_receive(Recorded, complete).transaction_id

    def _build(self) -> UtxoSignedTransaction:
        step = self.step
        builder = self.ledger_service.create_transaction_builder().add_commands(step.command)
        if step.before is not None:
            builder.add_input_states(step.before.ref)
            builder.add_signatories(*step.before.state.participants)
        if step.after is not None:
            builder.add_output_states(step.after)
        if isinstance(step.after, Proposal) and step.before is None:
            builder.add_signatories(*step.after.participants)
        if step.ends is not None:
            builder.set_time_window(from_=step.begins, until=step.ends)
        return builder.to_signed_transaction()


@initiated_by(protocol="negotiation-agree", versions=(1,))
class CheckAndRecord(ResponderFlow):
    """The other side: signs what its peer may do now."""

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
            raise CordaRuntimeError("negotiation-other", "This is not the transaction we signed")
        self.ledger_service.record(complete)
        session.send(Recorded(complete.id))

    def _why_not(self, seen: UtxoLedgerTransaction, peer: str) -> Declined | None:
        command = seen.commands[0]
        before = seen.get_input_states(Proposal)
        mine = self.flow_engine.virtual_node_name
        for state in [*before, *seen.get_output_states(Proposal)]:
            if {state.buyer.name, state.seller.name} != {mine, peer}:
                return Declined("negotiation-not-ours", "The proposal is not between you and us")
        if isinstance(command, Propose):
            proposal = seen.get_output_states(Proposal)[0]
            acts = proposal.party(proposal.proposer)
        else:
            acts = before[0].party(before[0].proposer.other)
        if acts.name != peer and not isinstance(command, Expire):
            return Declined("negotiation-not-your-turn", f"It is the turn of {acts.name}")
        window = seen.time_window
        if window is not None and not window.contains(self.clock.now()):
            return Declined("negotiation-out-of-time", "The time window does not contain our time")
        return None
