"""Virtual nodes in one list, those that hurt first. Corda has no such list."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import Query, Request, Response

from host.domain.ids import Checksum, ShortHash
from host.domain.vnode import OperationalStatus, VirtualNode
from host.observe.judgement import Pain
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, Place, as_json, listed
from host.rest.services import RestServices, Services
from host.rest.wire import instant, wire

router = resource("Virtual Node")

_TEXT_CHARACTERS_MAX = 200
_WELL = Pain(amount=0, phrase="")


class NodesWanted(StrEnum):
    """Which nodes a list has."""

    ALL = "all"
    HURTING = "hurting"
    MAINTENANCE = "maintenance"


@wire
class NodeGlanceInfo:
    """A virtual node in a list.

    `pain` is from 0, well, to 1000, and `phrase` explains it; `isCritical`: something has stopped.
    """

    short_hash: str
    x500_name: str
    group_id: str
    cpi_checksum: str
    cpi_name: str
    cpi_version: str
    is_active: bool
    pain: int
    phrase: str
    is_critical: bool
    open_flows: int
    failed_last_hour: int
    created_timestamp: datetime


@wire
class NodeGlances:
    virtual_nodes: list[NodeGlanceInfo]


_GLANCE_JSON = as_json(NodeGlanceInfo)


@router.get(
    "/glance/virtualnode", response_model=NodeGlances, responses={200: {"headers": NEXT_HEADERS}}
)
def get_node_glances(
    *,
    services: Services,
    request: Request,
    asked: Asked,
    q: Annotated[
        str | None,
        Query(
            max_length=_TEXT_CHARACTERS_MAX,
            description="A part of the name, or the beginning of the short hash, in any letters.",
        ),
    ] = None,
    wanted: NodesWanted = NodesWanted.ALL,
) -> Response:
    """List virtual nodes: those that hurt first, then the latest."""
    seen = services.board.look()
    failed = {node.short_hash: node.failed_hour for node in seen.facts.nodes}

    def place(node: VirtualNode) -> Place:
        pain = seen.pains.get(node.holding.short_hash, _WELL).amount
        return pain, f"{node.created_at:015d}-{node.holding.short_hash}"

    nodes = _matching(services.board.nodes(), seen.pains, q, wanted)
    page = asked.of_all(f"node glances {wanted} {q}", nodes, place)
    names = _cpi_names(services, {node.cpi_checksum for node in page.items})

    def render(node: VirtualNode) -> bytes:
        short_hash = node.holding.short_hash
        pain = seen.pains.get(short_hash, _WELL)
        name, version = names[node.cpi_checksum]
        return _GLANCE_JSON(
            NodeGlanceInfo(
                short_hash=short_hash,
                x500_name=str(node.holding.x500_name),
                group_id=node.holding.group_id,
                cpi_checksum=node.cpi_checksum.partition(":")[2],
                cpi_name=name,
                cpi_version=version,
                is_active=node.flow_status is OperationalStatus.ACTIVE,
                pain=pain.amount,
                phrase=pain.phrase,
                is_critical=pain.is_critical,
                open_flows=services.flows.open_count(short_hash),
                failed_last_hour=failed.get(short_hash, 0),
                created_timestamp=instant(node.created_at),
            )
        )

    return listed(request, page, render, member="virtualNodes")


def _matching(
    nodes: Mapping[ShortHash, VirtualNode],
    pains: Mapping[ShortHash, Pain],
    text: str | None,
    wanted: NodesWanted,
) -> Iterator[VirtualNode]:
    folded = (text or "").strip().casefold()
    for short_hash, node in nodes.items():
        if wanted is NodesWanted.HURTING and not pains.get(short_hash, _WELL).amount:
            continue
        if wanted is NodesWanted.MAINTENANCE and node.flow_status is OperationalStatus.ACTIVE:
            continue
        if folded and not matches(node, folded):
            continue
        yield node


def matches(node: VirtualNode, folded: str) -> bool:
    """Whether a node has `folded`, a text without capitals, in its name, or its hash begins so."""
    in_name = folded in str(node.holding.x500_name).casefold()
    return in_name or node.holding.short_hash.casefold().startswith(folded)


def _cpi_names(
    services: RestServices, checksums: set[Checksum]
) -> Mapping[Checksum, tuple[str, str]]:
    found = {}
    for checksum in checksums:
        cpi = services.packages.get(checksum)
        missing = ("", "")
        found[checksum] = missing if cpi is None else (cpi.identity.name, cpi.identity.version)
    return found
