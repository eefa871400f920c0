"""What an upgrade of a node would do, and whether it may be done in a way. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from host.domain.ids import FlowId
from host.domain.json import JsonObject, JsonValue, camel_case
from host.domain.packages import CpiRecord, CpkRecord
from host.ports.node_flows import Rehearsed, Verdict
from host.ports.node_states import StatesJudged
from host.ports.schemas import Change, EntityChange

_AT_MOST = 3
"""Flows that a refusal names."""


class Way(StrEnum):
    """What becomes of the open flows of a node that gets another CPI."""

    KILL = "kill"
    """They were ended by MAINTENANCE. Corda's way."""
    DRAIN = "drain"
    """No flow begins any more, and the upgrade waits for those that are open."""
    FINISH = "finish"
    """They end with the old code, while new flows run the new one."""
    MIGRATE = "migrate"
    """They go on with the new code where it does what they have done."""


class Diverging(StrEnum):
    """What `Way.MIGRATE` does with flows that would fail with the new code."""

    FINISH = "finish"
    KILL = "kill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found; see docs/how-to/upgrade-a-node.md.

    Attributes:
        from_cpi: name and version of the node's CPI.
        to_cpi: of the other one.
        flows: the open flows.
        entities: types of entities.
        states: unconsumed states by type.
        protocols_dropped: `PROTOCOL VERSION` that the other CPI has no flow for.
        capabilities_added: that the other CPI's workflows use beyond those of the node's.
        contracts_dropped: names of contract CPKs that the other CPI has no version of.
    """

    from_cpi: str
    to_cpi: str
    flows: tuple[Rehearsed, ...] = ()
    entities: tuple[EntityChange, ...] = ()
    states: tuple[StatesJudged, ...] = ()
    protocols_dropped: tuple[str, ...] = ()
    capabilities_added: tuple[str, ...] = ()
    contracts_dropped: tuple[str, ...] = ()

    def same(self) -> tuple[FlowId, ...]:
        """The flows that may go on with the other CPI's code."""
        return tuple(f.flow_id for f in self.flows if f.verdict is Verdict.SAME)

    def others(self) -> tuple[FlowId, ...]:
        """The flows that may not, or of which it is unknown."""
        return tuple(f.flow_id for f in self.flows if f.verdict is not Verdict.SAME)

    def to_json(self) -> JsonObject:
        return {
            "from": self.from_cpi,
            "to": self.to_cpi,
            "flows": _items(self.flows),
            "entities": _items(self.entities),
            "states": _items(self.states),
            "protocolsDropped": self.protocols_dropped,
            "capabilitiesAdded": self.capabilities_added,
            "contractsDropped": self.contracts_dropped,
        }


def refusal(report: Report, way: Way, diverging: Diverging) -> str | None:
    """Why an upgrade in this way is refused; None: it may be done.

    Args:
        report: what a rehearsal has found.
        way: what becomes of open flows.
        diverging: what becomes of those that may not go on with the new code, for `Way.MIGRATE`.
    """
    unfit = [each for each in report.entities if each.change is Change.REFUSED]
    if unfit:
        return f"entities {unfit[0].type}: {unfit[0].reason}"
    if report.contracts_dropped:
        return (
            f"contract CPK {report.contracts_dropped[0]} has no version in {report.to_cpi}: what"
            " it governs could not be spent any more"
        )
    old = _left_on_old_code(report, way, diverging)
    changed = [each.type for each in report.entities if each.change is Change.MIGRATED]
    if old and changed:
        named = ", ".join(flow.request_id for flow in old[:_AT_MOST])
        return (
            f"{len(old)} open flows would end with the old code ({named}), which cannot use the"
            f" migrated entities {changed[0]}: drain the node, or migrate with diverging=kill"
        )
    return None


def _left_on_old_code(report: Report, way: Way, diverging: Diverging) -> Sequence[Rehearsed]:
    if way is Way.FINISH:
        return report.flows
    if way is Way.MIGRATE and diverging is Diverging.FINISH:
        return [flow for flow in report.flows if flow.verdict is not Verdict.SAME]
    return ()


def compared(old: CpiRecord, new: CpiRecord) -> Report:
    """A report of what the two packages themselves tell."""
    lineages = {_lineage(cpk) for cpk in new.contract_cpks()}
    dropped = [cpk.identity.name for cpk in old.contract_cpks() if _lineage(cpk) not in lineages]
    return Report(
        from_cpi=f"{old.identity.name} {old.identity.version}",
        to_cpi=f"{new.identity.name} {new.identity.version}",
        protocols_dropped=tuple(sorted(_protocols(old) - _protocols(new))),
        capabilities_added=tuple(sorted(_capabilities(new) - _capabilities(old))),
        contracts_dropped=tuple(sorted(dropped)),
    )


def _lineage(cpk: CpkRecord) -> tuple[str, str]:
    identity = cpk.identity
    return identity.name, identity.signer_summary_hash


def _protocols(cpi: CpiRecord) -> set[str]:
    flows = (flow for cpk in cpi.workflow_cpks() for flow in cpk.flows if flow.protocol)
    return {f"{flow.protocol} {version}" for flow in flows for version in flow.versions}


def _capabilities(cpi: CpiRecord) -> set[str]:
    return {name for cpk in cpi.cpks for name in cpk.capabilities}


def _items(items: Sequence[Rehearsed | EntityChange | StatesJudged]) -> list[JsonValue]:
    return [_object(asdict(item)) for item in items]


def _object(values: Mapping[str, JsonValue]) -> JsonObject:
    return {camel_case(name): value for name, value in values.items() if value is not None}
