"""Files of a data directory: its lock, its identity, secrets, safe opening."""
