"""A node's ledger tables: statements only, each executed in its caller's transaction."""
