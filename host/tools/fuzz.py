"""Fuzz a CPI's contracts: transactions from their schemas, shrunk to the smallest that crashes.

A verdict is an acceptance, or a refusal that the contract meant: the SDK's `RequirementError` or
its claims about types, participants and values. Everything else, such as a `KeyError` or a limit of
the sandbox, is a crash: a transaction that the author did not expect.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from cpi.package.model import PackageType
from cpi.package.verify import read_package
from host.domain.errors import InvalidInputError
from host.domain.json import JsonObject
from host.tools.fuzz_crash import CrashFoundError
from host.tools.fuzz_participants import FuzzedType, alone, learn

VERDICTS = frozenset(
    {"RequirementError", "UnknownTypeError", "WrongContractError", "ParticipantsError",
     "CodecError", "contract-refused"}
)  # fmt: skip
"""Types of failures that are refusals."""

KINDS_MAX = 20
"""Maximum number of searches; each new search excludes the kinds of crash found so far."""
Verify = Callable[[JsonObject], Sequence[JsonObject]]
"""Returns the failures of a transaction."""


class FuzzExtraMissingError(InvalidInputError):
    """Fuzzing needs the optional extra `fuzz`."""

    code = "fuzz-extra-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """The smallest transaction found that ends in this way."""

    contract: str
    type: str
    message: str
    transaction: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzResult:
    """The result of a fuzzing run.

    Attributes:
        runs: verifications, those for shrinking included.
        accepted: how many of them ended with an acceptance.
        unconfirmed: state types whose participants were guessed; most of their contract is not
            reached.
    """

    crashes: tuple[Crash, ...]
    runs: int
    accepted: int
    unconfirmed: tuple[str, ...]


def fuzz(
    declared: Mapping[str, Sequence[Mapping[str, Any]]],
    verify: Verify,
    *,
    examples: int,
    seed: int,
    verdicts: frozenset[str] = VERDICTS,
    tick: Callable[[], None] = lambda: None,
) -> FuzzResult:
    """Try transactions until `examples` of them show no new kind of crash; shrink each kind.

    A search stops soon after its first finding, so it is started again without the known kinds.

    Args:
        declared: `states` and `commands` of a contract CPK's descriptor.
        verify: judges a transaction.
        examples: transactions of the last search; those for shrinking are not counted.
        seed: the same seed tries the same transactions.
        verdicts: types of failures that are refusals.
        tick: called after every verification.

    Raises:
        FuzzExtraMissingError: the extra `fuzz` is not installed.
    """
    search = _search()
    hunt = _Hunt(verify, verdicts, tick)
    states = [_with_participants(state, verify) for state in declared["states"]]
    commands = [FuzzedType(name=c["name"], schema=c["schema"]) for c in declared["commands"]]
    for turn in range(KINDS_MAX if states else 0):
        search(states, commands, hunt.judge, examples=examples, start=seed + turn)
        if not hunt.closed_kinds():
            break
    return FuzzResult(
        crashes=tuple(hunt.crashes[key] for key in sorted(hunt.crashes)),
        runs=hunt.runs,
        accepted=hunt.accepted,
        unconfirmed=tuple(state.name for state in states if not state.confirmed),
    )


class _Hunt:
    """Judges transactions and keeps the last of each kind of crash."""

    def __init__(self, verify: Verify, verdicts: frozenset[str], tick: Callable[[], None]) -> None:
        self.crashes: dict[tuple[str, str], Crash] = {}
        self.runs = 0
        self.accepted = 0
        self._verify = verify
        self._verdicts = verdicts
        self._tick = tick
        self._kinds: dict[tuple[str, str], type[CrashFoundError]] = {}
        self._closed: set[tuple[str, str]] = set()

    def closed_kinds(self) -> bool:
        """Ignore the kinds of crash found so far from now on; returns whether one is new."""
        new = self.crashes.keys() - self._closed
        self._closed |= new
        return bool(new)

    def judge(self, transaction: JsonObject) -> None:
        """Verify one transaction.

        Raises:
            CrashFoundError: it crashed.
        """
        failures = self._verify(transaction)
        self.runs += 1
        self.accepted += not failures
        self._tick()
        for failure in failures:
            key = (str(failure["contract"]), str(failure["type"]))
            if key[1] not in self._verdicts and key not in self._closed:
                raise self._keep(key, failure, transaction)

    def _keep(
        self, key: tuple[str, str], failure: JsonObject, transaction: JsonObject
    ) -> CrashFoundError:
        # The last one is the smallest: a search ends by trying the smallest of each kind again.
        self.crashes[key] = Crash(
            contract=key[0],
            type=key[1],
            message=str(failure["message"]),
            transaction=deepcopy(transaction),
        )
        kind = self._kinds.setdefault(key, type(key[1], (CrashFoundError,), {}))
        return kind()


def declared_types(cpi: bytes) -> dict[str, list[Mapping[str, Any]]]:
    """The state and command types of a CPI's contract CPKs; the CPI was verified before."""
    found: dict[str, list[Mapping[str, Any]]] = {"states": [], "commands": []}
    for cpk in read_package(cpi, package_type=PackageType.CPI).cpks:
        if cpk.world_type == "contract" and cpk.descriptor is not None:
            found["states"] += cpk.descriptor.states
            found["commands"] += cpk.descriptor.commands
    return found


def _search() -> Callable[..., None]:
    try:
        from host.tools.fuzz_search import search  # noqa: PLC0415  # needs the optional extra
    except ModuleNotFoundError as missing:
        if missing.name != "hypothesis":
            raise
        raise FuzzExtraMissingError(
            "fuzzing needs hypothesis, which is not installed: pip install 'cordbox[fuzz]'"
        ) from missing
    return search


def _with_participants(state: Mapping[str, Any], verify: Verify) -> FuzzedType:
    def refusals(entry: JsonObject) -> set[str]:
        return {str(f["type"]) for f in verify(alone(entry))}

    paths, confirmed = learn(state, refusals)
    return FuzzedType(
        name=state["name"],
        schema=state["schema"],
        contract=state["contract"],
        participants=paths,
        confirmed=confirmed,
    )
