"""Attacks on a whole host: by the flows of a hostile node, by strangers, and by honest crowds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from host.domain.json import JsonValue
from host.tools.audit.gauntlet.model import CONTAINED, LIMITS
from host.tools.audit.gauntlet.sample_flows import sample_flows
from host.tools.audit.gauntlet.strangers import Stranger, guess_passwords, hold_connections

KILLED = "killed"
"""The attack did not end within its time, and was killed by the operator."""
REFUSED = "start-refused"
"""A quota of the attacker's node refused the start of a flow. Any attack may fill its own accounts
so far; a row in which no flow has ended in another way is no measurement."""
_ENDLESS = frozenset({KILLED})
_FAILED = frozenset({"FLOW_FAILED"})
"""An exception in the flow's code: its own, or one from a failed host call."""
_FULL = frozenset({"quota-exceeded", CONTAINED})
_BOUNDED = LIMITS | _FULL | _ENDLESS


class Attacker(StrEnum):
    """The attacker: a node of the hostile CorDapp, an honest one, or a client without a node."""

    MALLORY = "mallory"
    BOB = "bob"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAttack:
    """An attack on a host.

    Attributes:
        stops: codes with which the attack's flows may end; `contained` if one may run to its end,
            `killed` if it may last until the operator kills it. Each may also end as
            `start-refused`.
        flow: class of the flows that are started; None where `stranger` attacks.
        body: their request.
        flows: how many are started at once.
        lists: the operator lists the node's flows, with results, meanwhile.
    """

    name: str
    about: str
    stops: frozenset[str]
    attacker: Attacker = Attacker.MALLORY
    flow: str = ""
    body: JsonValue = None
    flows: int = 1
    lists: bool = False
    stranger: Stranger | None = None


HONEST_FLOW = "hello_flows.Hello"
HONEST_BODY: Mapping[str, JsonValue] = {"name": "gauntlet"}

_CROWD = HostAttack(
    name="honest-crowd",
    about="an honest tenant starts 500 flows at once",
    attacker=Attacker.BOB,
    flow=HONEST_FLOW,
    body=HONEST_BODY,
    flows=500,
    stops=frozenset({CONTAINED, KILLED}),
)
_STRANGERS = tuple(
    HostAttack(
        name=name,
        about=about,
        attacker=Attacker.STRANGER,
        stranger=stranger,
        stops=frozenset({CONTAINED}),
    )
    for name, about, stranger in (
        ("held-connections", "strangers send bodies byte by byte", hold_connections),
        ("password-guesses", "strangers guess passwords", guess_passwords),
    )
)


def _attack(
    name: str, about: str, flow: str, stops: frozenset[str], flows: int, **body: JsonValue
) -> HostAttack:
    return HostAttack(
        name=name, about=about, flow=f"hostile_host.{flow}", stops=stops, flows=flows, body=body
    )


def host_attacks() -> tuple[HostAttack, ...]:
    """All attacks on a host, those of the sandbox's catalogue that are flows among them."""
    return (_CROWD, *_by_texts(), *_by_sessions(), *_by_work(), *_by_bytes(), *_STRANGERS, *_runs())


def _by_texts() -> tuple[HostAttack, ...]:
    """Attacks by the texts of a guest, in calls or as its failure."""
    return (
        _attack("nested-request", "host calls with JSON 3000 deep", "NestedRequest", _FAILED, 64),
        _attack("half-character", "failures that are no Unicode", "HalfCharacter", _FAILED, 64),
        _attack("long-failures", "failure texts of 3 MB", "LongFailure", _FAILED, 20),
    )


def _by_sessions() -> tuple[HostAttack, ...]:
    """Attacks by one flow with many sessions, whose other ends are flows of its own node."""
    stops = frozenset({"session-error"}) | _FAILED | _BOUNDED

    def attack(name: str, about: str, flow: str, flows: int, count: int) -> HostAttack:
        return _attack(name, about, flow, stops, flows, count=count)

    return (
        attack("failures-to-many", "a failure of 4 MiB to 100 sessions", "FailToMany", 4, 100),
        attack("worm", "responders that start responders", "Breed", 2, 12),
        attack(
            "wide-inits",
            "messages of a byte that carry 30 KB of what opens their session",
            "WideInit",
            2,
            10,
        ),
    )


def _by_work() -> tuple[HostAttack, ...]:
    """Attacks that occupy the host's threads."""
    patterns = "a pattern times a text of 4·10^9 steps"
    return (
        _attack("slow-pattern", patterns, "SlowPattern", _FAILED | _BOUNDED, 4),
        _attack("empty-writes", "transactions without end", "EmptyWrites", _BOUNDED, 48, count=300),
        _attack("short-sleeps", "steps without end", "ShortSleeps", _BOUNDED, 16, count=3000),
        _attack("tiny-flows", "a thousand flows that do nothing", "Tiny", _FULL, 1000),
    )


def _by_bytes() -> tuple[HostAttack, ...]:
    """Attacks on what the host stores for a node, in memory or on disk."""
    flood = "400 MB of external messages a flow"
    return (
        _attack("external-flood", flood, "ExternalFlood", _BOUNDED, 4, count=100),
        _attack("heavy-sleeps", "parked guests of 110 MB", "HeavySleep", _BOUNDED, 48),
        _attack("heavy-journals", "journals of 60 MB", "HeavyJournal", _BOUNDED, 12),
        HostAttack(
            name="huge-results",
            about="lists of results of 4 MiB",
            flow="hostile_host.HugeResult",
            body={},
            flows=20,
            lists=True,
            stops=_BOUNDED | {"flow-result-too-large"},
        ),
    )


def _runs() -> tuple[HostAttack, ...]:
    """The hostile flows that attack a sandbox, started in numbers that occupy all threads."""
    return tuple(
        HostAttack(
            name=f"run-{attack.name}",
            about=attack.about,
            flow=attack.flow or "",
            body={},
            flows=8,
            stops=attack.stops | LIMITS | _FAILED | _ENDLESS,
        )
        for attack in sample_flows()
    )
