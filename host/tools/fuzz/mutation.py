"""Transactions made from known ones: a field changed, a part added, dropped or taken over.

Contracts refuse most transactions that are made from schemas alone. One that was recorded, or was
accepted before, is near to many that reach further.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeAlias, cast

from hypothesis import strategies as st

from host.domain.json import JsonObject
from host.tools.fuzz.participants import (
    FuzzedType,
    alone,
    number_references,
    sample,
)
from host.tools.fuzz.values import KEYS, Values, expanded, near, values

_STEPS_MAX = 3
_FRONTIER = 8
"""Half of the changes are made to the transactions that reached something new last."""
TIME_WINDOWS: Sequence[Any] = (
    None,
    {"from": None, "until": "2026-01-01T00:00:00.000000Z"},
    {"from": "2026-01-01T00:00:00.000000Z", "until": None},
)

_Draw: TypeAlias = Callable[[Values], Any]
_Change: TypeAlias = Callable[["_Types", _Draw, dict[str, Any]], None]


def mutated(
    states: Sequence[FuzzedType], commands: Sequence[FuzzedType], pool: Sequence[JsonObject]
) -> Values:
    """One of `pool` (not empty), changed in up to three steps; the original comes first."""
    types = _Types(states, commands)

    @st.composite
    def one(draw: _Draw) -> JsonObject:
        some = pool if draw(st.booleans()) else pool[-_FRONTIER:]
        found = deepcopy(dict(draw(st.sampled_from(some))))
        for _ in range(draw(st.integers(0, _STEPS_MAX))):
            draw(st.sampled_from(_CHANGES))(types, draw, found)
        return found

    return one()


def neighbours(
    states: Sequence[FuzzedType], commands: Sequence[FuzzedType], transaction: JsonObject
) -> Iterator[JsonObject]:
    """Transactions that differ in one field of an output or a command, or by a step that follows.

    A search by chance needs thousands of tries for the one field that leads further.
    """
    types = _Types(states, commands)
    for group, known in (("outputs", types.states), ("commands", types.commands)):
        for index, entry in enumerate(cast("Sequence[Any]", transaction[group])):
            kind = known.get(entry["type"])
            if kind is None:
                continue
            for value in near_values(entry["value"], kind.schema):
                changed: dict[str, Any] = deepcopy(dict(transaction))
                changed[group][index] = kind.entry(value)
                yield changed
    for command in types.commands.values():
        made = command.entry(sample(command.schema, "value"))
        for keeps_outputs in (True, False):
            following = _following(transaction, made, keeps_outputs=keeps_outputs)
            yield {**following, "signatories": _participants(following)}


def near_values(value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """Values that differ from `value` in one field, nested ones included."""
    fields = schema.get("properties", {})
    if not isinstance(value, dict) or not fields:
        yield from near(value, schema)
        return
    for name in sorted(fields):
        for changed in near_values(value.get(name), fields[name]):
            yield {**value, name: changed}


class _Types:
    def __init__(self, states: Sequence[FuzzedType], commands: Sequence[FuzzedType]) -> None:
        self.states = {s.name: replace(s, schema=expanded(s.schema)) for s in states}
        self.commands = {c.name: replace(c, schema=expanded(c.schema)) for c in commands}

    def command(self, draw: _Draw) -> dict[str, Any]:
        chosen = self.commands[draw(st.sampled_from(sorted(self.commands)))]
        return chosen.entry(draw(values(chosen.schema)))


def _change_state(types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    """Replace one field of a state by a near value, or by any."""
    entries = list(_entries(found))
    if not entries:
        return
    entry = draw(st.sampled_from(entries))
    state = types.states.get(entry["type"])
    if state is None:
        return
    value = with_field(draw, entry["value"], state.schema)
    entry.update(state.entry(value), encumbrance=entry.get("encumbrance"))


def with_field(draw: _Draw, value: Any, schema: Mapping[str, Any]) -> Any:
    """`value` with one field replaced, nested ones included."""
    fields = schema.get("properties", {})
    if not isinstance(value, dict) or not fields:
        return draw(st.sampled_from([value, *near(value, schema)]) | values(schema))
    name = draw(st.sampled_from(sorted(fields)))
    return {**value, name: with_field(draw, value.get(name), fields[name])}


def _change_command(types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    """Replace a command by another one, or one of its fields."""
    if not types.commands:
        return
    if not found["commands"]:
        found["commands"] = [types.command(draw)]
        return
    index = draw(st.integers(0, len(found["commands"]) - 1))
    command = found["commands"][index]
    known = types.commands.get(command.get("type"))
    if known is None or draw(st.booleans()):
        found["commands"][index] = types.command(draw)
    else:
        found["commands"][index] = {
            **command, "value": with_field(draw, command.get("value"), known.schema)
        }  # fmt: skip


def _drop(_types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    """Leave out an input, a reference, an output, a command or a signatory."""
    group = draw(st.sampled_from(["inputs", "references", "outputs", "commands", "signatories"]))
    if found[group]:
        del found[group][draw(st.integers(0, len(found[group]) - 1))]
        number_references(found)


def _repeat(_types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    """Add a copy of an input, a reference, an output or a command."""
    group = draw(st.sampled_from(["inputs", "references", "outputs", "commands"]))
    if found[group]:
        found[group].append(deepcopy(draw(st.sampled_from(found[group]))))
        number_references(found)


def _add_state(types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    state = types.states[draw(st.sampled_from(sorted(types.states)))]
    entry = state.entry(draw(values(state.schema)))
    if draw(st.booleans()):
        found["outputs"].append(entry)
    else:
        found["inputs"].append({"stateRef": "", "state": entry})
        number_references(found)


def _follow(types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    """Make a transaction that consumes the outputs of this one, and perhaps has them again."""
    command = types.command(draw) if types.commands else None
    following = _following(found, command, keeps_outputs=draw(st.booleans()))
    found.clear()
    found.update(following)
    _sign(types, draw, found)


def _following(
    transaction: Mapping[str, Any], command: Mapping[str, Any] | None, *, keeps_outputs: bool
) -> dict[str, Any]:
    outputs = transaction["outputs"]
    following = {**alone(None), "notary": transaction["notary"]}
    following["metadata"] = transaction["metadata"]
    following["inputs"] = [{"stateRef": "", "state": deepcopy(output)} for output in outputs]
    following["outputs"] = deepcopy(outputs) if keeps_outputs else []
    following["commands"] = [] if command is None else [dict(command)]
    number_references(following)
    return following


def _participants(found: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(key for entry in _entries(found) for key in entry["participants"]))


def _sign(_types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    """Have all participants sign, or some keys."""
    asked = _participants(found)
    some = st.lists(st.sampled_from([*asked, *KEYS]), max_size=3)
    found["signatories"] = draw(st.just(asked) | some)


def _set_time(_types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    found["timeWindow"] = draw(st.sampled_from(TIME_WINDOWS))


def _change_and_sign(types: _Types, draw: _Draw, found: dict[str, Any]) -> None:
    _change_state(types, draw, found)
    _sign(types, draw, found)


_CHANGES: Sequence[_Change] = (
    _change_state,
    _change_and_sign,
    _change_command,
    _follow,
    _follow,
    _drop,
    _repeat,
    _add_state,
    _sign,
    _set_time,
)


def _entries(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in ("inputs", "references"):
        yield from (entry["state"] for entry in found[group])
    yield from found["outputs"]
