"""UTXO transactions: building, verifying, recording, and their vault."""

from host.ledger.capability import LedgerCapability
from host.ledger.vault.tables import SCHEMA

__all__ = ["SCHEMA", "LedgerCapability"]
