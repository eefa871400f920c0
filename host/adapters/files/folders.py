"""Folders: making what was created, renamed or deleted in one durable."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that its entries survive a power failure.

    Raises:
        OSError: it is not a folder, or cannot be synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
