"""The pure parts of the ledger: values in, values out, no storage, clock or keys."""
