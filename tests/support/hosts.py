"""Whole hosts without their server, and asking them until they have done what they were asked."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from starlette.types import ASGIApp

from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import SystemClock, SystemEntropy
from host.domain.ids import EpochMs
from host.ports.clock import TwoClocks
from host.runtime.app import composed
from host.runtime.plugin_loading import declared_settings
from host.runtime.wiring.rest import Rest
from host.settings import HostSettings, load_settings

SECONDS_MAX = 60


def database_settings(data_dir: Path) -> Mapping[str, Any]:
    """What names a host's database: nothing, unless `tests/support/database_instead.py` replaces this."""
    del data_dir
    return {}


def settings_of(data_dir: Path, **settings: Any) -> HostSettings:
    """Settings by their names, whatever the environment has."""
    options = {"data_dir": data_dir, **database_settings(data_dir), **settings}
    return load_settings(options=options, file=None, environment={}, declare=declared_settings)


class AdjustableClock:
    """The system's clocks; `ahead_ms` sets the time of day, as an administrator does."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self.ahead_ms = 0

    def now_ms(self) -> EpochMs:
        return EpochMs(self._system.now_ms() + self.ahead_ms)

    def steady_ms(self) -> int:
        return self._system.steady_ms()


@contextmanager
def running_host(
    data_dir: Path, *, password: str, clock: TwoClocks | None = None, **settings: Any
) -> Iterator[Rest]:
    """A composed host, whose user `admin` has the password."""
    directory = DataDirectory.hold(data_dir)
    try:
        with composed(
            settings_of(data_dir, **settings),
            directory,
            clock=clock or SystemClock(),
            entropy=SystemEntropy(),
            given_password=password,
        ) as host:
            yield host
    finally:
        directory.release()


@contextmanager
def listening(asgi: ASGIApp) -> Iterator[str]:
    """The address of a server with an application."""
    config = uvicorn.Config(asgi, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def polled(client: httpx2.Client, path: str, until: Callable[[Any], bool]) -> Any:
    """The JSON at `path` as soon as `until` holds for it."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        answer = client.get(path).json()
        if until(answer):
            return answer
        time.sleep(0.01)
    raise AssertionError(f"{path}: {answer}")
