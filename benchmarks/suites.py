"""The benchmarks: each suite is a module, each of its parts a function that returns figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from benchmarks.measure import Measurement

SUITES = {
    "package_size": ("iou",),
    "package_sign": ("small", "large"),
    "package_verify": ("processes", "memory"),
    "parsers": ("growth",),
    "install": ("packages", "cache"),
    "edit": ("tests", "reload"),
    "demo": ("first",),
    "verification": ("languages", "beside_busy_threads", "beside_extism"),
    "tenants": ("live",),
    "boundary": ("crossing",),
    "neighbour": ("processes", "threads", "shared_host", "process_host"),
    "flow_steps": ("sessions",),
    "flow_cost": ("sandbox", "engine"),
    "durable_steps": (
        "alone",
        "beside_restate",
        "beside_dbos",
        "beside_temporal",
        "conversations",
        "growth",
        "replay",
    ),
    "store_commits": ("crowds",),
    "console": ("pages",),
    "idle_nodes": ("nodes",),
    "moves": ("vault",),
    "links": ("messages", "latency", "handshakes", "dead_peers"),
    "joins": ("joins",),
    "host_start": ("ready",),
    "cluster": ("hosts", "messages", "takeover", "nodes"),
    "ledger": (
        "uniqueness",
        "notarisations",
        "finality",
        "backchain",
        "queries",
        "recording",
        "claims",
        "programs",
    ),
}
"""Names of the parts of each suite, in the order in which they run."""


class UnknownPartError(Exception):
    """No suite or part has this name."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a suite. It runs in a process of its own."""

    suite: str
    name: str

    def __str__(self) -> str:
        return f"{self.suite}.{self.name}"

    def measure(self) -> list[Measurement]:
        """Run it in this process."""
        function: Callable[[], list[Measurement]] = getattr(
            import_module(f"benchmarks.{self.suite}"), self.name
        )
        return function()


def parts(names: Sequence[str]) -> list[Part]:
    """The parts that are meant: each name is a suite or SUITE.PART; without names, all.

    Raises:
        UnknownPartError: a name is neither.
    """
    found: list[Part] = []
    for name in names or SUITES:
        suite, dot, part = name.partition(".")
        if suite not in SUITES:
            raise UnknownPartError(f"unknown benchmark {name}; there are {', '.join(SUITES)}")
        if dot and part not in SUITES[suite]:
            raise UnknownPartError(
                f"unknown benchmark {name}; {suite} has {', '.join(SUITES[suite])}"
            )
        found += [Part(suite, each) for each in ([part] if dot else SUITES[suite])]
    return list(dict.fromkeys(found))
