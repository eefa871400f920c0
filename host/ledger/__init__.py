"""UTXO transactions: building, verifying, recording, and the vault that remembers them."""

from host.ledger.capability import LedgerCapability
from host.ledger.tables import SCHEMA

__all__ = ["SCHEMA", "LedgerCapability"]
