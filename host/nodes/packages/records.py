"""The CPKs of a stored CPI, to and from the JSON text of its row."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cpi.package.model import PackageId
from host.domain.ids import Checksum
from host.domain.packages import (
    CodeWorld,
    CpkRecord,
    EntityDeclaration,
    FlowDeclaration,
    FlowKind,
    QueryDeclaration,
    StateInVault,
)


def dump_cpks(cpks: Sequence[CpkRecord]) -> str:
    """The JSON text of a row's CPKs; `load_cpks` reads it back."""
    return json.dumps([asdict(cpk) for cpk in cpks], separators=(",", ":"), sort_keys=True)


def load_cpks(text: str) -> tuple[CpkRecord, ...]:
    return tuple(_load_cpk(values) for values in json.loads(text))


def _load_cpk(values: Mapping[str, Any]) -> CpkRecord:
    return CpkRecord(
        identity=PackageId(**values["identity"]),
        file_checksum=Checksum(values["file_checksum"]),
        world=CodeWorld(values["world"]),
        # Rows of releases that ran Python code as components of its own.
        code_digest=values.get("code_digest") or values["component_digest"],
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
        entities=tuple(_load_entities(values)),
        capabilities=tuple(values["capabilities"]),
        libraries=tuple(values["libraries"]),
        limits=values["limits"],
        external_channels=_load_names(values.get("external_channels")),
        queries=tuple(
            QueryDeclaration(**{**query, "order_by": tuple(map(tuple, query["order_by"]))})
            for query in values.get("queries", ())
        ),
        states_in_vault=tuple(
            StateInVault(**{**state, "indexes": tuple(map(tuple, state["indexes"]))})
            for state in values.get("states_in_vault", ())
        ),
    )


def _load_names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _load_entities(values: Mapping[str, Any]) -> Iterator[EntityDeclaration]:
    # Rows of releases that stored only the name of an entity.
    for name in values.get("entity_types", ()):
        yield EntityDeclaration(name=name, key=(), schema={})
    for entity in values.get("entities", ()):
        lists = {n: tuple(entity[n]) for n in ("key", "migrations", "queries")}
        indexes = tuple(tuple(fields) for fields in entity["indexes"])
        yield EntityDeclaration(**{**entity, **lists, "indexes": indexes})
