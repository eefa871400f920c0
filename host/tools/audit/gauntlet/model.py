"""Attacks, how they may end, and what is told of them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sandbox.world import World

LIMITS = frozenset({"out-of-fuel", "deadline-exceeded", "memory-limit", "stack-overflow"})
"""Which limit is reached first depends on how the host is set; any of them stops an attack."""

CONTAINED = "contained"
"""Stands for "nothing was refused, since nothing happened": the attack ran, and reached nothing."""


class Stage(StrEnum):
    """Where an attack strikes: when a component is taken, or while its code runs."""

    COMPONENT = "component"
    RUN = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryAttack:
    """Bytes that come as a component.

    Attributes:
        make: makes the bytes.
        run: the attack strikes when the component runs, so that it has to be taken.
        stops: codes of which one has to stop it; `contained` if it may do its best.
    """

    name: str
    about: str
    make: Callable[[], bytes]
    stops: frozenset[str]
    world: World = World.CONTRACT
    run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonAttack:
    """Python code that runs in a sandbox: a text for a contract, or a flow with a request.

    `stops` may name exceptions, which the sandbox's stand-ins for the machine raise.
    """

    name: str
    about: str
    stops: frozenset[str]
    code: str = ""
    flow: str | None = None
    world: World = World.CONTRACT


Attack = BinaryAttack | PythonAttack


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended: the code of what stopped it, or `contained`, and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One attack's result.

    Attributes:
        stopped: it ended as one of the endings that are allowed.
        seconds: of the first attempt.
        attempts: short attacks are repeated, so that the neighbour feels them.
        neighbour_p99: seconds; None if the neighbour finished too little work meanwhile.
    """

    stage: Stage
    name: str
    about: str
    stopped: bool
    code: str
    message: str
    seconds: float
    attempts: int
    neighbour_p99: float | None
    neighbour_runs: int
