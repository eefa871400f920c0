"""Virtual nodes in one list, those that hurt first. Corda has no such list."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain, islice
from typing import Annotated

from fastapi import Query, Request, Response

from host.domain.ids import Checksum, ShortHash
from host.domain.paging import Cursor
from host.domain.vnode import NodeState, OperationalStatus
from host.observe.judgement import Pain
from host.rest.board import KnownNode, Seen
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, Place, as_json, listed
from host.rest.services import RestServices, Services
from host.rest.wire import instant, wire

router = resource("Virtual Node")

_TEXT_CHARACTERS_MAX = 200
_GROUP_CHARACTERS_MAX = 255
_LATEST_MAX = 20
"""Nodes that are named of a network."""
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
    state: NodeState
    pain: int
    phrase: str
    is_critical: bool
    open_flows: int
    failed_last_hour: int
    created_timestamp: datetime


@wire
class NodeGlances:
    """A page of them; `count` is of all pages."""

    virtual_nodes: list[NodeGlanceInfo]
    count: int


@wire
class NodeNamed:
    short_hash: str
    x500_name: str


@wire
class GroupGlanceInfo:
    """A network with nodes on this cluster: how many, and the latest of them."""

    group_id: str
    count: int
    latest: list[NodeNamed]


@wire
class GroupGlances:
    groups: list[GroupGlanceInfo]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """Which nodes a list has; an empty text leaves none out, and `text` is without capitals."""

    wanted: NodesWanted
    text: str
    cpi: str
    group: str

    @property
    def order(self) -> str:
        """The list's name in cursors; short, however long its texts are."""
        wish = repr((self.wanted.value, self.text, self.cpi, self.group))
        return f"node glances {hashlib.sha256(wish.encode()).hexdigest()[:16]}"


_GLANCE_JSON = as_json(NodeGlanceInfo)
_GROUP_JSON = as_json(GroupGlanceInfo)


OfCpi = Annotated[
    str | None,
    Query(
        pattern="^[0-9A-Fa-f]{12,64}$", description="The checksum of their CPI, or its beginning."
    ),
]
OfGroup = Annotated[
    str | None, Query(max_length=_GROUP_CHARACTERS_MAX, description="Their group's id.")
]


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
    cpi: OfCpi = None,
    group: OfGroup = None,
) -> Response:
    """List virtual nodes: those that hurt first, then the latest."""
    wish = _Wish(
        wanted=wanted,
        text=(q or "").strip().casefold(),
        cpi=(cpi or "").upper(),
        group=group or "",
    )
    seen = services.board.look()
    failed = {node.short_hash: node.failed_hour for node in seen.facts.nodes}

    def place(known: KnownNode) -> Place:
        pain = seen.pains.get(known.short_hash, _WELL).amount
        return pain, known.place

    def matches(nodes: Iterable[KnownNode]) -> Iterator[KnownNode]:
        return _matching(nodes, seen.pains, wish)

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[KnownNode]:
        nodes = services.board.nodes()
        pained = {h: nodes[h] for h, pain in seen.pains.items() if pain.amount and h in nodes}
        hurting = sorted(matches(pained.values()), key=place, reverse=True)
        if cursor is not None:
            hurting = [known for known in hurting if place(known) < cursor.last]
        # Those that are well come behind all others.
        behind = cursor.last[1] if cursor is not None and not cursor.last[0] else None
        well = (n for n in services.board.nodes_before(behind) if n.short_hash not in pained)
        return list(islice(chain(hurting, matches(well)), limit))

    page = asked.of(wish.order, fetch, place)
    names = _cpi_names(services, {known.node.cpi_checksum for known in page.items})

    def render(known: KnownNode) -> bytes:
        cpi = names[known.node.cpi_checksum]
        count = failed.get(known.short_hash, 0)
        return _GLANCE_JSON(_info(services, seen, known, cpi, failed=count))

    count = sum(1 for _ in matches(services.board.nodes().values()))
    return listed(request, page, render, member="virtualNodes", count=count)


@router.get(
    "/glance/group", response_model=GroupGlances, responses={200: {"headers": NEXT_HEADERS}}
)
def get_group_glances(*, services: Services, request: Request, asked: Asked) -> Response:
    """List the networks that have virtual nodes on this cluster, the largest first."""
    groups: dict[str, list[KnownNode]] = {}
    for known in services.board.nodes().values():
        groups.setdefault(known.node.holding.group_id, []).append(known)

    def place(pair: tuple[str, Sequence[KnownNode]]) -> Place:
        return len(pair[1]), pair[0]

    page = asked.of_all("group glances", groups.items(), place)

    def render(pair: tuple[str, Sequence[KnownNode]]) -> bytes:
        latest = [
            NodeNamed(short_hash=known.short_hash, x500_name=known.name)
            for known in pair[1][:_LATEST_MAX]
        ]
        return _GROUP_JSON(GroupGlanceInfo(group_id=pair[0], count=len(pair[1]), latest=latest))

    return listed(request, page, render, member="groups")


def _info(
    services: RestServices, seen: Seen, known: KnownNode, cpi: tuple[str, str], *, failed: int
) -> NodeGlanceInfo:
    node, short_hash = known.node, known.short_hash
    pain = seen.pains.get(short_hash, _WELL)
    name, version = cpi
    return NodeGlanceInfo(
        short_hash=short_hash,
        x500_name=known.name,
        group_id=node.holding.group_id,
        cpi_checksum=_hex(node.cpi_checksum),
        cpi_name=name,
        cpi_version=version,
        is_active=node.flow_status is OperationalStatus.ACTIVE,
        state=node.state,
        pain=pain.amount,
        phrase=pain.phrase,
        is_critical=pain.is_critical,
        open_flows=services.flows.open_count(short_hash),
        failed_last_hour=failed,
        created_timestamp=instant(node.created_at),
    )


def _matching(
    nodes: Iterable[KnownNode], pains: Mapping[ShortHash, Pain], wish: _Wish
) -> Iterator[KnownNode]:
    """Those of `nodes` that a list has."""
    for known in nodes:
        if wish.wanted is NodesWanted.HURTING and not pains.get(known.short_hash, _WELL).amount:
            continue
        active = known.node.flow_status is OperationalStatus.ACTIVE
        if wish.wanted is NodesWanted.MAINTENANCE and active:
            continue
        if wish.cpi and not _hex(known.node.cpi_checksum).startswith(wish.cpi):
            continue
        if wish.group and known.node.holding.group_id != wish.group:
            continue
        if not wish.text or known.matches(wish.text):
            yield known


def _hex(checksum: Checksum) -> str:
    return checksum.partition(":")[2]


def _cpi_names(
    services: RestServices, checksums: set[Checksum]
) -> Mapping[Checksum, tuple[str, str]]:
    found = {}
    for checksum in checksums:
        cpi = services.packages.get(checksum)
        missing = ("", "")
        found[checksum] = missing if cpi is None else (cpi.identity.name, cpi.identity.version)
    return found
