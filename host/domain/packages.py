"""The host's metadata of an uploaded CPI: identity, CPKs, code, flows and contracts."""

from dataclasses import dataclass
from enum import StrEnum

from cpi.package.model import PackageId
from host.domain.ids import Checksum, EpochMs
from host.domain.json import JsonObject


class CodeWorld(StrEnum):
    """The WIT world that a CPK's component targets."""

    CONTRACT = "contract"
    WORKFLOW = "workflow"


class FlowKind(StrEnum):
    CLIENT_STARTABLE = "client-startable"
    RESPONDER = "responder"
    SUB_FLOW = "sub-flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowDeclaration:
    """A flow class of a workflow CPK, as its descriptor declares it.

    `protocol` and `versions` are set for initiating flows (and sub-flows) and responders.
    """

    name: str
    kind: FlowKind
    protocol: str | None
    versions: tuple[int, ...]
    initiating: bool
    input_schema: JsonObject | None
    output_schema: JsonObject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityDeclaration:
    """An entity class of a workflow CPK, as its descriptor declares it.

    `key` names the fields of the key; `schema` is the JSON Schema of stored values at `version`,
    `migrations` converts values of earlier versions. docs/reference/host-api.md describes the
    format of migrations and queries.
    """

    name: str
    key: tuple[str, ...]
    schema: JsonObject
    version: int = 1
    migrations: tuple[JsonObject, ...] = ()
    queries: tuple[JsonObject, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryDeclaration:
    """A vault-named query of a contract CPK, as its descriptor declares it.

    Attributes:
        name: unique in the CPI.
        where: the text of the condition, from `WHERE` on; None: all states.
        order_by: expressions, each with whether the order is descending.
        unconsumed_only: whether consumed states are left out.
    """

    name: str
    where: str | None = None
    order_by: tuple[tuple[str, bool], ...] = ()
    unconsumed_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInVault:
    """What a contract CPK says about states of one type in vaults, if it says something.

    Attributes:
        state: name of the type.
        visible: the contract's own function says which nodes see the states.
        json: a function answers what queries see.
        token: a function answers whether the states are tokens.
        indexes: lists of fields, names in what queries see; dots lead into objects.
    """

    state: str
    visible: bool = False
    json: bool = False
    token: bool = False
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def has_functions(self) -> bool:
        """Whether the node runs a function of the CPK to record such a state."""
        return self.visible or self.json or self.token


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkRecord:
    """One CPK of a stored CPI. `code_digest` names the image or component (`SHA-256:HEX`)."""

    identity: PackageId
    file_checksum: Checksum
    world: CodeWorld
    code_digest: str
    flows: tuple[FlowDeclaration, ...]
    contract_types: tuple[str, ...]
    state_types: tuple[tuple[str, str], ...]
    """Pairs of state type and the contract type that governs it."""
    entities: tuple[EntityDeclaration, ...]
    capabilities: tuple[str, ...]
    libraries: tuple[str, ...]
    limits: JsonObject
    external_channels: tuple[str, ...] | None = None
    """Names in `config/external-channels.json`; None for a CPK without that file."""
    queries: tuple[QueryDeclaration, ...] = ()
    """Of a contract CPK only."""
    states_in_vault: tuple[StateInVault, ...] = ()
    """Of a contract CPK only, in the order of the states' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpiRecord:
    """A CPI that the host has verified and stored."""

    identity: PackageId
    file_checksum: Checksum
    group_id: str
    group_policy: str
    cpks: tuple[CpkRecord, ...]
    stored_at: EpochMs

    def startable_flows(self) -> tuple[FlowDeclaration, ...]:
        """Client-startable flows of all workflow CPKs, by name."""
        flows = (f for c in self.cpks for f in c.flows if f.kind is FlowKind.CLIENT_STARTABLE)
        return tuple(sorted(flows, key=lambda f: f.name))

    def flow_cpk(self, flow_class: str) -> CpkRecord | None:
        """The workflow CPK that declares a flow class."""
        for cpk in self.workflow_cpks():
            if any(flow.name == flow_class for flow in cpk.flows):
                return cpk
        return None

    def capabilities_of(self, flow_class: str) -> frozenset[str]:
        """The capabilities that the CPK of a flow class declares."""
        cpk = self.flow_cpk(flow_class)
        return frozenset() if cpk is None else frozenset(cpk.capabilities)

    def contract_cpks(self) -> tuple[CpkRecord, ...]:
        return tuple(c for c in self.cpks if c.world is CodeWorld.CONTRACT)

    def workflow_cpks(self) -> tuple[CpkRecord, ...]:
        return tuple(c for c in self.cpks if c.world is CodeWorld.WORKFLOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkOfCpi:
    """A CPK, and a stored CPI that contains it; its bytes are in that CPI's file."""

    cpi: CpiRecord
    cpk: CpkRecord


def contracts_of(cpi: CpiRecord) -> tuple[CpkOfCpi, ...]:
    """The contract CPKs of a CPI."""
    return tuple(CpkOfCpi(cpi=cpi, cpk=cpk) for cpk in cpi.contract_cpks())
