"""The host: virtual nodes, durable flows, ledger, membership, REST and CLI."""
