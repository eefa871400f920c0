"""Corda's demonstration flows of the UTXO ledger, with the same requests and answers."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from utxo_demo_contracts import StatesByField, TestCommand, TestUtxoState

from cordapp.contracts import StateAndRef, StateRef, UtxoLedgerTransaction, require
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
from cordapp.ledger import UtxoTransactionBuilder

_WINDOW = timedelta(hours=1)


@dataclass(frozen=True)
class UtxoDemoRequest:
    input: str
    members: list[str]
    notary: str | None = None


@dataclass(frozen=True)
class EvolveRequest:
    update: str
    transaction_id: str = field(metadata={"json": "transactionId"})
    index: int = 0


@dataclass(frozen=True)
class EvolveResult:
    transaction_id: str | None = field(metadata={"json": "transactionId"})
    error_message: str | None = field(metadata={"json": "errorMessage"})


@dataclass(frozen=True)
class FindRequest:
    transaction_id: str = field(metadata={"json": "transactionId"})


@dataclass(frozen=True)
class StateView:
    test_field: str = field(metadata={"json": "testField"})
    participants: list[str]


@dataclass(frozen=True)
class TransactionView:
    id: str
    states: list[StateView]
    participants: list[str]


@dataclass(frozen=True)
class FindResult:
    transaction: TransactionView | None
    error_message: str | None = field(metadata={"json": "errorMessage"})


@dataclass(frozen=True)
class PeekResult:
    inputs: list[StateView]
    outputs: list[StateView]
    error_message: str | None = field(metadata={"json": "errorMessage"})


@dataclass(frozen=True)
class CustomQueryRequest:
    test_field: str = field(metadata={"json": "testField"})
    limit: int = 10


@initiating_flow(protocol="utxo-flow-protocol", versions=(1,))
class UtxoDemoFlow(ClientStartableFlow[UtxoDemoRequest, str]):
    """Makes a state that this node and the members keep; answers the transaction's id."""

    def call(self, request_body: UtxoDemoRequest) -> str:
        members = [self.member_lookup.my_info()]
        members += [member_of(self, name) for name in request_body.members]
        state = TestUtxoState(
            test_field=request_body.input,
            participants=[member.ledger_keys[0] for member in members],
            participant_names=[member.name for member in members],
        )
        builder = builder_of(self, request_body.notary)
        builder.add_output_states(state).add_signatories(*state.participants)
        sessions = [self.flow_messaging.initiate_flow(member.name) for member in members[1:]]
        return self.ledger_service.finalize(builder.to_signed_transaction(), sessions).id


@initiated_by(protocol="utxo-flow-protocol", versions=(1,))
class UtxoDemoResponderFlow(ResponderFlow):
    """Takes every text but `fail`."""

    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, _is_wanted)


@initiating_flow(protocol="utxo-evolve-protocol", versions=(1,))
@dataclass(frozen=True)
class EvolveState(SubFlow[str]):
    """Consumes a state, and makes one with another text."""

    found: StateAndRef[TestUtxoState]
    update: str

    def call(self) -> str:
        before, me = self.found.state, self.member_lookup.my_info().name
        builder = builder_of(self).add_input_states(self.found.ref)
        builder.add_output_states(replace(before, test_field=self.update))
        builder.add_signatories(*before.participants)
        others = [name for name in before.participant_names if name != me]
        sessions = [self.flow_messaging.initiate_flow(name) for name in others]
        return self.ledger_service.finalize(builder.to_signed_transaction(), sessions).id


class UtxoDemoEvolveFlow(ClientStartableFlow[EvolveRequest, EvolveResult]):
    """Evolves an output of a transaction, whether or not it is still unconsumed."""

    def call(self, request_body: EvolveRequest) -> EvolveResult:
        ref = StateRef(request_body.transaction_id, request_body.index)
        try:
            (found,) = self.ledger_service.resolve(ref)
            evolved = self.flow_engine.sub_flow(EvolveState(found, request_body.update))
        except CordaRuntimeError as refused:
            return EvolveResult(None, str(refused))
        return EvolveResult(evolved, None)


@initiated_by(protocol="utxo-evolve-protocol", versions=(1,))
class UtxoDemoEvolveResponderFlow(ResponderFlow):
    """Takes every text but `fail`."""

    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, _is_wanted)


class FindTransactionFlow(ClientStartableFlow[FindRequest, FindResult]):
    """The outputs of a transaction that this node has recorded."""

    def call(self, request_body: FindRequest) -> FindResult:
        wanted = request_body.transaction_id
        signed = self.ledger_service.find_signed_transaction(wanted)
        if signed is None:
            return FindResult(None, f"Failed to find transaction with id {wanted}.")
        states = self.ledger_service.verify(signed).transaction.get_output_states(TestUtxoState)
        names = sorted({name for state in states for name in state.participant_names})
        return FindResult(TransactionView(signed.id, _views(states), names), None)


class PeekTransactionFlow(ClientStartableFlow[FindRequest, PeekResult]):
    """The inputs and outputs of a transaction that this node has recorded."""

    def call(self, request_body: FindRequest) -> PeekResult:
        wanted = request_body.transaction_id
        signed = self.ledger_service.find_signed_transaction(wanted)
        if signed is None:
            return PeekResult([], [], f"Failed to find transaction with id {wanted}.")
        seen = self.ledger_service.verify(signed).transaction
        inputs, outputs = (
            seen.get_input_states(TestUtxoState),
            seen.get_output_states(TestUtxoState),
        )
        return PeekResult(_views(inputs), _views(outputs), None)


class UtxoCustomQueryDemoFlow(ClientStartableFlow[CustomQueryRequest, list[StateRef]]):
    """References of the states with a text."""

    def call(self, request_body: CustomQueryRequest) -> list[StateRef]:
        query = self.ledger_service.query(StatesByField, StateAndRef)
        query.set_parameter("testField", request_body.test_field).set_limit(request_body.limit)
        return [found.ref for found in query.execute().results]


def builder_of(flow: Flow, notary: str | None = None) -> UtxoTransactionBuilder:
    """A builder with the command, and the notary: the one that is named, or the group's first."""
    builder = flow.ledger_service.create_transaction_builder().add_commands(TestCommand())
    for service in flow.notary_lookup.notary_services():
        if notary in {None, service.name}:
            builder.set_notary(service.name)
            return builder.set_time_window(until=flow.clock.now() + _WINDOW)
    require(notary is None, f"The group has no notary service {notary}")
    return builder


def member_of(flow: Flow, name: str) -> MemberInfo:
    """The member of this name."""
    found = flow.member_lookup.lookup(name)
    if found is None:
        raise CordaRuntimeError("utxo-demo-member-unknown", f"{name} is no member of the group")
    return found


def _views(states: list[TestUtxoState]) -> list[StateView]:
    return [StateView(state.test_field, state.participant_names) for state in states]


def _is_wanted(transaction: UtxoLedgerTransaction) -> None:
    for state in transaction.get_output_states(TestUtxoState):
        require(state.test_field != "fail", "Failed verification")
