"""Stores periodically what is kept in memory, on a thread of its own."""

import threading
from collections.abc import Callable

import structlog

from host.domain.errors import StorageError

_log = structlog.get_logger("cordbox.host")


class PeriodicFlush:
    """Calls `flush` every `seconds` until stopped, and once more at the end."""

    def __init__(self, flush: Callable[[], object], *, seconds: float) -> None:
        self._flush = flush
        self._seconds = seconds
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flush", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Flush once more, and end the thread."""
        self._is_stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_stopping.wait(self._seconds):
            self._try()
        self._try()

    def _try(self) -> None:
        try:
            self._flush()
        except StorageError as error:
            _log.warning("flush-failed", code=error.code, reason=error.message)
        except Exception:  # noqa: BLE001  # later flushes must still run
            _log.exception("flush-failed")
