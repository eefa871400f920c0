"""Backups of a data directory: one consistent cut over all its files, and bringing it back."""

from host.backup.restoring import Restored, restore
from host.backup.writing import Written, back_up

__all__ = ["Restored", "Written", "back_up", "restore"]
