"""Fuzz a CPI's contracts: transactions are made, judged, and shrunk to the smallest that crashes.

They come from the schemas of states and commands, and from known transactions: recorded ones, and
those of earlier rounds that were accepted, reached a new line, or were refused in a new way.
A verdict is an acceptance, or a refusal that the contract meant: the SDK's `RequirementError` or
its claims about types, participants and values. Everything else, such as a `KeyError` or a limit of
the sandbox, is a crash: a transaction that the author did not expect.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

from cpi.package.model import PackageType
from cpi.package.verify import read_package
from host.domain.errors import InvalidInputError
from host.domain.json import JsonObject
from host.tools.fuzz.coverage import Line, Trial
from host.tools.fuzz.crash import CrashFoundError
from host.tools.fuzz.participants import FuzzedType, alone, alone_fact, is_fact, learn

VERDICTS = frozenset(
    {"RequirementError", "UnknownTypeError", "WrongContractError", "ParticipantsError",
     "CodecError", "contract-refused"}
)  # fmt: skip
"""Types of failures that are refusals."""

KINDS_MAX = 20
"""Maximum number of searches; each new search excludes the kinds of crash found so far."""
_NEAR = 300
"""Neighbours of known transactions that are tried before each search."""
_ROUND = 100
"""Transactions of one search; what they reach is known to the next one."""
_POOL_MAX = 500
_MESSAGE_CHARACTERS_MAX = 200
Verify = Callable[[JsonObject], Sequence[JsonObject]]
"""Returns the failures of a transaction."""
Watch = Callable[[JsonObject], Trial]


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
        accepted: how many of them, transactions without states aside, ended with an acceptance: no
            contract judges those.
        never_accepted: contracts, and types of consensual states, that no accepted transaction had.
        unconfirmed: state types whose participants were guessed; most of their contract is not
            reached.
        lines: what was reached of the contracts' own code.
    """

    crashes: tuple[Crash, ...]
    runs: int
    accepted: int
    unconfirmed: tuple[str, ...]
    never_accepted: tuple[str, ...] = ()
    lines: frozenset[Line] = frozenset()


def fuzz(
    declared: Mapping[str, Sequence[Mapping[str, Any]]],
    verify: Verify,
    *,
    examples: int,
    seed: int,
    recorded: Sequence[JsonObject] = (),
    watch: Watch | None = None,
    verdicts: frozenset[str] = VERDICTS,
    tick: Callable[[], None] = lambda: None,
) -> FuzzResult:
    """Try transactions until `examples` of them show no new kind of crash; shrink each kind.

    A search stops soon after its first finding, so it is started again without the known kinds.

    Args:
        declared: `states` and `commands` of a contract CPK's descriptor.
        verify: judges a transaction; its verdict counts.
        recorded: known transactions, judged first and changed later.
        watch: judges a transaction and gives the lines that it reached; without it, only new
            messages show that a transaction reached further.
        examples: transactions without a new kind of crash that end the hunt; those for shrinking
            are not counted.
        seed: the same seed tries the same transactions.
        verdicts: types of failures that are refusals.
        tick: called after every verification.

    Raises:
        FuzzExtraMissingError: the extra `fuzz` is not installed.
    """
    search, neighbours = _search()
    hunt = _Hunt(verify, watch or _unwatched(verify), verdicts, tick)
    states = [_with_participants(state, verify) for state in declared["states"]]
    commands = [FuzzedType(name=c["name"], schema=c["schema"]) for c in declared["commands"]]
    hunt.begin(recorded)
    left, turn, kinds = examples if states else 0, 0, 0
    while left > 0 and kinds < KINDS_MAX:
        tried = hunt.try_neighbours(partial(neighbours, states, commands), min(left, _NEAR))
        count = min(max(left - tried, 1), _ROUND)
        pool = tuple(hunt.pool)
        search(states, commands, hunt.judge, examples=count, start=seed + turn, pool=pool)
        is_new = hunt.closed_kinds()
        left, turn, kinds = examples if is_new else left - tried - count, turn + 1, kinds + is_new
    return FuzzResult(
        crashes=tuple(hunt.crashes[key] for key in sorted(hunt.crashes)),
        runs=hunt.runs,
        accepted=hunt.accepted,
        unconfirmed=tuple(state.name for state in states if not state.confirmed),
        never_accepted=tuple(sorted({state.contract for state in states} - hunt.accepting)),
        lines=frozenset(hunt.lines),
    )


def _unwatched(verify: Verify) -> Watch:
    return lambda transaction: Trial(failures=verify(transaction), lines=frozenset())


@dataclass(slots=True)
class _New:
    """A transaction of the pool whose neighbours were not all tried; `left` are those."""

    transaction: JsonObject
    left: Iterator[JsonObject] | None = None


