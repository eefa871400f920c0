"""Finds the fields of a state's value that hold its participants, by trial runs of the contract.

A transaction lists the participants of each state, and contracts refuse a wrong list before they
check anything else. The schemas do not say how a state computes the list, so lists of fields are
tried until one is not refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, permutations
from typing import Any, TypeAlias

from host.domain.json import JsonObject

Path: TypeAlias = tuple[str, ...]
Refusals: TypeAlias = Callable[[JsonObject], set[str]]
"""Types of the failures with which a state that is alone in a transaction is refused."""

FALSE_LIST = "ParticipantsError"
KEY_LIKE = re.compile(r"key|owner|participant|holder|issuer|party|signer", re.IGNORECASE)
"""Names of fields that probably hold a key."""
_ID = "SHA-256D:" + "0" * 64
_PREVIOUS = "SHA-256D:" + "1" * 64
_FIELDS_MAX = 8
_LENGTH_MAX = 4
_ATTEMPTS_MAX = 300
_NOBODY = ["nobody"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzedType:
    """A state type (with its contract and participants) or a command type (without).

    A state of the consensual ledger is its own contract.
    """

    name: str
    schema: Mapping[str, Any]
    contract: str = ""
    participants: tuple[Path, ...] = ()
    confirmed: bool = True

    @property
    def is_fact(self) -> bool:
        """Whether it is a state of the consensual ledger."""
        return self.contract == self.name

    def entry(self, value: Any) -> dict[str, Any]:
        """A state or a command of this type, as transactions carry it."""
        if not self.contract:
            return {"type": self.name, "value": value}
        described = {"name": self.name, "contract": self.contract}
        return state_entry(described, value, participants_of(value, self.participants))


def alone(output: JsonObject | None) -> dict[str, Any]:
    """A transaction with one output and nothing else, or with nothing."""
    return {
        "id": _ID,
        "metadata": {"cpkMetadata": []},
        "notary": None,
        "timeWindow": None,
        "signatories": [],
        "inputs": [],
        "references": [],
        "outputs": [] if output is None else [output],
        "commands": [],
    }


def alone_fact(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A transaction of the consensual ledger with these states."""
    return {
        "id": _ID,
        "metadata": {"cpkMetadata": []},
        "timestamp": "2026-01-01T00:00:00.000000Z",
        "signatories": participants_in(entries),
        "states": list(entries),
    }


def is_fact(transaction: Mapping[str, Any]) -> bool:
    """Whether a transaction is of the consensual ledger."""
    return "states" in transaction


def participants_in(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """All participants of states, each once."""
    return list(dict.fromkeys(key for entry in entries for key in entry["participants"]))


def number_references(transaction: Mapping[str, Any]) -> None:
    """Give each input and reference a state reference of its own."""
    for index, entry in enumerate([*transaction["inputs"], *transaction["references"]]):
        entry["stateRef"] = f"{_PREVIOUS}:{index}"


def learn(state: Mapping[str, Any], refusals: Refusals) -> tuple[tuple[Path, ...], bool]:
    """The fields that make up a state's participants, in order, and whether that was confirmed.

    Args:
        state: `name`, `contract` and `schema`, as the descriptor gives them.
        refusals: runs the contract and returns its failures.
    """
    value = sample(state["schema"], "value")
    paths = list(_text_fields(state["schema"]))
    likely = sorted(paths, key=lambda path: KEY_LIKE.search(path[-1]) is None)
    guess = tuple(path for path in likely if KEY_LIKE.search(path[-1]))

    def refused(participants: Sequence[str]) -> bool:
        entry = state_entry(state, value, participants)
        return FALSE_LIST in refusals(entry)

    if not refused(_NOBODY):
        return guess, False
    fields = likely[:_FIELDS_MAX]
    lengths = range(min(len(fields), _LENGTH_MAX) + 1)
    every = chain([guess], chain.from_iterable(permutations(fields, n) for n in lengths))
    for candidate in islice(every, _ATTEMPTS_MAX):
        if not refused(participants_of(value, candidate)):
            return tuple(candidate), True
    return guess, False


def state_entry(
    state: Mapping[str, Any], value: Any, participants: Sequence[str]
) -> dict[str, Any]:
    """A state as transactions of its ledger carry it."""
    if state["contract"] == state["name"]:
        return {"type": state["name"], "value": value, "participants": list(participants)}
    return {
        "type": state["name"],
        "contract": state["contract"],
        "value": value,
        "participants": list(participants),
        "encumbrance": None,
    }


def participants_of(value: Any, paths: Sequence[Path]) -> list[str]:
    """The texts at `paths` of a state's value; lists of texts are flattened."""
    found: list[str] = []
    for path in paths:
        here = value
        for step in path:
            here = here.get(step) if isinstance(here, Mapping) else None
        items = here if isinstance(here, list) else [here]
        found += [item for item in items if isinstance(item, str)]
    return found


def sample(  # noqa: PLR0911  # one return per kind of schema
    schema: Mapping[str, Any], name: str
) -> Any:
    """One value that fits `schema`, in which every free text differs: it is its own path."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        arms = [arm for arm in schema["anyOf"] if "$ref" not in arm]
        real = [arm for arm in arms if arm.get("type") != "null"]
        return sample((real or arms or schema["anyOf"])[0], name)
    kinds = schema.get("type")
    match kinds[0] if isinstance(kinds, list) and kinds else kinds:
        case "object":
            properties = schema.get("properties", {})
            return {key: sample(item, f"{name}.{key}") for key, item in properties.items()}
        case "array" if "prefixItems" in schema:
            return [sample(item, f"{name}.{i}") for i, item in enumerate(schema["prefixItems"])]
        case "array":
            items = schema.get("items", {})  # none of what would contain itself
            count = 0 if "$ref" in items else max(int(schema.get("minItems", 1)), 1)
            return [sample(items, f"{name}.{i}") for i in range(count)]
        case "string":
            return _sample_text(schema, name)
        case "integer" | "number":
            return max(1, int(schema.get("minimum", 1)))
        case "boolean":
            return False
        case _:
            return None


_FORMATS = {
    "date-time": "2026-01-01T00:00:00.000000Z",
    "date": "2026-01-01",
    "time-of-day": "10:00:00",
    "iso-duration": "PT1S",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "decimal": "1",
}


def _sample_text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("contentEncoding") == "base64":
        return "AAAA"
    if schema.get("format") in _FORMATS:
        return _FORMATS[str(schema["format"])]
    candidates = ("1", "SHA-256D:AB:0") if "pattern" in schema else (name,)
    return next((t for t in candidates if re.search(schema.get("pattern", ""), t)), name)


def _text_fields(schema: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """Paths of fields that hold texts or lists of texts, outermost first."""
    for arm in schema.get("anyOf", ()):
        yield from _text_fields(arm, path)
    kind = schema.get("type")
    if path and (kind == "string" or (kind == "array" and _holds_texts(schema))):
        yield path
    for name, item in schema.get("properties", {}).items():
        yield from _text_fields(item, (*path, name))


def _holds_texts(schema: Mapping[str, Any]) -> bool:
    items = [*schema.get("prefixItems", ()), schema.get("items")]
    return any(isinstance(item, Mapping) and item.get("type") == "string" for item in items)
