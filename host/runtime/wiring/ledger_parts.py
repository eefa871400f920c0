"""Entities and ledger: what works on the vaults of virtual nodes."""

from functools import cached_property

from host import entities as persistence
from host.guests.vault_functions import SandboxedVaultFunctions
from host.ledger.capability import LedgerCapability
from host.ledger.events import LedgerEvents
from host.ledger.examine import Examiner
from host.ledger.functions.notary_client import NotaryClientFunctions
from host.ledger.functions.notary_contracts import WholeVerifier
from host.ledger.functions.notary_server import NotaryServerFunctions
from host.ledger.notary.model import Uniqueness
from host.ledger.notary.service import UniquenessService
from host.ledger.notary.signer import NotarySigner
from host.ledger.parts import ProtocolFunctions
from host.observe.ledger_observer import LedgerObserver
from host.ports.capability import Capability
from host.ports.vault_functions import VaultFunctions
from host.runtime.wiring import services
from host.runtime.wiring.network_parts import NetworkParts
from host.runtime.wiring.sections import (
    chain_limits,
    claim_ms,
    distrusted_notaries,
    notary_patience,
    repair_times,
)
from host.runtime.wiring.services import (
    RemoteCapability,
    RemoteUniqueness,
    RemoteVaultFunctions,
    VaultAnswers,
)


class LedgerParts(NetworkParts):
    """The services on vaults, and the verification of contracts."""

    @cached_property
    def entities(self) -> Capability:
        """The capability `persistence`."""
        if self._is_elsewhere(services.ENTITIES):
            return RemoteCapability("persistence", self._remote(services.ENTITIES))
        return persistence.EntityCapability(self.vaults, self.entity_types)

    @cached_property
    def vault_functions(self) -> VaultFunctions:
        """What contract packages say of their states in vaults."""
        if self._is_elsewhere(services.VAULT_FUNCTIONS):
            return RemoteVaultFunctions(self._remote(services.VAULT_FUNCTIONS))
        return SandboxedVaultFunctions(
            library=self.guests, quotas=self.quotas, clock=self.base.clock
        )

    @cached_property
    def ledger(self) -> Capability:
        """The capability `ledger`; it runs in the process that has the vaults."""
        if self._is_elsewhere(services.LEDGER):
            return RemoteCapability("ledger", self._remote(services.LEDGER))
        return LedgerCapability(
            vaults=self.vaults,
            keys=self.keys,
            public_keys=self.public_keys,
            members=self.members,
            cpks=self.catalogue,
            contracts=self.contracts,
            functions=self._notary_functions(),
            chain_limits=chain_limits(self.config).get,
            repair_times=repair_times(self.config).get,
            claim_ms=claim_ms(self.config).get,
            distrusted=distrusted_notaries(self.config).get,
            vault_functions=self.vault_functions,
            events=self.ledger_events,
        )

    @cached_property
    def ledger_events(self) -> LedgerEvents:
        """Count what the ledger of this process tells."""
        return LedgerObserver(self.base.registry)

    @cached_property
    def uniqueness(self) -> Uniqueness:
        """Decides which transactions spend states."""
        if self._is_elsewhere(services.UNIQUENESS):
            return RemoteUniqueness(self._remote(services.UNIQUENESS))
        return UniquenessService(
            databases=self.notary_databases, clock=self.store.time, events=self.ledger_events
        )

    def _notary_functions(self) -> tuple[ProtocolFunctions, ...]:
        client = NotaryClientFunctions(
            vaults=self.vaults,
            members=self.members,
            public_keys=self.public_keys,
            patience=notary_patience(self.config).get,
        )
        examiner = Examiner(
            vaults=self.vaults,
            public_keys=self.public_keys,
            members=self.members,
            cpks=self.catalogue,
            contracts=self.contracts,
            distrusted=distrusted_notaries(self.config).get,
        )
        server = NotaryServerFunctions(
            members=self.members,
            keys=self.keys,
            verifier=WholeVerifier(
                examiner=examiner,
                members=self.members,
                public_keys=self.public_keys,
            ),
            uniqueness=self.uniqueness,
            signer=NotarySigner(keys=self.keys, public_keys=self.public_keys),
            trust=examiner.trust,
            events=self.ledger_events,
        )
        return client, server

    @cached_property
    def answers(self) -> VaultAnswers:
        return self._service(services.ANSWERS, lambda: VaultAnswers(self.vaults, self.base.clock))
