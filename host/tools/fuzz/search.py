"""The search itself: transactions as hypothesis strategies, and the loop that shrinks.

Needs the extra `fuzz`; `host.tools.fuzz` imports it only when it is used.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import Flaky

from host.domain.json import JsonObject
from host.tools.cache import default_cache_dir
from host.tools.fuzz.crash import CrashFoundError
from host.tools.fuzz.facts import facts, near_facts
from host.tools.fuzz.mutation import TIME_WINDOWS, mutated
from host.tools.fuzz.mutation import neighbours as near_transactions
from host.tools.fuzz.participants import FuzzedType, alone, is_fact, number_references
from host.tools.fuzz.values import KEYS, Values, values


def search(
    states: Sequence[FuzzedType],
    commands: Sequence[FuzzedType],
    judge: Callable[[JsonObject], None],
    *,
    examples: int,
    start: int,
    pool: Sequence[JsonObject] = (),
) -> None:
    """Call `judge` with `examples` transactions, and with smaller ones after it has raised.

    Args:
        states: state types, at least one.
        commands: command types.
        judge: raises CrashFoundError; stores what it found.
        examples: transactions to try, not counting those for shrinking.
        start: the seed.
        pool: known transactions; half of the new ones are made from them.
    """

    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @given(_made(states, commands, pool))
    def try_one(transaction: JsonObject) -> None:
        judge(transaction)

    set_hypothesis_home_dir(default_cache_dir() / "hypothesis")  # not in the working directory
    try:
        try_one()
    except (CrashFoundError, ExceptionGroup, Flaky):
        return  # the judge has stored it, even if a second run differs
    finally:
        set_hypothesis_home_dir(None)


def _made(
    states: Sequence[FuzzedType], commands: Sequence[FuzzedType], pool: Sequence[JsonObject]
) -> Values:
    """Transactions of each ledger that has states; half of each from the pool's, if it has any."""
    consuming, agreed = divided(states)
    made = []
    if consuming:
        known = [each for each in pool if not is_fact(each)]
        made.append(transactions(consuming, commands))
        made += [mutated(consuming, commands, known)] if known else []
    if agreed:
        made.append(facts(agreed, [each for each in pool if is_fact(each)]))
    return st.one_of(*made)


def neighbours(
    states: Sequence[FuzzedType], commands: Sequence[FuzzedType], transaction: JsonObject
) -> Iterator[JsonObject]:
    """Transactions of the same ledger that differ in one field or step."""
    consuming, agreed = divided(states)
    if is_fact(transaction):
        return near_facts(agreed, transaction)
    return near_transactions(consuming, commands, transaction)


def divided(
    states: Sequence[FuzzedType],
) -> tuple[Sequence[FuzzedType], Sequence[FuzzedType]]:
    """State types of the UTXO and of the consensual ledger."""
    return [s for s in states if not s.is_fact], [s for s in states if s.is_fact]


def transactions(states: Sequence[FuzzedType], commands: Sequence[FuzzedType]) -> Values:
    """Transactions with at least one state; outputs are often an input with one field changed."""
    every_state = [_states_of(state) for state in states]
    every_command = [values(command.schema).map(command.entry) for command in commands]

    @st.composite
    def one(draw: Callable[[Values], Any]) -> JsonObject:
        def some(arm: Values, counts: Sequence[int]) -> list[Any]:
            return [draw(arm) for _ in range(draw(st.sampled_from(counts)))]

        state = st.one_of(*every_state)
        inputs = some(state, (0, 0, 1, 1, 2))
        references = some(state, (0, 0, 0, 1))
        changed = [_changed(entry, states) for entry in inputs]
        outputs = some(st.one_of(*changed, state), (0, 1, 1, 2) if inputs else (1, 1, 2))
        chosen = some(st.one_of(*every_command), (0, 1, 1, 1, 2)) if commands else []
        asked = {key: None for entry in (*inputs, *outputs) for key in entry["participants"]}
        signed = draw(st.just(list(asked)) | st.lists(st.sampled_from([*asked, *KEYS]), max_size=3))
        made = {
            **alone(None),
            "inputs": [{"stateRef": "", "state": dict(entry)} for entry in inputs],
            "references": [{"stateRef": "", "state": dict(entry)} for entry in references],
            "outputs": outputs,
            "commands": chosen,
            "signatories": signed,
            "timeWindow": draw(st.sampled_from(TIME_WINDOWS)),
        }
        number_references(made)
        return made

    return one()


def _states_of(state: FuzzedType) -> Values:
    return values(state.schema).map(state.entry)


def _changed(entry: Mapping[str, Any], states: Sequence[FuzzedType]) -> Values:
    """The same state, unchanged or with one field replaced."""
    (state,) = (s for s in states if s.name == entry["type"])
    arms = [st.just(dict(entry))]
    for name, schema in state.schema.get("properties", {}).items():
        arms.append(
            values(schema).map(
                lambda new, name=name: state.entry({**entry["value"], name: new})  # type: ignore[misc]
            )
        )
    return st.one_of(*arms)
