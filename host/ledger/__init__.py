"""UTXO transactions: building, verifying, recording, and their vault.

Imports nothing: a build of a CorDapp compiles its queries, and needs nothing else of the ledger.
"""
