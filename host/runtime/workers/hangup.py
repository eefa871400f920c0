"""SIGHUP in every process of a host: rereads settings without a restart."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from host.adapters.files.data_directory import DataDirectory
from host.domain.errors import HostError
from host.observe.logs import configure_logging
from host.runtime.plugin_loading import declared_settings
from host.runtime.workers.run_directory import RunDirectory
from host.settings import HostSettings
from host.settings.catalogue import Catalogue
from host.settings.live import LiveConfig
from host.settings.logs import LogValues
from host.settings.reread import take_over
from host.settings.sections import LOG

_log = structlog.get_logger("cordbox.settings")

Load = Callable[[], HostSettings]
"""Reads the settings again in the same way as at the start."""


@contextmanager
def hangups_held() -> Iterator[None]:
    """Processes started in the block have SIGHUP blocked until they call `listen`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def listen(take_over: Callable[[], None]) -> None:
    """From now on, call `take_over` at SIGHUP for the settings that the supervisor has written."""
    # On a thread: a signal handler may interrupt code that holds the same locks.
    signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=take_over).start())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def take_over_pins(directory: DataDirectory, config: LiveConfig) -> None:
    """Apply the pins of the running host's settings, as the supervisor has written them."""
    _repin(config, lambda: RunDirectory(directory.runtime).settings())


def reread_pins(running: HostSettings, load: Load, config: LiveConfig) -> HostSettings:
    """`reread` in a process without a supervisor; applies the pins at once."""
    settings = reread(running, load)
    _repin(config, lambda: settings)
    return settings


def _repin(config: LiveConfig, settings: Callable[[], HostSettings]) -> None:
    """Pins that cannot be read or do not fit the stored values are not applied."""
    try:
        config.repin(settings().pins)
    except HostError as refused:
        _log.error("settings-not-reread", code=refused.code, reason=refused.message)
        return
    _log.info("settings-taken-over")


def follow_log_level(config: LiveConfig, *, form: str, worker: str | None) -> None:
    """Apply the section `cordbox.log` to the log."""
    level = config.section(LOG)

    def configure(values: LogValues) -> None:
        configure_logging(level=values.level, form=form, worker=worker)

    level.on_change(configure)
    configure(level.get())


def reread(running: HostSettings, load: Load) -> HostSettings:
    """Read the settings again and apply those that are live; log those that need a restart.

    If the settings are refused, the current ones stay in force.
    """
    try:
        plugged = declared_settings(running.plugins, running.plugin_entry_points)
        found = take_over(running, load(), Catalogue(plugged).sections)
    except HostError as refused:
        _log.error("settings-not-reread", code=refused.code, reason=refused.message)
        return running
    _log.info("settings-reread", changed=list(found.changed))
    if found.waiting:
        _log.warning("settings-need-restart", settings=list(found.waiting))
    return found.settings
