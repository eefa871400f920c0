"""SQLite databases of the host: opening, transactions, schema versions, remembered answers."""

from host.db.database import Database
from host.db.remembered import Remembered
from host.db.vaults import Vaults
from host.ports.database import Schema

__all__ = ["Database", "Remembered", "Schema", "Vaults"]
