"""Every imported function of a sandbox, with its quota and the receivers of its data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from host.guests.limits import LIMITS
from sandbox.host_api import ALWAYS_GRANTED, FUNCTIONS, INTERFACES
from sandbox.limits import Limits
from sandbox.world import World

_RESULT = "Flow results and failure messages reach the client that started the flow over REST."
_VERDICT = "Failure messages of a verification reach who asked for it."


class Door(StrEnum):
    """Whether a call of an imported function is permitted."""

    ALWAYS = "always-open"
    OPEN = "open"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFacts:
    """One imported function.

    Attributes:
        interface: the WIT interface, which is the capability.
        door: whether a call is permitted.
        quota: the limits that apply to it, by name.
        reaches: who receives the data sent through it, if outside the virtual node.
    """

    interface: str
    function: str
    door: Door
    quota: Mapping[str, int]
    reaches: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFacts:
    """One limit: the descriptor's value, the host's value, and the effective one."""

    name: str
    asked: int | None
    host: int
    effective: int


def limit_facts(asked: Mapping[str, int], host: Limits) -> tuple[LimitFacts, ...]:
    """Every limit of a run: the smaller of the host's and the descriptor's value."""
    facts = []
    for name, field in LIMITS.items():
        allowed = getattr(host, field)
        wanted = asked.get(name)
        facts.append(
            LimitFacts(
                name=name,
                asked=wanted,
                host=allowed,
                effective=allowed if wanted is None else min(wanted, allowed),
            )
        )
    return tuple(facts)


def import_facts(
    imports: Iterable[str], grantable: Iterable[str], limits: Iterable[LimitFacts]
) -> tuple[ImportFacts, ...]:
    """The imported functions, in order of interface and function.

    Args:
        imports: of the compiled component: `cordbox:guest/sessions@1.0.0#send`.
        grantable: capabilities that the descriptor declares and the host allows.
        limits: of a run.
    """
    effective = {limit.name: limit.effective for limit in limits}
    granted = frozenset(grantable)
    facts = []
    for name in sorted(imports):
        path, _, function = name.partition("#")
        interface = path.rpartition("/")[2].partition("@")[0]
        door = _door(interface, granted)
        facts.append(
            ImportFacts(
                interface=interface,
                function=function,
                door=door,
                quota={} if door is Door.REFUSED else _quota(interface, effective),
                reaches=None if door is Door.REFUSED else _reaches(f"{interface}.{function}"),
            )
        )
    return tuple(facts)


def _reaches(name: str) -> str | None:
    """The receivers of data that is sent through a function, if outside the virtual node."""
    found = FUNCTIONS.get(name)
    return None if found is None else found.reaches


def _door(interface: str, granted: frozenset[str]) -> Door:
    if interface in ALWAYS_GRANTED:
        return Door.ALWAYS
    return Door.OPEN if interface in granted else Door.REFUSED


def _quota(interface: str, effective: Mapping[str, int]) -> Mapping[str, int]:
    quota = {
        "callsOfARunMax": effective["hostCallsMax"],
        "payloadBytesMax": effective["payloadBytesMax"],
    }
    if interface == "log":
        quota["logBytesMax"] = effective["logBytesMax"]
    return quota


def leaving(world: str, imports: Iterable[ImportFacts]) -> tuple[str, ...]:
    """The data that can leave the virtual node, one sentence each."""
    carried = {fact.interface for fact in imports if fact.reaches is not None}
    first = _VERDICT if world == World.CONTRACT else _RESULT
    return (first, *(each.leaves for each in INTERFACES if each.leaves and each.name in carried))
