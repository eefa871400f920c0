"""Chains of transactions, and transactions of any shape for tests of a notary."""

from dataclasses import dataclass, field
from datetime import timedelta

from utxo_demo_contracts import TestCommand, TestUtxoState
from utxo_demo_flows import builder_of, member_of

from cordapp.contracts import StateRef
from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    FlowSession,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)


@dataclass(frozen=True)
class ChainRequest:
    """`length` transactions that consume each other, the last one with `member`."""

    member: str
    length: int


@dataclass(frozen=True)
class ChainResult:
    transaction_id: str = field(metadata={"json": "transactionId"})
    length: int


@dataclass(frozen=True)
class NotaryRequest:
    """The shape of a transaction; times are milliseconds from now.

    `notary` is the name of a service, by default the first one. `unsigned` are members that are
    participants of the outputs and do not sign, which the contract refuses.
    """

    output_state_count: int = field(default=0, metadata={"json": "outputStateCount"})
    input_state_refs: list[StateRef] = field(
        default_factory=list, metadata={"json": "inputStateRefs"}
    )
    reference_state_refs: list[StateRef] = field(
        default_factory=list, metadata={"json": "referenceStateRefs"}
    )
    lower: int | None = field(default=None, metadata={"json": "timeWindowLowerBoundOffsetMs"})
    upper: int = field(default=3_600_000, metadata={"json": "timeWindowUpperBoundOffsetMs"})
    notary: str | None = None
    unsigned: list[str] = field(default_factory=list, metadata={"json": "unsignedParticipants"})


@dataclass(frozen=True)
class NotaryResult:
    issued: list[StateRef] = field(metadata={"json": "issuedStateRefs"})
    consumed: list[StateRef] = field(metadata={"json": "consumedInputStateRefs"})
    referenced: list[StateRef] = field(metadata={"json": "consumedReferenceStateRefs"})


@initiating_flow(protocol="utxo-backchain-resolution-protocol", versions=(1,))
class UtxoBackchainResolutionDemoFlow(ClientStartableFlow[ChainRequest, ChainResult]):
    """Makes a chain alone, and lets a newcomer keep its end: it resolves the whole chain."""

    def call(self, request_body: ChainRequest) -> ChainResult:
        me, newcomer = self.member_lookup.my_info(), member_of(self, request_body.member)
        before: StateRef | None = None
        for number in range(request_body.length):
            is_last = number == request_body.length - 1
            members = [me, newcomer] if is_last else [me]
            state = TestUtxoState(
                test_field=f"link {number}",
                participants=[member.ledger_keys[0] for member in members],
                participant_names=[member.name for member in members],
            )
            builder = builder_of(self).add_output_states(state)
            builder.add_signatories(*state.participants)
            if before is not None:
                builder.add_input_states(before)
            sessions = [self.flow_messaging.initiate_flow(newcomer.name)] if is_last else []
            final = self.ledger_service.finalize(builder.to_signed_transaction(), sessions)
            before = StateRef(final.id, 0)
        if before is None:
            raise CordaRuntimeError("utxo-demo-chain-empty", "A chain has at least one transaction")
        return ChainResult(before.transaction_id, request_body.length)


@initiated_by(protocol="utxo-backchain-resolution-protocol", versions=(1,))
class UtxoBackchainResolutionDemoResponderFlow(ResponderFlow):
    """Takes every chain."""

    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, lambda _transaction: None)


class NonValidatingNotaryTestFlow(ClientStartableFlow[NotaryRequest, NotaryResult]):
    """Has a transaction of this node alone notarised."""

    def call(self, request_body: NotaryRequest) -> NotaryResult:
        me, now = self.member_lookup.my_info(), self.clock.now()
        members = [me, *(member_of(self, name) for name in request_body.unsigned)]
        states = [
            TestUtxoState(
                test_field=f"output {number}",
                participants=[member.ledger_keys[0] for member in members],
                participant_names=[member.name for member in members],
            )
            for number in range(request_body.output_state_count)
        ]
        builder = self.ledger_service.create_transaction_builder().add_commands(TestCommand())
        builder.set_notary(request_body.notary or self.notary_lookup.notary_services()[0].name)
        lower = request_body.lower
        builder.set_time_window(
            from_=None if lower is None else now + timedelta(milliseconds=lower),
            until=now + timedelta(milliseconds=request_body.upper),
        )
        builder.add_output_states(*states).add_signatories(me.ledger_keys[0])
        builder.add_input_states(*request_body.input_state_refs)
        builder.add_reference_states(*request_body.reference_state_refs)
        final = self.ledger_service.finalize(builder.to_signed_transaction())
        return NotaryResult(
            issued=[StateRef(final.id, number) for number in range(len(states))],
            consumed=request_body.input_state_refs,
            referenced=request_body.reference_state_refs,
        )
