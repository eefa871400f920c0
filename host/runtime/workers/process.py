"""A worker's process as its supervisor starts it, whatever its kind.

It reports to its supervisor on stdout, in one JSON line, that it is ready or why it failed to
start, and drains on SIGTERM.
"""

import argparse
import ctypes
import errno
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.descriptors import raise_descriptor_limit
from host.domain.errors import DiskFullError, HostError
from host.domain.workers import WorkerKind
from host.observe.logs import configure_logging
from host.runtime.workers.run_directory import RunDirectory
from host.settings.sections import LOG

_NEW_OBJECTS, _YOUNG_SEARCHES, _SEARCHES = 700, 10, 50
"""When to search for cycles, see `gc.set_threshold`: all objects a fifth as often as by default."""
_SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another one waits for it, a tenth of Python's
default: a step takes the interpreter some twenty times, and holds the writer lock at some of them.
"""
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Employment:
    """The arguments of a worker process.

    Attributes:
        directory: the host's data directory.
        kind, name: kind and name of the worker.
        monitor: address of this worker's own health and metrics over HTTP, if any.
        listener: descriptor of the socket of REST, for the worker that serves it.
        gateway_sockets: those of `gateway_listen`, for the workers that serve them.
        stop: set by SIGTERM and SIGINT.
    """

    directory: DataDirectory
    kind: WorkerKind
    name: str
    monitor: str | None
    listener: int | None
    gateway_sockets: Sequence[socket.socket]
    stop: threading.Event

    def ready(self, **facts: str) -> None:
        """Report to the supervisor that the worker is ready."""
        spare_from_collection()
        _tell(event="ready", **facts)


def spare_from_collection() -> None:
    """Leave what the process has made until now out of searches for cycles: it lives to the end.

    A search of all objects stops every thread for 60 ms, for the sake of modules most of the time.
    """
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_SEARCHES, _SEARCHES)
    gc.freeze()


def run_process(words: Sequence[str], work: Callable[[Employment], None]) -> None:
    """The whole life of a worker process with arguments: `work` returns when it has drained."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--kind", type=WorkerKind, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--lock", type=int, required=True)
    parser.add_argument("--listener", type=int)
    parser.add_argument("--gateway-listener", type=int, action="append", default=[])
    parser.add_argument("--monitor")
    options = parser.parse_args(words)
    raise_descriptor_limit()
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = stop_on_signals()
    try:
        directory = DataDirectory.inherited(options.data_dir, options.lock)
        settings = RunDirectory(directory.runtime).settings()
        configure_logging(
            level=settings.section(LOG).level, form=settings.log_format, worker=options.name
        )
        work(
            Employment(
                directory=directory,
                kind=options.kind,
                name=options.name,
                monitor=options.monitor,
                listener=options.listener,
                gateway_sockets=[socket.socket(fileno=n) for n in options.gateway_listener],
                stop=stop,
            )
        )
    except HostError as refused:
        _tell(event="refused", codes=list(_codes(refused)), message=refused.message)
        sys.exit(1)
    except OSError as failed:
        if failed.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        full = DiskFullError(f"{failed.filename or options.data_dir}: {failed.strerror}")
        _tell(event="refused", codes=list(_codes(full)), message=full.message)
        sys.exit(1)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda *_: stop.set())
    return stop


def _codes(error: HostError) -> Iterator[str]:
    for kind in type(error).__mro__:
        if issubclass(kind, HostError):
            yield kind.code


def _tell(**fact: object) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def name_process(name: str) -> None:
    """Have `ps -o comm` list this process under the first 15 bytes of a name."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())
