"""Makes a process follow the stored values of its sections."""

import threading

import structlog

from host.domain.errors import StorageError
from host.settings.live import LiveConfig
from host.settings.store import SectionStore

REFRESH_SECONDS = 0.5
"""How often a process checks whether another one has changed a section."""

_log = structlog.get_logger("cordbox.settings")


class Following:
    """Applies the stored values when the database's revision has changed. Thread-safe."""

    def __init__(self, store: SectionStore, live: LiveConfig) -> None:
        self._store = store
        self._live = live
        self._lock = threading.Lock()
        self._revision: int | None = None
        self._failed = False

    def refresh(self) -> None:
        """Check once. If the database cannot be read, log that once and keep the values."""
        with self._lock:
            try:
                # Read first: a commit in between is read now, and checked again the next time.
                revision = self._store.revision()
                if revision == self._revision:
                    return
                self._live.take(self._store.newest().values())
                self._revision, self._failed = revision, False
            except StorageError as error:
                if not self._failed:
                    _log.warning("config-not-read", code=error.code, reason=error.message)
                self._failed = True
