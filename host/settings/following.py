"""Has a process follow what is stored of its sections."""

import threading

import structlog

from host.domain.errors import StorageError
from host.settings.live import LiveConfig
from host.settings.store import SectionStore

REFRESH_SECONDS = 0.5
"""How often a process looks whether another one has changed a section."""

_log = structlog.get_logger("cordbox.settings")


class Following:
    """Takes over what is stored when the database's revision has changed. Thread-safe."""

    def __init__(self, store: SectionStore, live: LiveConfig) -> None:
        self._store = store
        self._live = live
        self._lock = threading.Lock()
        self._revision: int | None = None
        self._failed = False

    def refresh(self) -> None:
        """Look once. A database that cannot be read leaves what is in force, and is logged once."""
        with self._lock:
            try:
                # Asked for first: a commit in between is seen now, and looked for once more.
                revision = self._store.revision()
                if revision == self._revision:
                    return
                self._live.take(self._store.newest().values())
                self._revision, self._failed = revision, False
            except StorageError as error:
                if not self._failed:
                    _log.warning("config-not-read", code=error.code, reason=error.message)
                self._failed = True
