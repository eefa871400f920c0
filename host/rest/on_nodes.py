"""Operations on virtual nodes that their paths do not name: what denies the node denies them.

A group's export pauses its nodes, and a dead letter is a node's. Whoever may not do something to a
node, by a permission that is bound to it or that spells its short hash, may not do it so either. An
ALLOW for the operation itself is enough.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from anyio import to_thread
from fastapi import Request

from host.access import Action, http_action
from host.domain.errors import ConflictError, InvalidInputError, NotFoundError
from host.domain.ids import ShortHash
from host.rest.canonical import CanonicalCall
from host.rest.services import RestServices
from host.rest.versions import API_BASES

_Found = Sequence[ShortHash | None]
_Finder = Callable[[RestServices, Mapping[str, str]], _Found]

_GROUP = "/maintenance/group/{groupid}"
_NODE = "/maintenance/virtualnode/{node}"


def _of_group(services: RestServices, path: Mapping[str, str]) -> _Found:
    return [each.holding.short_hash for each in services.moves.groups.nodes(path["groupid"])]


def _of_letter(services: RestServices, path: Mapping[str, str]) -> _Found:
    return [services.flows.dead_letters.examine(path["letterid"]).letter.node]


def _of_transfer(services: RestServices, path: Mapping[str, str]) -> _Found:
    found = services.moves.transfer(path["requestid"]).short_hash
    return [ShortHash(found) if found else None]


def _of_operation(services: RestServices, path: Mapping[str, str]) -> _Found:
    return [services.virtual_nodes.operation(path["requestid"]).resource_id]


_FINDERS: Mapping[str, _Finder] = {
    f"{_GROUP}/": _of_group,
    "/deadletter/{letterid}": _of_letter,
    "/maintenance/transfer/{requestid}": _of_transfer,
    "/maintenance/import/{requestid}": _of_transfer,
    "/virtualnode/status/{requestid}": _of_operation,
    "/virtualnode/upgrade/{requestid}": _of_operation,
}
"""By the beginning of the path below the version."""


async def actions_on_nodes(
    request: Request, services: RestServices, template: str, call: CanonicalCall, own: Action
) -> Sequence[Action]:
    """The actions that an operation is on the nodes that its path does not name.

    Args:
        request: its method.
        services: know what the path's parameters are of.
        template: its path below the base.
        call: its parameters.
        own: the action of the operation itself.
    """
    finder = next((each for begin, each in _FINDERS.items() if template.startswith(begin)), None)
    if finder is None:
        return ()
    try:
        nodes = await to_thread.run_sync(finder, services, call.path)
    except (NotFoundError, ConflictError, InvalidInputError):
        return ()  # the operation refuses it, too
    return list(_actions(request.method, template, call, own, nodes))


def _actions(
    method: str, template: str, call: CanonicalCall, own: Action, nodes: _Found
) -> Iterator[Action]:
    twin = (
        template.replace(_GROUP, _NODE)
        if template.startswith(_GROUP)
        else f"/virtualnode/{{node}}{template}"
    )
    for node in nodes:
        if node is not None:
            values = {**call.path, "node": node}
            there = http_action(method, twin, values, query=call.query, bases=API_BASES, node=node)
            yield replace(own, denied_as=own.denied_as | there.denied_as, node=node)
