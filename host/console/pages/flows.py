"""Flows of all nodes, or of one."""

from host.console.view import ROWS, Page, View, items, one, text
from host.domain.flow import FlowStatusName
from host.domain.json import JsonObject
from host.rest.flow_glances import OPEN

STATUSES = (
    "",
    OPEN,
    *(s.value for s in (FlowStatusName.FAILED, FlowStatusName.KILLED, FlowStatusName.COMPLETED)),
)


async def show(view: View) -> Page:
    status = view.query("status") if view.query("status") in STATUSES else ""
    node = view.query("node", most=12)
    answer, live = await view.all(
        (
            ("glance", "flow", node) if node else ("flow",),
            {
                "limit": ROWS,
                "after": view.query("after") or None,
                "status": status or None,
                "responders": True if view.query("responders") == "true" else None,
            },
        ),
        (("live",), {}),
    )
    return view.render(
        "flows",
        section="flows",
        answer=answer,
        flows=items(answer, "flows"),
        status=status,
        statuses=STATUSES,
        responders=view.query("responders") == "true",
        node=node,
        live=one(live),
        may_kill=any(_may_kill(view, flow) for flow in items(answer, "flows")),
    )


def _may_kill(view: View, flow: JsonObject) -> bool:
    return flow.get("endedTimestamp") is None and view.may(
        "POST",
        "/flow/{node}/{request}/kill",
        node=text(flow, "holdingIdentityShortHash"),
        request=text(flow, "clientRequestId"),
    )
