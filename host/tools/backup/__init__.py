"""Backups of a data directory: one consistent cut over all its files, and its restore."""

from host.tools.backup.restoring import Restored, restore
from host.tools.backup.writing import Written, back_up

__all__ = ["Restored", "Written", "back_up", "restore"]
