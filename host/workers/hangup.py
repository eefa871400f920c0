"""SIGHUP in every process of a host: what can be read again is, and nothing is ended."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from host.data_directory import DataDirectory
from host.domain.errors import HostError
from host.logs import configure_logging
from host.settings import HostSettings
from host.settings.catalogue import Catalogue
from host.settings.reread import take_over
from host.settings.sections import LOG
from host.workers.run_directory import RunDirectory

_log = structlog.get_logger("cordbox.settings")

Load = Callable[[], HostSettings]
"""Reads the settings again as they were read at the start."""


@contextmanager
def hangups_held() -> Iterator[None]:
    """Processes that are started in the block have SIGHUP wait until they `listen`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def listen(directory: DataDirectory, name: str) -> None:
    """Have SIGHUP take over what the supervisor has written, from now on."""

    def reread() -> None:
        settings = taken_over(directory, name)
        if settings is not None:
            _log.info("settings-taken-over", log_level=settings.section(LOG).level)

    # On a thread: a handler comes between any two steps of what may hold the same locks.
    signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=reread).start())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def taken_over(directory: DataDirectory, name: str) -> HostSettings | None:
    """The settings of the running host, whose log level this process has from now on."""
    try:
        settings = RunDirectory(directory.runtime).settings()
    except HostError as refused:
        _log.error("settings-not-reread", code=refused.code, reason=refused.message)
        return None
    configure_logging(level=settings.section(LOG).level, form=settings.log_format, worker=name)
    return settings


def reread(running: HostSettings, load: Load, *, worker: str | None) -> HostSettings:
    """Read the settings again and take over what can be; logs what waits for the next start.

    Settings that are refused leave those that run.
    """
    try:
        found = take_over(running, load(), Catalogue().sections)
    except HostError as refused:
        _log.error("settings-not-reread", code=refused.code, reason=refused.message)
        return running
    settings = found.settings
    configure_logging(level=settings.section(LOG).level, form=settings.log_format, worker=worker)
    _log.info("settings-reread", changed=list(found.changed))
    if found.waiting:
        _log.warning("settings-need-restart", settings=list(found.waiting))
    return settings
