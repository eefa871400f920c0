"""Rehearses the upgrade of a node: what it would do to flows, entities and states."""

from dataclasses import dataclass, replace

from host.domain.packages import CpiRecord
from host.domain.vnode import VirtualNode
from host.nodes.vnode.upgrade_report import Report, compared
from host.ports.node_flows import NodeFlows
from host.ports.node_states import NodeStates, StatesJudged
from host.ports.schemas import NodeSchemas


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRehearsal:
    """Asks everyone who has something of a node that a CPI's code works on. Thread-safe."""

    flows: NodeFlows
    schemas: NodeSchemas
    states: NodeStates

    def report(self, node: VirtualNode, old: CpiRecord, new: CpiRecord) -> Report:
        """What an upgrade from `old` to `new` would do. The node runs on meanwhile.

        Raises:
            HostError: something could not be read, or the code of `new` cannot be used.
        """
        return replace(self.of_flows(node, old, new), states=self._states(node, new))

    def of_flows(self, node: VirtualNode, old: CpiRecord, new: CpiRecord) -> Report:
        """A report without the states, as it is needed while the node is paused."""
        return replace(
            compared(old, new),
            flows=tuple(self.flows.rehearse(node, new)),
            entities=tuple(self.schemas.rehearse(node.holding.short_hash, new)),
        )

    def _states(self, node: VirtualNode, new: CpiRecord) -> tuple[StatesJudged, ...]:
        return tuple(self.states.rehearse(node.holding.short_hash, new))
