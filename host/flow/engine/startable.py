"""Whether a client may start flows of a node, and which one it means."""

from host.domain.packages import CpiRecord, FlowDeclaration
from host.domain.refused import shown, what_there_is
from host.domain.vnode import VirtualNode
from host.flow.core.errors import FlowNotStartableError, NodePausedError


def check_not_paused(vnode: VirtualNode) -> None:
    """Refuse what would start a flow on a paused node.

    Raises:
        NodePausedError: it is paused.
    """
    if vnode.is_paused:
        raise NodePausedError(
            f"Virtual node {vnode.holding.short_hash} is paused: it starts no flows until it is"
            " resumed."
        )


def startable_flow(vnode: VirtualNode, cpi: CpiRecord, flow_class: str) -> FlowDeclaration:
    """The client-startable flow of this name.

    Raises:
        FlowNotStartableError: there is none; the message says what was probably meant.
    """
    flows = cpi.startable_flows()
    for flow in flows:
        if flow.name == flow_class:
            return flow
    details = {
        "CPI-name": cpi.identity.name,
        "CPI-version": cpi.identity.version,
        "CPI-signer-summary-hash": cpi.identity.signer_summary_hash,
        "virtual-node": str(vnode.holding.x500_name),
        "group-id": vnode.holding.group_id,
        "startableFlows": ",".join(f.name for f in flows),
    }
    declared = [f for cpk in cpi.workflow_cpks() for f in cpk.flows if f.name == flow_class]
    hint = (
        f"it is a {declared[0].kind} flow"
        if declared
        else what_there_is(flow_class, [f.name for f in flows])
    )
    raise FlowNotStartableError(
        f"CPI {cpi.identity.name} {cpi.identity.version} declares no client-startable flow"
        f" {shown(flow_class)}; {hint}",
        **details,
    )
