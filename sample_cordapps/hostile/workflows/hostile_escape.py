"""Attempts to reach the machine below: files, network, clock, environment, processes.

`sys.modules` and `import_module` stand where a plain import would be refused when the CPK is built.
"""

import os
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from hostile_common import AttemptFailedError, NoInput

from cordapp.flows import ClientStartableFlow


def _below(name: str) -> Any:
    """A built-in module that the sandbox has not unloaded."""
    module = sys.modules.get(name)
    if module is None:
        raise AttemptFailedError(f"the sandbox has no module {name}")
    return module


class ReadFile(ClientStartableFlow[NoInput, str]):
    """Reads a file. The sandbox has no files: the call must fail."""

    def call(self, _request: NoInput) -> str:
        with open("/etc/passwd") as file:  # noqa: PTH123  # the plainest attempt
            return file.read()


class ReadFileBelowPython(ClientStartableFlow[NoInput, str]):
    """Opens a file by the operating system's own call. There is no system: the call must fail."""

    def call(self, _request: NoInput) -> str:
        system = _below("posix")
        descriptor = system.open("/etc/passwd", 0)
        return str(system.read(descriptor, 1000))


class OpenSocket(ClientStartableFlow[NoInput, str]):
    """Connects to the host's own REST port. The sandbox has no network: the call must fail."""

    def call(self, _request: NoInput) -> str:
        connection = import_module("socket").create_connection(("127.0.0.1", 8888), 1)
        return str(connection.recv(100))


class RunCommand(ClientStartableFlow[NoInput, str]):
    """Starts a process. The sandbox has no processes: the call must fail."""

    def call(self, _request: NoInput) -> str:
        return str(import_module("subprocess").check_output(["id"]))


class ReadClock(ClientStartableFlow[NoInput, str]):
    """Reads the machine's clock. Only `self.clock` may tell the time: the call must fail."""

    def call(self, _request: NoInput) -> str:
        return str(time.time())  # cordbox: allow flow-clock: the sandbox has to stop it


class ReadClockBelowPython(ClientStartableFlow[NoInput, str]):
    """Reads the clock through C code. There is no system: the call must fail."""

    def call(self, _request: NoInput) -> str:
        return datetime.now(UTC).isoformat()  # cordbox: allow flow-clock: must be stopped


class ReadEnvironment(ClientStartableFlow[NoInput, str]):
    """Reads the host's environment variables. There must be none to find."""

    def call(self, _request: NoInput) -> str:
        if not os.environ:
            raise AttemptFailedError("the environment is empty")
        return str(dict(os.environ))


class ReadRandomness(ClientStartableFlow[NoInput, str]):
    """Asks the operating system for randomness, to diverge at replay. The call must fail."""

    def call(self, _request: NoInput) -> str:
        return os.urandom(16).hex()  # cordbox: allow flow-randomness: the sandbox has to stop it


class HashOrder(ClientStartableFlow[NoInput, str]):
    """Tells its hash seed, by which two hosts could diverge. It must be the same everywhere."""

    def call(self, _request: NoInput) -> str:
        raise AttemptFailedError(f"the hash of a text is {hash('cordbox')} in every run")
