"""Attacks, their allowed endings, and their results."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sandbox.world import World

LIMITS = frozenset({"out-of-fuel", "deadline-exceeded", "memory-limit", "stack-overflow"})
"""Which limit is reached first depends on the host's settings; any of them stops an attack."""

CONTAINED = "contained"
"""The attack ran to its end and had no effect, so nothing was refused."""


class Stage(StrEnum):
    """The stage of an attack: when a component is admitted, or while its code runs."""

    COMPONENT = "component"
    RUN = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryAttack:
    """Bytes that are submitted as a component.

    Attributes:
        make: makes the bytes.
        run: the attack happens when the component runs, so the component has to be admitted.
        stops: codes, one of which has to stop it; `contained` if it may run to its end.
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

    `stops` may name exceptions, which the sandbox's replacements of system modules raise.
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
        stopped: it ended in one of the allowed ways.
        seconds: of the first attempt.
        attempts: short attacks are repeated, so that their effect on the neighbour can be measured.
        neighbour_p99: seconds; None if the neighbour finished too few runs meanwhile.
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
