"""What the functions of the ledger work with."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection

from host.domain.json import JsonObject, JsonValue
from host.domain.membership import GroupParameters
from host.ledger.core.answers import ChainLimits, RepairTimes
from host.ledger.core.facts import OutputFacts
from host.ledger.core.metadata import parameters_hash
from host.ledger.core.model import Transaction
from host.ledger.events import LedgerEvents, untold
from host.ledger.examine import Examiner
from host.ledger.hooks import OutputRecorder
from host.ports.capability import CallContext
from host.ports.directory import Members
from host.ports.keys import KeyStore
from host.ports.public_keys import PublicKeys
from host.ports.vaults import VaultAccess
from host.vault.idempotency import count_effect, refuse_ended

T = TypeVar("T")
Function: TypeAlias = Callable[[CallContext, JsonObject], JsonValue]
CHAIN_LIMITS = ChainLimits(
    batch=10, transactions=10_000, bytes=256 * 1024 * 1024, millis=30 * 60_000
)
REPAIR_TIMES = RepairTimes()


class ProtocolFunctions(Protocol):
    """Functions that programs of the ledger call, by their names without `protocol.`.

    Each may be repeated after a crash: it has its effect by content, once.
    """

    def handlers(self) -> Mapping[str, Function]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerParts:
    """The services behind the ledger's functions. Thread-safe.

    Attributes:
        recorder: says what a node keeps of outputs.
        chain_limits: of backchains that this host resolves.
        repair_times: of what a finality leaves undecided.
        monotonic: seconds, to divide long work.
        events: are told what ends how, to be counted.
    """

    vaults: VaultAccess
    keys: KeyStore
    public_keys: PublicKeys
    members: Members
    examiner: Examiner
    chain_limits: Callable[[], ChainLimits]
    repair_times: Callable[[], RepairTimes]
    monotonic: Callable[[], float]
    recorder: OutputRecorder
    events: LedgerEvents = untold

    def read(self, context: CallContext) -> AbstractContextManager[Connection]:
        """One view of the caller's vault."""
        return self.vaults.read(context.holding.short_hash)

    def write(self, context: CallContext, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction on the caller's vault, unless its flow has ended."""

        def unless_ended(connection: Connection) -> T:
            refuse_ended(connection, context.flow_id)
            done = work(connection)
            count_effect(connection)
            return done

        return self.vaults.transact(context.holding.short_hash, unless_ended)

    def parameters(self, context: CallContext, content: Transaction) -> GroupParameters:
        """The group parameters that a transaction names."""
        found = self.members.parameters(context.holding, parameters_hash(content.metadata))
        return found.parameters

    def facts(
        self, context: CallContext, transaction_id: str, content: Transaction
    ) -> tuple[OutputFacts, ...]:
        """What the node keeps of the outputs that concern it; never within a write transaction."""
        return self.recorder.facts(context, transaction_id, content)
