"""Corda's demonstration flows of the consensual ledger, with the same requests and answers."""

from dataclasses import dataclass, field

from consensual_demo_contracts import TestConsensualState

from cordapp.consensual import ConsensualLedgerTransaction
from cordapp.contracts import require
from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    Flow,
    FlowSession,
    MemberInfo,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)

_PROTOCOL = "consensual-flow-protocol"


@dataclass(frozen=True)
class InputMessage:
    input: str
    members: list[str]


@dataclass(frozen=True)
class FindTransactionParameters:
    transaction_id: str = field(metadata={"json": "transactionId"})


@dataclass(frozen=True)
class StateResult:
    test_field: str = field(metadata={"json": "testField"})
    participants: list[str]


@dataclass(frozen=True)
class TransactionResult:
    id: str
    states: list[StateResult]
    participants: list[str]


@dataclass(frozen=True)
class FindTransactionResponse:
    transaction: TransactionResult | None
    error_message: str | None = field(metadata={"json": "errorMessage"})


@initiating_flow(_PROTOCOL)
class ConsensualDemoFlow(ClientStartableFlow[InputMessage, str]):
    """Have all members agree on a text; answer the transaction's identifier.

    Other members' refusal is the answer, `Finality failed, ` and why.
    """

    def call(self, request: InputMessage) -> str:
        members = [_member(self, name) for name in request.members]
        me = self.member_lookup.my_info()
        state = TestConsensualState(
            test_field=request.input,
            participants=[each.ledger_keys[0] for each in (*members, me)],
        )
        service = self.consensual_ledger_service
        signed = service.create_transaction_builder().with_states(state).to_signed_transaction()
        sessions = [self.flow_messaging.initiate_flow(each.name) for each in members]
        try:
            return service.finalize(signed, sessions).id
        except CordaRuntimeError as failed:
            return f"Finality failed, {failed.message}"


@initiated_by(_PROTOCOL)
class ConsensualResponderFlow(ResponderFlow):
    """Agree to every text but `fail`."""

    def call(self, session: FlowSession) -> None:
        try:
            self.consensual_ledger_service.receive_finality(session, _check)
        except (CordaRuntimeError, ValueError) as failed:
            self.log.warning("Exceptionally finished responder flow: %s", failed)


class FindTransactionFlow(ClientStartableFlow[FindTransactionParameters, FindTransactionResponse]):
    """Show a recorded transaction."""

    def call(self, request: FindTransactionParameters) -> FindTransactionResponse:
        wanted = request.transaction_id
        found = self.consensual_ledger_service.find_ledger_transaction(wanted)
        if found is None:
            return FindTransactionResponse(None, f"Failed to find transaction with id {wanted}.")
        states = [
            StateResult(state.test_field, list(state.participants))
            for state in found.get_states(TestConsensualState)
        ]
        participants: list[str] = list(found.required_signatories)
        return FindTransactionResponse(TransactionResult(found.id, states, participants), None)


def _check(transaction: ConsensualLedgerTransaction) -> None:
    for state in transaction.get_states(TestConsensualState):
        require(state.test_field != "fail", "Failed verification")


def _member(flow: Flow, name: str) -> MemberInfo:
    found = flow.member_lookup.lookup(name)
    if found is None:
        raise CordaRuntimeError(
            "member-unknown", f"Member {name} does not exist in the membership group"
        )
    return found
