"""The gauntlet itself: every attack in turn, while a neighbour works."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cpi.package.verify import read_package
from host.guests.code import CodeRefusedError, code_of, describe, make_component
from host.guests.limits import LIMITS
from host.guests.walls import limit_facts
from host.tools.audit.gauntlet.binaries import bombs, foreign, forged
from host.tools.audit.gauntlet.canary import Neighbour, p99
from host.tools.audit.gauntlet.harness import Harness, opened_arena
from host.tools.audit.gauntlet.machine_code import machine_code
from host.tools.audit.gauntlet.model import LIMITS as LIMIT_CODES
from host.tools.audit.gauntlet.model import Attack, BinaryAttack, Ending, Result, Stage
from host.tools.audit.gauntlet.python_code import python_code
from sandbox.isolation.placing import Place, here
from sandbox.limits import Limits
from sandbox.runtime import Sandbox

_ALONE_SECONDS = 1.0
_WINDOW_SECONDS = 0.1
_ATTEMPTS_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All results, and how the neighbour did; percentiles in seconds, None if not measured.

    Attributes:
        neighbour_alone: while nothing else ran.
        neighbour_honest: while an honest tenant kept a core busy, which every tenant may.
        neighbour_beside: while the attacks ran.
    """

    results: tuple[Result, ...]
    limits: Limits
    preparation: float
    seconds: float
    neighbour: str
    neighbour_runs: int
    neighbour_alone: float | None
    neighbour_honest: float | None
    neighbour_beside: float | None
    neighbour_failure: str | None

    @property
    def escaped(self) -> tuple[Result, ...]:
        """The attacks that were not stopped."""
        return tuple(result for result in self.results if not result.stopped)

    @property
    def held(self) -> bool:
        """Whether every attack was stopped, and the neighbour never failed."""
        return not self.escaped and self.neighbour_failure is None


def catalogue() -> tuple[tuple[Stage, Attack], ...]:
    """Every attack with its stage."""
    binaries: tuple[BinaryAttack, ...] = (*forged(), *foreign(), *bombs())
    return (
        *((Stage.COMPONENT, attack) for attack in binaries),
        *((Stage.RUN, attack) for attack in machine_code()),
        *((Stage.RUN, attack) for attack in python_code()),
    )


def run_gauntlet(
    *,
    sandbox: Sandbox,
    limits: Limits,
    cpi: bytes | None = None,
    attacks: Sequence[tuple[Stage, Attack]] | None = None,
    on_result: Callable[[Result], None] = lambda _: None,
    place: Place = here,
) -> Report:
    """Try every attack against sandboxes with this host's configuration.

    Args:
        sandbox: the host's.
        limits: those of the host.
        cpi: a package whose code runs as the neighbour, and whose limits apply to the attacks.
        attacks: the whole catalogue by default.
        on_result: called with each result.
        place: where guests run.

    Raises:
        CpiError: the package cannot be read.
        HostError, SandboxError: its code, or the attacked guests, cannot be prepared.
    """
    started = time.perf_counter()
    work, neighbour_name = None, "a clean verification in Python"
    if cpi is not None:
        limits, work, neighbour_name = _of_package(cpi, sandbox, limits, place)
    with opened_arena(sandbox, limits, place) as arena, Neighbour(work or arena.clean) as neighbour:
        ready = time.perf_counter()
        while time.perf_counter() < ready + _ALONE_SECONDS and neighbour.failure is None:
            neighbour.wait(0.05)
        shared = time.perf_counter()
        while time.perf_counter() < shared + _ALONE_SECONDS:
            arena.clean()
        begun = time.perf_counter()
        results = []
        for result in _results(arena, neighbour, catalogue() if attacks is None else attacks):
            on_result(result)
            results.append(result)
        ended = time.perf_counter()
        alone = neighbour.between(ready, shared)
        honest = neighbour.between(shared, begun)
        beside = neighbour.between(begun, ended)
    failure = neighbour.failure
    return Report(
        results=tuple(results),
        limits=limits,
        preparation=ready - started,
        seconds=ended - started,
        neighbour=neighbour_name,
        neighbour_runs=len(beside),
        neighbour_alone=p99(alone),
        neighbour_honest=p99(honest),
        neighbour_beside=p99(beside),
        neighbour_failure=None if failure is None else f"{type(failure).__name__}: {failure}",
    )


def _results(
    arena: Harness, neighbour: Neighbour, attacks: Sequence[tuple[Stage, Attack]]
) -> Iterator[Result]:
    for stage, attack in attacks:
        attempt = arena.strike(attack)
        begun = time.perf_counter()
        ending = attempt()
        first = time.perf_counter() - begun
        endings = [ending]
        while time.perf_counter() - begun < _WINDOW_SECONDS and len(endings) < _ATTEMPTS_MAX:
            endings.append(attempt())
        during = neighbour.between(begun, time.perf_counter())
        worst = _worst(stage, attack, endings)
        yield Result(
            stage=stage,
            name=attack.name,
            about=attack.about,
            stopped=is_stopped(stage, attack, worst),
            code=worst.code,
            message=worst.message,
            seconds=first,
            attempts=len(endings),
            neighbour_p99=p99(during),
            neighbour_runs=len(during),
        )


def is_stopped(stage: Stage, attack: Attack, ending: Ending) -> bool:
    """Whether an attempt ended in an allowed way; a host with low limits may stop any run early."""
    return ending.code in attack.stops or (stage is Stage.RUN and ending.code in LIMIT_CODES)


def _worst(stage: Stage, attack: Attack, endings: Sequence[Ending]) -> Ending:
    """An attempt that succeeded, if there is one: an attack has to be stopped every time."""
    through = (ending for ending in endings if not is_stopped(stage, attack, ending))
    return next(through, endings[0])


def _of_package(
    data: bytes, sandbox: Sandbox, host: Limits, place: Place
) -> tuple[Limits, Callable[[], None], str]:
    """The limits that apply to a package's code, and a run of its code as the neighbour's work."""
    package = read_package(data)
    coded = [cpk for cpk in package.cpks if cpk.descriptor is not None]
    if not coded:
        raise CodeRefusedError("the package holds no WebAssembly code")
    found: dict[str, int] = {}
    for cpk in coded:
        asked = cpk.descriptor.limits if cpk.descriptor else {}
        for fact in limit_facts(asked, host):
            field = LIMITS[fact.name]
            found[field] = max(found.get(field, 0), fact.effective)
    code = code_of(coded[0], package.cpks)
    guest = place(sandbox, code.world, make_component(sandbox, code).digest)

    def work() -> None:
        describe(guest, code.label)

    return Limits(**found), work, f"describe of {coded[0].id.name}"
