"""All functions that programs of the ledger call."""

from host.ledger.functions.builders import BuilderFunctions
from host.ledger.functions.chain_resolver import ChainResolverFunctions
from host.ledger.functions.chain_server import ChainServerFunctions
from host.ledger.functions.initiator import FinalityFunctions
from host.ledger.functions.receiver import ReceiverFunctions
from host.ledger.functions.release import ReleaseFunctions
from host.ledger.functions.repair import RepairFunctions
from host.ledger.functions.transfer import TransferFunctions
from host.ledger.functions.vault_rebuild import VaultRebuildFunctions
from host.ledger.parts import LedgerParts, ProtocolFunctions


def protocol_functions(parts: LedgerParts) -> tuple[ProtocolFunctions, ...]:
    """The functions over these services."""
    return (
        FinalityFunctions(parts),
        ReceiverFunctions(parts),
        ChainResolverFunctions(parts),
        ChainServerFunctions(parts),
        RepairFunctions(parts),
        ReleaseFunctions(parts),
        TransferFunctions(parts),
        BuilderFunctions(parts),
        VaultRebuildFunctions(parts),
    )