class _Hunt:
    """Judges transactions, keeps the last of each kind of crash, and all that reached further."""

    def __init__(
        self,
        verify: Verify,
        watch: Watch,
        verdicts: frozenset[str],
        tick: Callable[[], None],
    ) -> None:
        self.crashes: dict[tuple[str, str], Crash] = {}
        self.runs = 0
        self.accepted = 0
        self.accepting: set[str] = set()
        self.lines: set[Line] = set()
        self.pool: list[JsonObject] = []
        self._new: deque[_New] = deque()
        self._seen: set[tuple[str, ...]] = set()
        self._verify = verify
        self._watch = watch
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
        trial = self._watch(transaction)
        self.runs += 1
        judges = set() if trial.failures else _contracts_of(transaction)
        self.accepted += bool(judges)
        self.accepting |= judges
        self._tick()
        self._learn(transaction, trial)
        open_kinds = self._crashes(trial.failures)
        if open_kinds:
            # A watched contract uses more fuel: only its own component's verdict counts.
            for key, failure in self._crashes(self._verify(transaction)).items():
                if key in open_kinds:
                    raise self._keep(key, failure, transaction)

    def begin(self, recorded: Sequence[JsonObject]) -> None:
        """Judge recorded transactions; all of them are changed later, also the refused."""
        for transaction in recorded:
            with suppress(CrashFoundError):
                self.judge(transaction)
        self.closed_kinds()
        self.pool[:] = [*recorded, *self.pool][: len(recorded) + _POOL_MAX]

    def try_neighbours(
        self, neighbours: Callable[[JsonObject], Iterator[JsonObject]], most: int
    ) -> int:
        """Judge the neighbours of what was learned since the last call; returns their number.

        One that crashes ends this, and becomes the newest of the pool: the next search tries it,
        and shrinks it.
        """
        tried = 0
        while self._new and tried < most:
            first = self._new[0]
            if first.left is None:
                first.left = neighbours(first.transaction)
            neighbour = next(first.left, None)
            if neighbour is None:
                self._new.popleft()
                continue
            tried += 1
            try:
                self.judge(neighbour)
            except CrashFoundError:
                break
        return tried

    def _crashes(self, failures: Sequence[JsonObject]) -> dict[tuple[str, str], JsonObject]:
        """The failures that are crashes of kinds that are still looked for."""
        found = {(str(f["contract"]), str(f["type"])): f for f in failures}
        return {
            key: failure
            for key, failure in found.items()
            if key[1] not in self._verdicts and key not in self._closed
        }

    def _learn(self, transaction: JsonObject, trial: Trial) -> None:
        """Keep a transaction that reached a line, a reason or an acceptance first."""
        reasons: set[tuple[str, ...]] = {
            (str(f["contract"]), str(f["type"]), str(f["message"])[:_MESSAGE_CHARACTERS_MAX])
            for f in trial.failures
        }
        found = reasons or {_shape(transaction)}
        is_further = not trial.lines <= self.lines
        is_new = is_further or not found <= self._seen
        self.lines |= trial.lines
        self._seen |= found
        if is_new and len(self.pool) < _POOL_MAX:
            self.pool.append(deepcopy(transaction))
            # A new line is rarer than a new reason, and leads further: its neighbours come first.
            (self._new.appendleft if is_further else self._new.append)(_New(self.pool[-1]))

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


def _contracts_of(transaction: Mapping[str, Any]) -> set[str]:
    """What judges a transaction: the contracts of its inputs and outputs, or its facts' types."""
    if is_fact(transaction):
        return {str(state["type"]) for state in transaction["states"]}
    states = [*(entry["state"] for entry in transaction["inputs"]), *transaction["outputs"]]
    return {str(state["contract"]) for state in states}


def _shape(transaction: Mapping[str, Any]) -> tuple[str, ...]:
    """What an accepted transaction does: its commands, and the numbers of inputs and outputs.

    Of the consensual ledger: the types of its states.
    """
    if is_fact(transaction):
        return ("accepted", *(str(state["type"]) for state in transaction["states"]))
    counts = (str(len(transaction[group])) for group in ("inputs", "outputs"))
    return ("accepted", *(str(command["type"]) for command in transaction["commands"]), *counts)


def declared_types(cpi: bytes) -> dict[str, list[Mapping[str, Any]]]:
    """The state and command types of a CPI's contract CPKs; the CPI was verified before."""
    found: dict[str, list[Mapping[str, Any]]] = {"states": [], "commands": []}
    for cpk in read_package(cpi, package_type=PackageType.CPI).cpks:
        if cpk.world_type == "contract" and cpk.descriptor is not None:
            found["states"] += cpk.descriptor.states
            found["commands"] += cpk.descriptor.commands
    return found


def _search() -> tuple[Callable[..., None], Callable[..., Iterator[JsonObject]]]:
    try:
        # They need the optional extra.
        from host.tools.fuzz.search import neighbours, search  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name != "hypothesis":
            raise
        raise FuzzExtraMissingError(
            "fuzzing needs hypothesis, which is not installed: pip install 'cordbox[fuzz]'"
        ) from missing
    return search, neighbours


def _with_participants(state: Mapping[str, Any], verify: Verify) -> FuzzedType:
    def refusals(entry: JsonObject) -> set[str]:
        made = alone_fact([entry]) if state["contract"] == state["name"] else alone(entry)
        return {str(f["type"]) for f in verify(made)}

    paths, confirmed = learn(state, refusals)
    return FuzzedType(
        name=state["name"],
        schema=state["schema"],
        contract=state["contract"],
        participants=paths,
        confirmed=confirmed,
    )
