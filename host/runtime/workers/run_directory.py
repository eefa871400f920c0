"""What the worker processes of a running host share: sockets, a key, and the table of workers.

key             proves that a caller is a worker of this host
cluster.json    the plan and the settings, as every worker must have them
workers.json    the supervisor's table of workers, written at every change
<name>.sock     where a worker listens
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from host.adapters.files.data_directory import HostNotRunningError
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.domain.workers import WorkerKind
from host.settings import HostSettings, decode_settings, encode_settings

_KEY_BYTES = 32
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker as its supervisor sees it. `since` is the start of its phase.

    `kind` is None for a process that does everything.
    """

    kind: WorkerKind | None
    name: str
    phase: str
    since: EpochMs
    pid: int | None
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTable:
    supervisor_pid: int
    workers: Sequence[WorkerRow]


class _ClusterFile(msgspec.Struct, frozen=True):
    format: int
    settings: msgspec.Raw


class RunDirectory:
    """The runtime directory of a running host."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, settings: HostSettings) -> None:
        """Make the directory, with a fresh key.

        Raises:
            StorageError: it cannot be made.
        """
        try:
            # Never an existing one: files of an earlier host were removed when the lock was
            # acquired.
            self.path.mkdir(mode=0o700)
            self._write("key", secrets.token_bytes(_KEY_BYTES))
            self.rewrite(settings)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be used: {error.strerror}") from error

    def rewrite(self, settings: HostSettings) -> None:
        """Replace the settings, for workers that are signalled to reread them or are started later.

        Raises:
            OSError: they cannot be written.
        """
        file = _ClusterFile(_FORMAT, msgspec.Raw(encode_settings(settings)))
        self._write("cluster.json", msgspec.json.encode(file))

    def key(self) -> bytes:
        """The workers' shared key.

        Raises:
            HostNotRunningError: there is no key.
        """
        return self._read("key")

    def settings(self) -> HostSettings:
        """The settings of the running host.

        Raises:
            HostNotRunningError: the host has no worker processes.
            SettingsInvalidError: another release runs.
        """
        data = self._read("cluster.json")
        try:
            file = msgspec.json.decode(data, type=_ClusterFile)
        except (ValueError, RecursionError) as error:
            raise StorageError(f"{self.path / 'cluster.json'} is damaged: {error}") from error
        return decode_settings(bytes(file.settings))

    def socket(self, name: str) -> Path:
        """The path of the socket of the worker `name`."""
        return self.path / f"{name}.sock"

    def sockets(self) -> Sequence[Path]:
        """The sockets of all workers, including those of killed ones."""
        return sorted(self.path.glob("*.sock"))

    def publish(self, table: WorkerTable) -> None:
        """Publish the states of the workers. Write errors are ignored: it is informative only."""
        self._write("workers.json", msgspec.json.encode(table))

    def table(self) -> WorkerTable | None:
        """The latest table that the supervisor published."""
        try:
            return msgspec.json.decode((self.path / "workers.json").read_bytes(), type=WorkerTable)
        except (OSError, ValueError, RecursionError):
            return None

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise HostNotRunningError(
                f"{self.path} has no {name}: no host with worker processes runs here"
            ) from error
        except OSError as error:
            raise StorageError(f"{self.path / name}: {error.strerror}") from error

    def _write(self, name: str, data: bytes) -> None:
        temporary = self.path / f"{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        temporary.replace(self.path / name)
