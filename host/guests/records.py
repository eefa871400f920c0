"""The host's record of a CPI, made from a verified package."""

from collections import Counter
from collections.abc import Sequence

from cpi.package.external_channels import CHANNELS_PATH, channel_names
from cpi.package.model import VerifiedCpk, VerifiedPackage
from host.domain.ids import Checksum, EpochMs
from host.domain.json_schema import limited_schema_work
from host.domain.packages import (
    CodeWorld,
    CpiRecord,
    CpkRecord,
    EntityDeclaration,
)
from host.guests.declarations import DeclarationInvalidError, declarations_of


def record_of(package: VerifiedPackage, *, group_id: str, stored_at: EpochMs) -> CpiRecord:
    """The record of a verified CPI whose CPKs all have descriptors.

    Raises:
        DeclarationInvalidError: a descriptor's declarations are invalid, or two CPKs declare one
            name.
    """
    if package.id is None or package.group_policy is None:
        raise ValueError("only a verified CPI has an identity and a group policy")
    with limited_schema_work():
        cpks = tuple(_cpk_record(cpk) for cpk in package.cpks)
    _refuse_rivals("flow", [f.name for c in cpks for f in c.flows])
    contracts = [c for c in cpks if c.world is CodeWorld.CONTRACT]
    _refuse_rivals("contract", [name for c in contracts for name in c.contract_types])
    _refuse_rivals("query", [query.name for c in contracts for query in c.queries])
    _refuse_rival_entities(cpks)
    return CpiRecord(
        identity=package.id,
        file_checksum=Checksum(package.file_checksum),
        group_id=group_id,
        group_policy=package.group_policy,
        cpks=cpks,
        stored_at=stored_at,
    )


def _cpk_record(cpk: VerifiedCpk) -> CpkRecord:
    descriptor = cpk.descriptor
    if descriptor is None:
        raise ValueError(f"{cpk.file_name} has no descriptor")
    declared = declarations_of(descriptor, cpk.file_name)
    return CpkRecord(
        identity=cpk.id,
        file_checksum=Checksum(cpk.file_checksum),
        world=CodeWorld(descriptor.world),
        code_digest=descriptor.code_digest,
        flows=declared.flows,
        contract_types=declared.contract_types,
        state_types=declared.state_types,
        entities=declared.entities,
        queries=declared.queries,
        states_in_vault=declared.states_in_vault,
        capabilities=descriptor.capabilities,
        libraries=cpk.libraries,
        limits=dict(descriptor.limits),
        external_channels=channel_names(cpk.entries[CHANNELS_PATH])
        if CHANNELS_PATH in cpk.entries
        else None,
    )


def _refuse_rivals(kind: str, names: Sequence[str]) -> None:
    """Two CPKs of one CPI may not declare the same name: which one runs would be undefined."""
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise DeclarationInvalidError(f"{kind} {repeated[0]} is declared by two CPKs")


def _refuse_rival_entities(cpks: Sequence[CpkRecord]) -> None:
    """Two CPKs that contain the same module may both declare its entities, if they are equal."""
    declared: dict[str, EntityDeclaration] = {}
    for entity in (entity for cpk in cpks for entity in cpk.entities):
        if declared.setdefault(entity.name, entity) != entity:
            raise DeclarationInvalidError(f"entity {entity.name} is declared by two CPKs")
