"""One virtual node: why it hurts, what it uses of its quota, what runs on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from host.console.charts import share
from host.console.view import Page, View, items, one, text
from host.domain.json import JsonObject

_FLOWS = 20
_ACTS = 5
_PHRASES = {
    "bus": "messages that wait",
    "status": "statuses of flows",
    "journal": "journals of open flows",
    "history": "histories of ended flows",
    "audit": "audit log",
    "vault": "ledger and entities",
    "uniqueness": "spent states of a notary",
    "parked": "suspended guests in memory",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of bytes: what it holds of what it may hold."""

    name: str
    meaning: str
    held: int
    most: int | None
    share: float


async def show(view: View) -> Page:
    node = view.path("node")
    found, glances, quota, usage, flows, acts = await view.all(
        (("virtualnode", node), {}),
        (("glance", "virtualnode"), {"q": node, "limit": 1}),
        (("virtualnode", node, "quota"), {}),
        (("virtualnode", node, "usage"), {}),
        (("glance", "flow", node), {"status": "OPEN", "responders": True, "limit": _FLOWS}),
        (("administrativelog",), {"resource": node, "limit": _ACTS}),
    )
    if not found.is_ok:
        return view.render("refused", http_status=found.status, answer=found, section="nodes")
    glance = next(iter(items(glances, "virtualNodes")), None)
    return view.render(
        "node",
        section="nodes",
        node=one(found),
        short_hash=node,
        glance=glance,
        quota_answer=quota,
        quota=one(quota),
        usage_answer=usage,
        usage=one(usage),
        accounts=_accounts(one(usage)),
        flows_answer=flows,
        flows=items(flows, "flows"),
        acts_answer=acts,
        acts=items(acts, "acts"),
        state=text(one(found), "state"),
        may_start=view.may("POST", "/flow/{node}", node=node),
        may_set_quota=view.may("PUT", "/virtualnode/{node}/quota", node=node),
        may_maintain=view.may("PUT", "/virtualnode/{node}/state/MAINTENANCE", node=node),
        may_pause=view.may("PUT", "/virtualnode/{node}/state/PAUSED", node=node),
        may_upgrade=view.may(
            "PUT", "/virtualnode/{node}/cpi/{cpi}", node=node, cpi=text(glance, "cpiChecksum")[:12]
        ),
        may_move=view.may("POST", "/maintenance/virtualnode/{node}/export", node=node),
        may_activate=view.may("PUT", "/virtualnode/{node}/state/ACTIVE", node=node),
    )


def _accounts(usage: JsonObject | None) -> Sequence[Account]:
    found = None if usage is None else usage.get("accounts")
    if not isinstance(found, Mapping):
        return ()
    accounts = []
    for name, value in found.items():
        if isinstance(value, Mapping) and name in _PHRASES:
            held, most = value.get("bytes"), value.get("bytesMax")
            size = held if isinstance(held, int) else 0
            top = most if isinstance(most, int) else None
            accounts.append(
                Account(
                    name=name, meaning=_PHRASES[name], held=size, most=top, share=share(size, top)
                )
            )
    return sorted(accounts, key=lambda account: -account.share)
