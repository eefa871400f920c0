"""Nodes that left this cluster, or arrive: nothing of them is changed here, for it would be lost.

Their file is written, or read. What membership is asked of them it refuses itself, and moves are
what brings them back.
"""

from anyio import to_thread

from host.access import Action
from host.domain.ids import ShortHash
from host.nodes.vnode.errors import NodeElsewhereError
from host.ports.locations import Place
from host.rest.acts import is_act
from host.rest.services import RestServices

_FIXED = frozenset({Place.EXPORTED, Place.RECLAIMING, Place.MOVED, Place.IMPORTING})
_OWN = ("/maintenance/", "/membership/", "/mgm/", "/mgmadmin/", "/certificate/{tenantid}/")
"""Beginnings of paths of operations that decide it themselves, or change nothing."""


async def refuse_elsewhere(
    services: RestServices, method: str, template: str, action: Action
) -> None:
    """Refuse an operation that changes something of a node that is not here.

    The database is asked on another thread: where it is a server, all other requests would wait.

    Raises:
        NodeElsewhereError: it would be lost.
    """
    node: ShortHash | None = action.node
    if node is None or template.startswith(_OWN) or not is_act(method, template):
        return
    place = await to_thread.run_sync(services.moves.place, node)
    if place in _FIXED:
        raise NodeElsewhereError(
            f"Virtual node {node} is {place}: what is changed of it here would be lost."
        )
