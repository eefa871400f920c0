"""SQLite databases of the host: opening, transactions, schema versions, remembered answers."""

from host.db.database import Database, Schema
from host.db.remembered import Remembered
from host.db.vaults import Vaults

__all__ = ["Database", "Remembered", "Schema", "Vaults"]
