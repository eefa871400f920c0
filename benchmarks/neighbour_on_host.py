"""An honest node's flows on a whole host, beside every attack of the host gauntlet.

The latency is a client's: from the request that starts a flow to the answer that it completed.
What is warmed up, and how quiet and attacked windows alternate, is told in `host_contest`.
CORDBOX_NEIGHBOUR_SAMPLES sets how many flows are timed beside each, CORDBOX_NEIGHBOUR_ATTACKS
chooses attacks by name (separated by commas).
"""

import os
from pathlib import Path
from tempfile import mkdtemp

from benchmarks import workshop
from benchmarks.measure import Measurement, latencies
from host.tools.audit.gauntlet.host_arena import opened_host
from host.tools.audit.gauntlet.host_attacks import HostAttack, host_attacks
from host.tools.audit.gauntlet.host_contest import ROUNDS, Beside, run_host_gauntlet
from host.tools.cache import default_cache_dir

_SAMPLES = 400
_GOAL = 1.5


def measure(mode: str) -> list[Measurement]:
    """The flows' latencies in an isolation mode, beside each attack."""
    samples = int(os.environ.get("CORDBOX_NEIGHBOUR_SAMPLES", _SAMPLES))
    root = Path(mkdtemp(dir=workshop.folder(), prefix=f"neighbour-{mode}-"))
    options, attacks = ("--isolation", mode), _attacks()
    room = len(attacks) * ROUNDS
    with opened_host(
        root, workshop.sandbox(), default_cache_dir(), options, attackers=room
    ) as arena:
        report = run_host_gauntlet(arena, attacks, samples=samples)
    return [_measured(mode, row) for row in report.rows]


def _attacks() -> tuple[HostAttack, ...]:
    wanted = os.environ.get("CORDBOX_NEIGHBOUR_ATTACKS")
    names = None if wanted is None else set(wanted.split(","))
    return tuple(a for a in host_attacks() if names is None or a.name in names)


def _measured(mode: str, row: Beside) -> Measurement:
    assert row.attack is not None
    quiet = row.quiet_p99 or 0.0
    told = "too few flows" if row.ratio is None else f"{row.ratio:.2f}x; goal at most {_GOAL}x"
    ended = row.failure or ", ".join(e.code for e in row.escaped) or "as it has to"
    return Measurement(
        name=f"{mode}: p99 of a node's flow beside {row.attack.name}",
        value=1000 * (row.p99 or 0.0),
        unit="ms",
        against=f"beside a quiet host ({1000 * quiet:.1f} ms)",
        ratio=quiet / row.p99 if row.p99 else None,
        note=f"{told}; {latencies(row.seconds) if row.seconds else '-'}; ended {ended}",
    )
