"""Vault-named queries: Corda's query text, parsed, typed, and turned into the host's own SQL."""
