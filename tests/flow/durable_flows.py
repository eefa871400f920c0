"""A pair of flows that use most of what a flow can do, and a process that runs them and dies.

As a program: `python -m tests.flow.durable_flows DIRECTORY COMMITS` opens the store in
DIRECTORY, starts the flow unless it was started, and kills itself at the given commit.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.domain.errors import ConflictError
from host.ports.units import Unit
from tests.flow.network import BOB, PARKING, Flow, Network, Notes
from tests.flow.scripted import Guest

RESULT = json.dumps({"drawn": True, "first": 1, "second": 2, "answers": [10, "bye"], "seen": True})


def initiator(guest: Guest) -> str:
    now = guest.call("flow", "now")
    drawn = guest.call("flow", "random", bytes=8)
    first = guest.call("persistence", "write", op="persist", drawn=drawn, at=now)
    session = guest.open(BOB)
    guest.send(session, guest.body["amount"])
    doubled = guest.receive(session)
    guest.call("flow", "sleep", millis=2000)
    again = guest.call("flow", "random", bytes=8)
    second = guest.call("persistence", "write", op="merge", drawn=drawn, again=again)
    rows = guest.call("persistence", "read", op="find-all")
    guest.send(session, "more")
    goodbye = guest.receive(session)
    guest.close(session)
    return json.dumps(
        {
            "drawn": again != drawn,
            "first": first,
            "second": second,
            "answers": [doubled, goodbye],
            "seen": rows >= 2,
        }
    )


def responder(guest: Guest) -> str:
    amount = guest.receive(guest.session)
    guest.send(guest.session, amount * 2)
    guest.receive(guest.session)
    guest.call("persistence", "write", op="persist", from_=amount)
    guest.send(guest.session, "bye")
    return "done"


FLOWS: dict[str, Flow] = {"test.Initiator": initiator, "test.Responder": responder}


class Suicidal(SqliteStore):
    """Kills its process around a commit: before it when the count is odd, else after it."""

    def __init__(self, path: Path, commits: int) -> None:
        super().__init__(path)
        self._left = commits

    def commit(self, unit: Unit) -> None:
        self._left -= 1
        if self._left > 0:
            super().commit(unit)
            return
        if len(self.scan("")) % 2:
            super().commit(unit)
        os.kill(os.getpid(), signal.SIGKILL)


class OsEntropy:
    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)


class NotesInFile(Notes):
    """Keeps its effects in a file, so that they outlive the process."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if path.exists():
            kept = json.loads(path.read_text())
            self.done = {k: tuple(v) for k, v in kept["done"].items()}
            self.rows = kept["rows"]

    def call(self, context: Any, function: str, request: Any) -> Any:
        answer = super().call(context, function, request)
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps({"done": self.done, "rows": self.rows}))
        beside.replace(self._path)
        return answer


def main(directory: Path, commits: int) -> None:
    PARKING.most = commits // 2 % 2 * 4  # every other pair of deaths is one of parked guests
    store = SqliteStore(directory / "flows.sqlite")
    notes = NotesInFile(directory / "notes.json")
    with contextlib.suppress(ConflictError):
        Network(store, FLOWS).start({"amount": 5})
    store.close()
    dying = Suicidal(directory / "flows.sqlite", commits)
    time = directory / "time"
    clock = SimClock(int(time.read_text()) if time.exists() else 1_700_000_000_000)
    network = Network(dying, FLOWS, clock=clock, entropy=OsEntropy(), notes=notes)  # type: ignore[arg-type]
    network.engine.drain()
    while dying.scan("timer/"):
        time.write_text(str(clock.now_ms() + 1_000))
        network.later(1_000)
    (bob,) = network.bobs()
    alice = network.alice()
    found = {"alice": [alice.status, alice.result], "bob": bob.status, "effects": len(notes.rows)}
    sys.stdout.write(json.dumps(found))
    dying.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
