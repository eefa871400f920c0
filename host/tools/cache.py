"""The folder in which commands cache compiled code; it can be deleted at any time."""

import os
from pathlib import Path

from host.settings import home_cache_dir

CACHE_VARIABLE = "CORDBOX_CACHE_DIR"


def default_cache_dir() -> Path:
    """`$CORDBOX_CACHE_DIR`, or else `~/.cache/cordbox`."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else home_cache_dir()
