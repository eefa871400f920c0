"""Transactions of the consensual ledger, made from schemas and from known ones.

Each has at least one state, and is signed by all participants: a host shows no other one to states.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from host.domain.json import JsonObject
from host.tools.fuzz.mutation import near_values, with_field
from host.tools.fuzz.participants import FuzzedType, alone_fact, participants_in
from host.tools.fuzz.values import Values, expanded, values

_STEPS_MAX = 3
_Draw = Callable[[Values], Any]
TIMESTAMPS = ("2026-01-01T00:00:00.000000Z", "2020-02-29T23:59:59.999999Z")


def facts(states: Sequence[FuzzedType], pool: Sequence[JsonObject] = ()) -> Values:
    """Transactions of states of these types, half of them changed from those of `pool`.

    Args:
        states: types of consensual states, at least one.
        pool: known transactions of the consensual ledger.
    """
    fresh = _fresh(states)
    return fresh | _mutated(states, pool) if pool else fresh


def near_facts(states: Sequence[FuzzedType], transaction: JsonObject) -> Iterator[JsonObject]:
    """Transactions that differ in one field of a state, or have one state more."""
    known = _known(states)
    entries: list[Any] = deepcopy(list(transaction["states"]))  # type: ignore[arg-type]
    for index, entry in enumerate(entries):
        kind = known.get(entry["type"])
        for value in near_values(entry["value"], kind.schema) if kind else ():
            changed = known[entry["type"]].entry(value)
            yield _of(transaction, [*entries[:index], changed, *entries[index + 1 :]])
        yield _of(transaction, [*entries, deepcopy(entry)])


def _fresh(states: Sequence[FuzzedType]) -> Values:
    every = [values(state.schema).map(state.entry) for state in states]
    some = st.lists(st.one_of(*every), min_size=1, max_size=3)
    return st.builds(
        lambda entries, at: _of({**alone_fact([]), "timestamp": at}, entries),
        some,
        st.sampled_from(TIMESTAMPS),
    )


def _mutated(states: Sequence[FuzzedType], pool: Sequence[JsonObject]) -> Values:
    known = _known(states)

    @st.composite
    def one(draw: _Draw) -> JsonObject:
        found = draw(st.sampled_from(pool))
        entries: list[Any] = deepcopy(list(found["states"]))
        for _ in range(draw(st.integers(0, _STEPS_MAX))):
            _change(known, draw, entries)
        return _of(found, entries)

    return one()


def _change(known: Mapping[str, FuzzedType], draw: _Draw, entries: list[Any]) -> None:
    """Change a field of a state, repeat a state, leave one out, or add another one."""
    index = draw(st.integers(0, len(entries) - 1))
    kind = known.get(entries[index]["type"])
    step = draw(st.sampled_from(("field", "field", "repeat", "drop", "add")))
    if step == "repeat":
        entries.append(deepcopy(entries[index]))
    elif step == "drop" and len(entries) > 1:
        del entries[index]
    elif step == "add":
        other = known[draw(st.sampled_from(sorted(known)))]
        entries.append(other.entry(draw(values(other.schema))))
    elif kind is not None:
        entries[index] = kind.entry(with_field(draw, entries[index]["value"], kind.schema))


def _known(states: Sequence[FuzzedType]) -> Mapping[str, FuzzedType]:
    return {each.name: replace(each, schema=expanded(each.schema)) for each in states}


def _of(transaction: JsonObject, entries: Sequence[Mapping[str, Any]]) -> JsonObject:
    """A transaction of other states, which their participants sign."""
    return {**transaction, "states": list(entries), "signatories": participants_in(entries)}
