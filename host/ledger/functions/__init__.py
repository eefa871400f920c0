"""The functions `protocol.*` of the ledger, which programs call."""
