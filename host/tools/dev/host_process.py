"""`cordbox host run` as a child process that the development loop starts and stops."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from host.domain.errors import UnavailableError
from host.tools.client.host_client import HostClient

_COMMAND = (sys.executable, "-P", "-c", "from host.cli import main; main()")
_STOP_SECONDS_MAX = 30.0
_LOG_TAIL_BYTES = 4000


class HostNotStartedError(UnavailableError):
    """The host process ended before it was ready; the message ends with its log."""

    code = "dev-host-not-started"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProcess:
    """A running host. `certificate` is the file to trust."""

    process: subprocess.Popen[str]
    log: IO[bytes]
    url: str
    certificate: Path
    password: str

    @classmethod
    def start(
        cls,
        *,
        data: Path,
        listen: str,
        password_file: Path,
        log: Path,
        options: Sequence[str] = (),
    ) -> "HostProcess":
        """Start a host and wait until it is ready.

        Args:
            data: its data directory.
            listen: address and port.
            password_file: the administrator's password.
            log: the file to which its log is appended.
            options: further arguments of `cordbox host run`.

        Raises:
            HostNotStartedError: it ended instead.
        """
        words = ["host", "run", "--data-dir", str(data), "--listen", listen, "--output", "json"]
        words += ["--admin-password-file", str(password_file), *options]
        stream = log.open("ab")
        # A separate process group: Ctrl-C reaches the loop only, which then stops the host
        # gracefully.
        process = subprocess.Popen(
            [*_COMMAND, *words],
            stdout=subprocess.PIPE,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        line = process.stdout.readline() if process.stdout else ""
        facts = json.loads(line or "{}")
        host = cls(
            process=process,
            log=stream,
            url=facts.get("url", ""),
            certificate=Path(facts.get("certificate", "")),
            password=password_file.read_text(encoding="utf-8").strip(),
        )
        if not host.url:
            host.stop()
            reason = facts.get("error", {}).get("message") or _tail(log)
            raise HostNotStartedError(f"the host ended before it was ready: {reason}")
        return host

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def client(self) -> HostClient:
        """A client that is logged in as admin."""
        return HostClient(self.url, user="admin", password=self.password, ca_file=self.certificate)

    def stop(self) -> None:
        """Stop the host gracefully; kill it if that takes too long."""
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
