"""Protocols of the ledger as programs: pure generators (decision 0055)."""
