"""The ledger of a node: its transactions, and the graph around one of them."""

from host.console.ledger_graph import graph_of
from host.console.view import ROWS, Page, View, items, one

STATUSES = ("V", "U", "I", "D")


async def choose(view: View) -> Page:
    """A ledger is one node's: which one?"""
    asked = view.query("q", most=200)
    answer = await view.get(
        "glance", "virtualnode", limit=ROWS, q=asked or None, after=view.query("after") or None
    )
    return view.render(
        "ledgers",
        section="ledger",
        answer=answer,
        nodes=items(answer, "virtualNodes"),
        q=asked,
    )


async def show(view: View) -> Page:
    node = view.path("node")
    status = view.query("status") if view.query("status") in STATUSES else "V"
    found, answer = await view.all(
        (("virtualnode", node), {}),
        (
            ("ledger", node, "transaction"),
            {"limit": ROWS, "after": view.query("after") or None, "status": status},
        ),
    )
    if not found.is_ok:
        return view.render("refused", http_status=found.status, answer=found, section="ledger")
    return view.render(
        "ledger",
        section="ledger",
        short_hash=node,
        node=one(found),
        answer=answer,
        transactions=items(answer, "transactions"),
        status=status,
        statuses=STATUSES,
    )


async def show_one(view: View) -> Page:
    node, transaction = view.path("node"), view.path("transaction")
    found, answer = await view.all(
        (("virtualnode", node), {}),
        (("ledger", node, "transaction", transaction), {"around": True}),
    )
    overview = one(answer)
    if overview is None:
        return view.render("refused", http_status=answer.status, answer=answer, section="ledger")
    return view.render(
        "transaction",
        section="ledger",
        short_hash=node,
        node=one(found),
        tx=overview,
        graph=graph_of(overview),
        may_repair=overview.get("status") in ("U", "I")
        and view.may(
            "POST",
            "/ledger/{node}/transaction/{transaction}/repair",
            node=node,
            transaction=transaction,
        ),
    )
