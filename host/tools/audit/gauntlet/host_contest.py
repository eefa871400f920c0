"""The gauntlet of a whole host: every attack beside a neighbour's flows, in rounds.

The host first runs `WARM_UP` flows of each node, which are not counted: they load code, open
databases and start processes. Each round of an attack then measures the neighbour's latencies
beside it directly after those beside the quiet host, so that drift of the machine affects both
equally. The attacker's node is new in each round, and idle in the quiet window, so that its
accounts are not filled by what attacked before. The first `LEAD` flows of each of these windows are
not counted either, quiet or attacked: the client's connection is new, and what an earlier attack
left has just been ended. The neighbour's client stands for one on another machine: the time for
which it waits for a processor of this one is subtracted.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread

from host.domain.errors import HostError
from host.tools.audit.gauntlet.canary import Neighbour, p99
from host.tools.audit.gauntlet.host_arena import HostHarness
from host.tools.audit.gauntlet.host_attacks import KILLED, REFUSED, HostAttack
from host.tools.audit.gauntlet.host_footprint import disk_bytes, memory_bytes, processor_wait_s
from host.tools.audit.gauntlet.model import Ending

SECONDS_MAX = 60.0
ROUNDS = 4
WARM_UP = 100
LEAD = 10
SAMPLES_MIN = 100
"""With fewer flows, the 99th percentile is the slowest flow."""
_PAUSE_S = 0.05


@dataclass(slots=True, kw_only=True)
class Beside:
    """The results of one attack over all rounds.

    Attributes:
        attack: None for the quiet host.
        seconds: latencies of the neighbour's flows that ran meanwhile.
        quiet: the same, beside the quiet host directly before each window of the attack.
        endings: of the attack's flows, without repetition, by code.
        memory: peak bytes of the host's processes together.
        disk: growth of the host's data in bytes.
        failure: the error of the neighbour or of the attack's client; None if there was none.
    """

    attack: HostAttack | None
    seconds: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)
    endings: dict[str, Ending] = field(default_factory=dict)
    memory: int = 0
    disk: int = 0
    failure: str | None = None

    @property
    def escaped(self) -> tuple[Ending, ...]:
        """Endings that are not allowed for the attack."""
        allowed = self.attack.stops | {REFUSED} if self.attack else frozenset()
        return tuple(e for code, e in self.endings.items() if code not in allowed)

    @property
    def has_taken_place(self) -> bool:
        """Whether a flow of the attack has ended, in any other way than by a refused start."""
        return self.attack is None or bool(self.endings.keys() - {REFUSED})

    @property
    def is_good(self) -> bool:
        """Whether the attack took place, ended as it must, and disturbed nobody."""
        return self.has_taken_place and not self.escaped and self.failure is None

    @property
    def p99(self) -> float | None:
        return p99(self.seconds, SAMPLES_MIN)

    @property
    def quiet_p99(self) -> float | None:
        return p99(self.quiet, SAMPLES_MIN)

    @property
    def ratio(self) -> float | None:
        """The neighbour's p99 beside the attack, over that beside the quiet host."""
        if self.p99 is None or self.quiet_p99 is None:
            return None
        return self.p99 / self.quiet_p99


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """All attacks, and all windows of the quiet host."""

    quiet: Beside
    rows: tuple[Beside, ...]
    seconds: float

    @property
    def held(self) -> bool:
        """Whether every attack took place and ended in an allowed way, without a failure."""
        return all(row.is_good for row in (self.quiet, *self.rows))


def run_host_gauntlet(
    arena: HostHarness,
    attacks: Sequence[HostAttack],
    *,
    samples: int,
    rounds: int = ROUNDS,
    seconds_max: float = SECONDS_MAX,
    warm_up: int = WARM_UP,
    on_result: Callable[[Beside], None] = lambda _: None,
) -> HostReport:
    """Try every attack against a host.

    Args:
        arena: the host, with a name for an attacker of each round of each attack.
        attacks: what to try.
        samples: of the neighbour's latency beside each attack, and as many beside a quiet host.
        rounds: number of rounds over which the samples of each attack are distributed.
        seconds_max: how long one attack may last in one round.
        warm_up: flows of each node that are run before anything is measured.
        on_result: called with each attack after its last round, and then with the quiet host.

    Raises:
        NeighbourFailedError: a flow of the warm-up failed.
        HostError: the host did not answer.
    """
    begun = time.perf_counter()
    arena.warm_up(warm_up)
    quiet, rows = Beside(attack=None), [Beside(attack=attack) for attack in attacks]
    share = -(-samples // rounds)
    for row in rows:
        for number in range(rounds):
            node = arena.new_attacker(row.attack, warm_up) if row.attack else ""
            before = len(quiet.seconds)
            _Window(arena, quiet, node, seconds_max, is_first=False).measure(share)
            row.quiet += quiet.seconds[before:]
            _Window(arena, row, node, seconds_max, is_first=number == 0).measure(share)
        on_result(row)
    on_result(quiet)
    return HostReport(quiet=quiet, rows=tuple(rows), seconds=time.perf_counter() - begun)


class _Window:
    """Samples of the neighbour in one round, beside an attack that is repeated meanwhile.

    The first window of an attack lasts until the attack has run to its end once.
    """

    def __init__(
        self, arena: HostHarness, row: Beside, node: str, seconds_max: float, *, is_first: bool
    ) -> None:
        self._arena = arena
        self._node = node
        self._row = row
        self._seconds_max = seconds_max
        self._over = Event()
        self._has_ended_once = Event()
        if not is_first:
            self._has_ended_once.set()

    def measure(self, samples: int) -> None:
        """Add the neighbour's latencies, and what the attack did, to the row."""
        row, arena = self._row, self._arena
        data = arena.host.certificate.parent.parent
        disk = disk_bytes(data)
        attacker = Thread(target=self._attack, name="gauntlet-attack")
        with (
            arena.host.client() as client,
            Neighbour(lambda: arena.neighbour(client), aside=processor_wait_s) as neighbour,
        ):
            neighbour.wait_for(LEAD)
            begun = time.perf_counter()
            attacker.start()
            self._watch(neighbour, begun, samples)
            self._over.set()
            row.seconds += neighbour.between(begun, time.perf_counter())
        attacker.join()
        row.disk = max(row.disk, disk_bytes(data) - disk)
        if neighbour.failure is not None:
            row.failure = f"{type(neighbour.failure).__name__}: {neighbour.failure}"
        try:
            arena.settle(self._node)
        except HostError as failed:
            row.failure = row.failure or f"{failed.code}: {failed.message}"

    def _watch(self, neighbour: Neighbour, begun: float, samples: int) -> None:
        """Return when there are enough samples, the time is over, or the neighbour has failed."""
        row = self._row
        while time.perf_counter() - begun < self._seconds_max and neighbour.failure is None:
            neighbour.wait(_PAUSE_S)
            row.memory = max(row.memory, memory_bytes(self._arena.host.process.pid))
            enough = len(neighbour.between(begun, time.perf_counter())) >= samples
            if enough and self._has_ended_once.is_set():
                return

    def _attack(self) -> None:
        """Attack until the window is over, at least once."""
        row = self._row
        if row.attack is None:
            return
        try:
            for endings in self._arena.strikes(row.attack, self._node, self._over):
                for ending in endings:
                    # Only a first strike has enough time to run to its end.
                    if ending.code != KILLED or not self._has_ended_once.is_set():
                        row.endings.setdefault(ending.code, ending)
                self._has_ended_once.set()
        except HostError as failed:
            row.failure = f"{failed.code}: {failed.message}"
        finally:
            self._has_ended_once.set()
