"""Host processes of a network on one machine: they run on after the command that started them."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from host.adapters.files.data_directory import is_held
from host.domain.errors import UnavailableError
from host.tools.client.host_client import HostClient
from host.tools.dev.host_process import HostProcess
from host.tools.network.plan import HostPlace, NetworkFolder

_STOP_SECONDS_MAX = 40.0
_POLL_SECONDS = 0.05
_PROCESSES = Path("/proc")
_PID_MAX = 2**31 - 1


def start(folder: NetworkFolder, number: int, place: HostPlace, cache: Path) -> bool:
    """Start a host unless it runs, and wait until it is ready; returns whether it was started.

    Raises:
        HostNotStartedError: it ended instead.
    """
    if running(folder, number) is not None:
        return False
    host = HostProcess.start(
        data=folder.data(number),
        listen=f"127.0.0.1:{place.rest}",
        password_file=folder.password_file,
        log=folder.log(number),
        options=(
            *("--gateway-listen", f"127.0.0.1:{place.gateway}"),
            *("--workers", "combined", "--cache-dir", str(cache)),
        ),
    )
    host.log.close()
    _pid_file(folder, number).write_text(f"{host.process.pid}\n", encoding="ascii")
    return True


def client(folder: NetworkFolder, number: int, place: HostPlace) -> HostClient:
    """A client of a host that is logged in as admin."""
    certificate = folder.certificate(number)
    return HostClient(place.url, user="admin", password=folder.password, ca_file=certificate)


def running(folder: NetworkFolder, number: int) -> int | None:
    """The process of a host, None if it does not run."""
    try:
        pid = int(_pid_file(folder, number).read_text(encoding="ascii"))
        if not 0 < pid <= _PID_MAX:
            return None  # a group of processes, or no number that one can have
        _reap(pid)
        os.kill(pid, 0)
        words = _PROCESSES / str(pid) / "cmdline"
        data = folder.data(number)
        if _PROCESSES.exists():
            is_ours = os.fsencode(data) in words.read_bytes().split(b"\0")
        else:  # another process may have the number by now
            is_ours = is_held(data)
    except (OSError, ValueError):
        return None
    return pid if is_ours else None


def stop(folder: NetworkFolder, number: int) -> bool:
    """Stop a host gracefully; returns whether it ran.

    Raises:
        UnavailableError: it does not end.
    """
    pid = running(folder, number)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS_MAX
    while running(folder, number) is not None:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"the host of {folder.data(number)} (process {pid}) does not end"
            )
        time.sleep(_POLL_SECONDS)
    return True


def _reap(pid: int) -> None:
    """Take leave of a process that has ended, if this process started it."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _pid_file(folder: NetworkFolder, number: int) -> Path:
    return folder.root / f"host-{number}.pid"
