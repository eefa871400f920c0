"""Adapters of the flow store: in memory, and embedded SQLite."""
