"""What the code of a stored package may do, and what changed since another version of it.

Facts come from what the host verified when the package was uploaded, so nothing of it is opened or
run. Doors are those of the world: a component may import fewer functions, which its binary tells.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from host.domain.json import JsonObject
from host.domain.packages import CodeWorld, CpiRecord, CpkRecord, FlowDeclaration
from host.guests.walls import (
    Door,
    ImportFacts,
    LimitFacts,
    import_facts,
    leaving,
    limit_facts,
)
from sandbox.host_api import HOST_API
from sandbox.limits import Limits

_ALL_FUNCTIONS = tuple(
    f"{name}#{each}" for name, functions in HOST_API.items() for each in functions
)


class FactKind(StrEnum):
    """What a fact is about."""

    SIGNERS = "signers"
    CPK = "cpk"
    CODE = "code"
    INTERFACE = "interface"
    CAPABILITY = "capability"
    LIMIT = "limit"
    FLOW = "flow"
    CONTRACT = "contract"
    STATE = "state"
    ENTITY = "entity"
    QUERY = "query"
    CHANNEL = "channel"
    LIBRARY = "library"


_ORDER = {kind: place for place, kind in enumerate(FactKind)}
_WIDENS = frozenset(
    {FactKind.CPK, FactKind.CAPABILITY, FactKind.FLOW, FactKind.CHANNEL, FactKind.LIBRARY}
)
"""Kinds of which a new fact means that the code may do, or uses, more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkFacts:
    """One CPK. `limits` are those of a run of a node without overrides; `leaves` are sentences."""

    cpk: CpkRecord
    imports: tuple[ImportFacts, ...]
    limits: tuple[LimitFacts, ...]
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactChange:
    """A fact that differs between two versions; None where a version does not have it.

    Attributes:
        cpk: name of the CPK that it is a fact of; None for one of the whole package.
        name: of what `kind` says; of a CPK and its code, the CPK's own.
        widens: the code of the newer version may do more by it, or other people signed it.
    """

    cpk: str | None
    kind: FactKind
    name: str
    before: str | None
    after: str | None
    widens: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What differs, the widening changes first; `compared` is the number of facts of both."""

    compared: int
    changes: tuple[FactChange, ...]


def cpk_facts(cpk: CpkRecord, allowed: Limits) -> CpkFacts:
    """The walls of a CPK's sandbox, under limits of a run that the host allows."""
    limits = limit_facts(
        {name: value for name, value in cpk.limits.items() if isinstance(value, int)}, allowed
    )
    functions = _ALL_FUNCTIONS if cpk.world is CodeWorld.WORKFLOW else ()
    imports = import_facts(functions, cpk.capabilities, limits)
    return CpkFacts(cpk=cpk, imports=imports, limits=limits, leaves=leaving(cpk.world, imports))


def compared(before: CpiRecord, after: CpiRecord, allowed: Limits) -> Comparison:
    """What differs between two versions of a package."""
    old, new = _facts(before, allowed), _facts(after, allowed)
    keys = sorted(old.keys() | new.keys(), key=lambda key: (key[0], _ORDER[key[1]], key[2]))
    changes = [
        FactChange(
            cpk=cpk or None,
            kind=kind,
            name=name,
            before=_text(old.get((cpk, kind, name))),
            after=_text(new.get((cpk, kind, name))),
            widens=_widens(kind, old.get((cpk, kind, name)), new.get((cpk, kind, name))),
        )
        for cpk, kind, name in keys
        if old.get((cpk, kind, name)) != new.get((cpk, kind, name))
    ]
    changes.sort(key=lambda change: not change.widens)
    return Comparison(compared=len(keys), changes=tuple(changes))


_Key = tuple[str, FactKind, str]
_Value = str | int


def _facts(cpi: CpiRecord, allowed: Limits) -> Mapping[_Key, _Value]:
    """Every fact of a package, by CPK (empty for the package's own), kind and name."""
    facts: dict[_Key, _Value] = {
        ("", FactKind.SIGNERS, "signers"): cpi.identity.signer_summary_hash
    }
    for cpk in cpi.cpks:
        owner = cpk.identity.name
        facts[owner, FactKind.CPK, owner] = cpk.identity.version
        facts |= {(owner, kind, name): value for kind, name, value in _cpk(cpk, allowed)}
    return facts


def _cpk(cpk: CpkRecord, allowed: Limits) -> Iterator[tuple[FactKind, str, _Value]]:
    known = cpk_facts(cpk, allowed)
    yield FactKind.CODE, cpk.identity.name, cpk.code_digest
    for fact in known.imports:
        yield FactKind.INTERFACE, fact.interface, _DOORS[fact.door]
    for limit in known.limits:
        yield FactKind.LIMIT, limit.name, limit.effective
    for flow in cpk.flows:
        yield FactKind.FLOW, flow.name, flow_text(flow)
    for entity in cpk.entities:
        yield FactKind.ENTITY, entity.name, _entity(entity.schema, entity.version)
    for state, contract in cpk.state_types:
        yield FactKind.STATE, state, f"governed by {contract}"
    present = (
        (FactKind.CAPABILITY, [each for each in cpk.capabilities if each not in HOST_API]),
        (FactKind.CONTRACT, cpk.contract_types),
        (FactKind.QUERY, [query.name for query in cpk.queries]),
        (FactKind.CHANNEL, cpk.external_channels or ()),
        (FactKind.LIBRARY, cpk.libraries),
    )
    for kind, names in present:
        for name in names:
            yield kind, name, "declared"


_DOORS = {Door.ALWAYS: "always open", Door.OPEN: "open if granted", Door.REFUSED: "closed"}


def flow_text(flow: FlowDeclaration) -> str:
    """A flow's kind and protocol in words."""
    if not flow.protocol:
        return str(flow.kind)
    return f"{flow.kind}, protocol {flow.protocol} {', '.join(str(n) for n in flow.versions)}"


def _entity(schema: JsonObject, version: int) -> str:
    """An entity's fields, of which those in parentheses may be absent."""
    fields, required = schema.get("properties"), schema.get("required")
    names: Sequence[str] = sorted(fields) if isinstance(fields, Mapping) else ()
    needed = set(required) if isinstance(required, list) else set()
    shown = (name if name in needed else f"({name})" for name in names)
    return f"version {version}: {', '.join(shown)}" if names else f"version {version}"


def _text(value: _Value | None) -> str | None:
    return None if value is None else str(value)


def _widens(kind: FactKind, old: _Value | None, new: _Value | None) -> bool:
    if kind is FactKind.SIGNERS:
        return True
    if kind is FactKind.LIMIT:
        return isinstance(new, int) and (not isinstance(old, int) or new > old)
    if kind is FactKind.INTERFACE:
        return new != _DOORS[Door.REFUSED] and new is not None
    return kind in _WIDENS and old is None
