"""SQLite databases of the host: opening, transactions, schema versions, remembered answers."""

from host.db.database import Database, Schema
from host.db.vaults import Vaults

__all__ = ["Database", "Schema", "Vaults"]
