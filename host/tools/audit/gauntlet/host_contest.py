"""The gauntlet of a whole host: every attack beside a neighbour's flows, in rounds.

Each round measures the neighbour's latencies beside a quiet host and beside each attack in turn, so
that drift of the machine affects all of them equally.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from host.domain.errors import HostError
from host.tools.audit.gauntlet.canary import Neighbour, p99
from host.tools.audit.gauntlet.host_arena import HostHarness
from host.tools.audit.gauntlet.host_attacks import KILLED, HostAttack
from host.tools.audit.gauntlet.model import Ending

SECONDS_MAX = 60.0
_PAUSE_S = 0.05
SLACK_S = 0.020
"""Latency differences below this are noise on a busy machine."""


@dataclass(slots=True, kw_only=True)
class Beside:
    """The results of one attack over all rounds.

    Attributes:
        seconds: latencies of the neighbour's flows that ran meanwhile.
        endings: of the attack's flows, without repetition, by code.
        memory: peak bytes of the host's processes together.
        disk: growth of the host's data in bytes.
        failure: the error of the neighbour or of the attack's client; None if there was none.
    """

    attack: HostAttack | None
    seconds: list[float] = field(default_factory=list)
    endings: dict[str, Ending] = field(default_factory=dict)
    memory: int = 0
    disk: int = 0
    failure: str | None = None

    @property
    def escaped(self) -> tuple[Ending, ...]:
        """Endings that are not allowed for the attack."""
        allowed = self.attack.stops if self.attack else frozenset()
        return tuple(e for code, e in self.endings.items() if code not in allowed)

    @property
    def p99(self) -> float | None:
        return p99(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """All attacks; the first row is the quiet host."""

    quiet: Beside
    rows: tuple[Beside, ...]
    seconds: float

    def ratio(self, row: Beside) -> float | None:
        """The neighbour's p99 beside an attack, over that beside a quiet host."""
        if row.p99 is None or self.quiet.p99 is None:
            return None
        return 1.0 if row.p99 - self.quiet.p99 < SLACK_S else row.p99 / self.quiet.p99

    @property
    def held(self) -> bool:
        """Whether every attack ended in an allowed way, and the neighbour never failed."""
        return all(not row.escaped and row.failure is None for row in (self.quiet, *self.rows))


def run_host_gauntlet(
    arena: HostHarness,
    attacks: Sequence[HostAttack],
    *,
    samples: int,
    rounds: int,
    seconds_max: float = SECONDS_MAX,
    on_result: Callable[[Beside], None] = lambda _: None,
) -> HostReport:
    """Try every attack against a host.

    Args:
        arena: the host.
        attacks: what to try.
        samples: of the neighbour's latency beside each attack, and beside a quiet host.
        rounds: number of rounds over which the samples are distributed.
        seconds_max: how long one attack may last in one round.
        on_result: called with each attack after its last round.
    """
    begun = time.perf_counter()
    quiet, rows = Beside(attack=None), [Beside(attack=attack) for attack in attacks]
    share = -(-samples // rounds)
    for number in range(rounds):
        for row in (quiet, *rows):
            _window(arena, row, share, seconds_max)
            if number == rounds - 1:
                on_result(row)
    return HostReport(quiet=quiet, rows=tuple(rows), seconds=time.perf_counter() - begun)


def _window(arena: HostHarness, row: Beside, samples: int, seconds_max: float) -> None:
    """Take samples beside an attack, which is restarted if it ends too early."""
    disk, over, first_over = _disk(arena), Event(), Event()
    attacker = Thread(target=_attack, args=(arena, row, over, first_over), name="gauntlet-attack")
    with arena.host.client() as client, Neighbour(lambda: arena.neighbour(client)) as neighbour:
        begun = time.perf_counter()
        attacker.start()
        while time.perf_counter() - begun < seconds_max and neighbour.failure is None:
            neighbour.wait(_PAUSE_S)
            row.memory = max(row.memory, _memory(arena.host.process.pid))
            enough = len(neighbour.between(begun, time.perf_counter())) >= samples
            if enough and first_over.is_set():
                break
        over.set()
        row.seconds += neighbour.between(begun, time.perf_counter())
    attacker.join()
    row.disk = max(row.disk, _disk(arena) - disk)
    if neighbour.failure is not None:
        row.failure = f"{type(neighbour.failure).__name__}: {neighbour.failure}"
    try:
        arena.settle()
    except HostError as failed:
        row.failure = row.failure or f"{failed.code}: {failed.message}"


def _attack(arena: HostHarness, row: Beside, over: Event, first_over: Event) -> None:
    """Attack until `over` is set, at least once."""
    try:
        if row.attack is None:
            return
        for endings in arena.strikes(row.attack, over):
            for ending in endings:
                # Only the first strike has enough time to run to its end.
                if ending.code != KILLED or not first_over.is_set():
                    row.endings.setdefault(ending.code, ending)
            first_over.set()
    except HostError as failed:
        row.failure = f"{failed.code}: {failed.message}"
    finally:
        first_over.set()


def _memory(pid: int) -> int:
    """Bytes of memory of a process and its descendants; shared pages count once per process."""
    found = 0
    for process in _tree(pid):
        try:
            pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):  # it has ended
            continue
        found += pages * 4096
    return found


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in found:
            yield from _tree(int(child))


def _disk(arena: HostHarness) -> int:
    """Bytes of the host's data directory."""
    found = 0
    for file in arena.host.certificate.parent.parent.rglob("*"):
        try:
            found += file.stat().st_size
        except OSError:
            continue
    return found
