"""CPI records: made from a verified package, and to and from JSON rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import msgspec
from jsonschema.exceptions import SchemaError
from jsonschema.validators import Draft202012Validator

from cpi.model import VerifiedCpk, VerifiedPackage
from host.domain.errors import InvalidInputError
from host.domain.ids import Checksum, EpochMs
from host.domain.packages import (
    CodeWorld,
    CpiRecord,
    CpkRecord,
    FlowDeclaration,
    FlowKind,
    PackageIdentity,
)

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


_Shape = TypeVar("_Shape", bound=msgspec.Struct)


class _Contract(msgspec.Struct):
    name: _Name
    states: tuple[_Name, ...]


class _State(msgspec.Struct):
    name: _Name
    contract: _Name


class _Entity(msgspec.Struct):
    name: _Name
    key: _Name


class _Flow(msgspec.Struct, rename="camel"):
    name: _Name
    kind: FlowKind
    protocol: _Name | None
    versions: tuple[Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)], ...]
    initiating: bool
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None


class DeclarationInvalidError(InvalidInputError):
    """What a descriptor declares is not of the shape that `describe` is documented to answer."""

    code = "cpk-declaration-invalid"


def record_of(package: VerifiedPackage, *, group_id: str, stored_at: EpochMs) -> CpiRecord:
    """What the host keeps of a verified CPI whose CPKs all have descriptors.

    Raises:
        DeclarationInvalidError: a descriptor's contracts, states, flows or entities.
    """
    if package.id is None or package.group_policy is None:
        raise ValueError("only a verified CPI has an identity and a group policy")
    return CpiRecord(
        identity=PackageIdentity(
            name=package.id.name,
            version=package.id.version,
            signer_summary_hash=package.id.signer_summary_hash,
        ),
        file_checksum=Checksum(package.file_checksum),
        group_id=group_id,
        group_policy=package.group_policy,
        cpks=tuple(_cpk_record(cpk) for cpk in package.cpks),
        stored_at=stored_at,
    )


def _cpk_record(cpk: VerifiedCpk) -> CpkRecord:
    descriptor = cpk.descriptor
    if descriptor is None:
        raise ValueError(f"{cpk.file_name} has no descriptor")

    def declared(kind: str, shape: type[_Shape]) -> tuple[_Shape, ...]:
        try:
            return tuple(msgspec.convert(item, shape) for item in getattr(descriptor, kind))
        except msgspec.ValidationError as refused:
            raise DeclarationInvalidError(f"{cpk.file_name}: {kind}: {refused}") from refused

    return CpkRecord(
        identity=PackageIdentity(
            name=cpk.id.name,
            version=cpk.id.version,
            signer_summary_hash=cpk.id.signer_summary_hash,
        ),
        file_checksum=Checksum(cpk.file_checksum),
        world=CodeWorld(descriptor.world),
        component_digest=descriptor.component_digest,
        flows=tuple(_flow(flow, cpk.file_name) for flow in declared("flows", _Flow)),
        contract_types=tuple(c.name for c in declared("contracts", _Contract)),
        state_types=tuple((s.name, s.contract) for s in declared("states", _State)),
        entity_types=tuple(e.name for e in declared("entities", _Entity)),
        capabilities=descriptor.capabilities,
        libraries=cpk.libraries,
        limits=dict(descriptor.limits),
    )


def _flow(flow: _Flow, label: str) -> FlowDeclaration:
    for schema in (flow.input_schema, flow.output_schema):
        if schema is not None:
            _check_schema(schema, f"{label}: flow {flow.name}")
    return FlowDeclaration(
        name=flow.name,
        kind=flow.kind,
        protocol=flow.protocol,
        versions=flow.versions,
        initiating=flow.initiating,
        input_schema=flow.input_schema,
        output_schema=flow.output_schema,
    )


def _check_schema(schema: dict[str, Any], label: str) -> None:
    """Refuse what is no JSON Schema, and references that would lead out of the document."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as refused:
        raise DeclarationInvalidError(f"{label}: no JSON Schema: {refused.message}") from refused
    waiting: list[object] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key in ("$ref", "$dynamicRef", "$id"):
                target = value.get(key)
                if isinstance(target, str) and not target.startswith("#"):
                    raise DeclarationInvalidError(
                        f"{label}: {key} {target!r} leads out of the schema"
                    )
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def dump_cpks(cpks: Sequence[CpkRecord]) -> str:
    """The JSON text of a row's CPKs; `load_cpks` reads it back."""
    return json.dumps([asdict(cpk) for cpk in cpks], separators=(",", ":"), sort_keys=True)


def load_cpks(text: str) -> tuple[CpkRecord, ...]:
    return tuple(_load_cpk(values) for values in json.loads(text))


def _load_cpk(values: Mapping[str, Any]) -> CpkRecord:
    return CpkRecord(
        identity=PackageIdentity(**values["identity"]),
        file_checksum=Checksum(values["file_checksum"]),
        world=CodeWorld(values["world"]),
        component_digest=values["component_digest"],
        flows=tuple(
            FlowDeclaration(
                **{
                    **flow,
                    "kind": FlowKind(flow["kind"]),
                    "versions": tuple(flow["versions"]),
                }
            )
            for flow in values["flows"]
        ),
        contract_types=tuple(values["contract_types"]),
        state_types=tuple((state, contract) for state, contract in values["state_types"]),
        entity_types=tuple(values["entity_types"]),
        capabilities=tuple(values["capabilities"]),
        libraries=tuple(values["libraries"]),
        limits=values["limits"],
    )
