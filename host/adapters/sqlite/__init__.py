"""SQLite: the flow store, databases, their revision and their errors."""
