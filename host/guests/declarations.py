"""Declarations of a descriptor, checked against the documented result format of `describe`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec

from cpi.package.descriptor import CodeDescriptor
from host.domain.errors import InvalidInputError
from host.domain.json_schema import JsonSchema, JsonSchemaInvalidError
from host.domain.packages import (
    EntityDeclaration,
    FlowDeclaration,
    FlowKind,
    QueryDeclaration,
    StateInVault,
)
from host.domain.plain_names import has_plain_names
from host.ledger.query.declared import compile_queries
from host.ledger.query.errors import QueryDeclarationError
from host.ports.programs import SYSTEM_FLOW, SYSTEM_PROTOCOL

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class _Named(msgspec.Struct):
    name: _Name


_Shape = TypeVar("_Shape", bound=_Named)


class _Contract(_Named):
    states: tuple[_Name, ...]


_Fields = Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=4)]


class _Vault(msgspec.Struct, forbid_unknown_fields=True):
    visible: bool = False
    json: bool = False
    token: bool = False
    indexes: Annotated[tuple[_Fields, ...], msgspec.Meta(max_length=8)] = ()


class _State(_Named):
    contract: _Name
    vault: _Vault | None = None


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    expression: str
    descending: bool = False


class _Query(_Named, rename="camel", forbid_unknown_fields=True):
    where: str | None = None
    order_by: tuple[_Order, ...] = ()
    unconsumed_only: bool = False


class _Entity(_Named):
    key: _Name | tuple[_Name, ...]
    schema: dict[str, Any] = {}
    version: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    migrations: tuple[dict[str, Any], ...] = ()
    queries: tuple[dict[str, Any], ...] = ()
    indexes: tuple[tuple[_Name, ...], ...] = ()


class _Flow(_Named, rename="camel"):
    kind: FlowKind
    protocol: _Name | None
    versions: tuple[Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)], ...]
    initiating: bool
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None


class DeclarationInvalidError(InvalidInputError):
    """A descriptor's declarations do not have the documented result format of `describe`."""

    code = "cpk-declaration-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declarations:
    """Flows, contracts, states with the contract that governs each, and entities of one CPK."""

    flows: tuple[FlowDeclaration, ...]
    contract_types: tuple[str, ...]
    state_types: tuple[tuple[str, str], ...]
    entities: tuple[EntityDeclaration, ...]
    queries: tuple[QueryDeclaration, ...] = ()
    states_in_vault: tuple[StateInVault, ...] = ()


def declarations_of(descriptor: CodeDescriptor, label: str) -> Declarations:
    """The declarations of a descriptor; `label` names its CPK in messages.

    Raises:
        DeclarationInvalidError: a wrong format, a duplicate name, or an invalid schema.
        QueryDeclarationError: a query that cannot be used.
    """
    is_contract = descriptor.world == "contract"
    flows = tuple(_flow(flow, label) for flow in _convert(descriptor, "flows", _Flow, label))
    contracts = _convert(descriptor, "contracts", _Contract, label)
    states = _convert(descriptor, "states", _State, label)
    return Declarations(
        flows=flows,
        contract_types=tuple(contract.name for contract in contracts),
        state_types=tuple((state.name, state.contract) for state in states),
        entities=entity_declarations(descriptor.entities, label),
        # A workflow CPK repeats what it contains of its contract CPK.
        queries=_queries(descriptor, label) if is_contract else (),
        states_in_vault=tuple(_states_in_vault(states, label)) if is_contract else (),
    )


def entity_declarations(
    described: Iterable[Mapping[str, Any]], label: str
) -> tuple[EntityDeclaration, ...]:
    """The entities that `describe` returns.

    Raises:
        DeclarationInvalidError: one of them is invalid; the message contains `label`.
    """
    return tuple(_entity(e, label) for e in _converted(described, "entities", _Entity, label))


def _convert(
    descriptor: CodeDescriptor, kind: str, shape: type[_Shape], label: str
) -> tuple[_Shape, ...]:
    return _converted(getattr(descriptor, kind), kind, shape, label)


def _converted(
    described: Iterable[Mapping[str, Any]], kind: str, shape: type[_Shape], label: str
) -> tuple[_Shape, ...]:
    try:
        found = tuple(msgspec.convert(item, shape) for item in described)
    except msgspec.ValidationError as refused:
        raise DeclarationInvalidError(f"{label}: {kind}: {refused}") from refused
    repeated = [n for n, count in Counter(item.name for item in found).items() if count > 1]
    if repeated:
        raise DeclarationInvalidError(f"{label}: {kind}: {repeated[0]} is declared twice")
    return found


def _queries(descriptor: CodeDescriptor, label: str) -> tuple[QueryDeclaration, ...]:
    found = tuple(
        QueryDeclaration(
            name=query.name,
            where=query.where,
            order_by=tuple((each.expression, each.descending) for each in query.order_by),
            unconsumed_only=query.unconsumed_only,
        )
        for query in _convert(descriptor, "queries", _Query, label)
    )
    try:
        compile_queries(found)
    except QueryDeclarationError as refused:
        raise QueryDeclarationError(f"{label}: {refused.message}") from refused
    return found


def _states_in_vault(states: Iterable[_State], label: str) -> Iterator[StateInVault]:
    for state in states:
        if state.vault is None:
            continue
        fields = [field for index in state.vault.indexes for field in index]
        for field in fields:
            if not has_plain_names((state.name, *field.split("."))):
                raise DeclarationInvalidError(
                    f"{label}: states: {state.name}: {field!r:.140} cannot be indexed: names have"
                    " letters, digits and . _ - only"
                )
        yield StateInVault(
            state=state.name,
            visible=state.vault.visible,
            json=state.vault.json,
            token=state.vault.token,
            indexes=state.vault.indexes,
        )


def _flow(flow: _Flow, label: str) -> FlowDeclaration:
    _check_names(flow, label)
    for schema in (flow.input_schema, flow.output_schema):
        if schema is not None:
            try:
                JsonSchema(schema)
            except JsonSchemaInvalidError as refused:
                raise DeclarationInvalidError(
                    f"{label}: flow {flow.name}: no JSON Schema: {refused.message}"
                ) from refused
    return FlowDeclaration(
        name=flow.name,
        kind=flow.kind,
        protocol=flow.protocol,
        versions=flow.versions,
        initiating=flow.initiating,
        input_schema=flow.input_schema,
        output_schema=flow.output_schema,
    )


def _check_names(flow: _Flow, label: str) -> None:
    """Refuse the names of the platform's own flows and protocols."""
    if flow.name.startswith(SYSTEM_FLOW) or (flow.protocol or "").startswith(SYSTEM_PROTOCOL):
        raise DeclarationInvalidError(
            f"{label}: flow {flow.name}: classes that begin with {SYSTEM_FLOW!r} and protocols that"
            f" begin with {SYSTEM_PROTOCOL!r} are the platform's own"
        )


def _entity(entity: _Entity, label: str) -> EntityDeclaration:
    # It needs SQLAlchemy, whose import takes a good part of a build: most CorDapps have no entity.
    from host.entities import compile_entity  # noqa: PLC0415
    from host.entities.errors import EntityDeclarationError  # noqa: PLC0415

    declared = EntityDeclaration(
        name=entity.name,
        key=(entity.key,) if isinstance(entity.key, str) else entity.key,
        schema=entity.schema,
        version=entity.version,
        migrations=entity.migrations,
        queries=entity.queries,
        indexes=entity.indexes,
    )
    try:
        compile_entity(declared)
    except EntityDeclarationError as refused:
        raise DeclarationInvalidError(f"{label}: {refused.message}") from refused
    return declared
