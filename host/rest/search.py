"""One search over nodes, flows, transactions and packages. Corda has no such resource."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from fastapi import Query

from host.domain.ids import short_hash_of
from host.observe.judgement.searching import TEXT_CHARACTERS_MAX, Form, SearchTerm, search_term
from host.rest.flow_glances import FlowGlanceInfo, glance_info
from host.rest.operation import resource
from host.rest.services import RestServices, Services
from host.rest.wire import wire

router = resource("Search")

EACH_MAX = 5
"""Results of each kind."""


@wire
class NodeFound:
    short_hash: str
    x500_name: str


@wire
class PackageFound:
    cpi_file_checksum: str
    cpi_name: str
    cpi_version: str


@wire
class SearchInfo:
    """At most 5 of each kind. `form` is what the text was taken for."""

    form: str
    virtual_nodes: list[NodeFound]
    flows: list[FlowGlanceInfo]
    packages: list[PackageFound]


@router.get("/search")
def get_search(
    services: Services,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=TEXT_CHARACTERS_MAX,
            description="A name, a short hash, the beginning of a client request id, or a package.",
        ),
    ],
) -> SearchInfo:
    """Find nodes by name and short hash, flows by client request id, packages by name or digest."""
    term = search_term(q)
    return SearchInfo(
        form=term.form.value,
        virtual_nodes=list(islice(_nodes(services, term), EACH_MAX)),
        flows=_flows(services, term),
        packages=list(islice(_packages(services, term), EACH_MAX)),
    )


def _nodes(services: RestServices, term: SearchTerm) -> Iterator[NodeFound]:
    folded = term.text.casefold()
    for short_hash, known in services.board.nodes().items():
        if known.matches(folded):
            yield NodeFound(short_hash=short_hash, x500_name=known.name)


def _flows(services: RestServices, term: SearchTerm) -> list[FlowGlanceInfo]:
    if term.form in (Form.NODE, Form.NAME):
        return []
    nodes = services.board.nodes()
    return [
        glance_info(found, nodes[found.node].name)
        for found in services.board.requested(term.text, EACH_MAX)
        if found.node in nodes
    ]


def _packages(services: RestServices, term: SearchTerm) -> Iterator[PackageFound]:
    if term.form in (Form.UUID, Form.NAME):
        return
    folded = term.text.casefold().removeprefix("sha-256:")
    for cpi in services.packages.all():
        digest = cpi.file_checksum.partition(":")[2].casefold()
        if cpi.identity.name.casefold().startswith(folded) or digest.startswith(folded):
            yield PackageFound(
                cpi_file_checksum=short_hash_of(cpi.file_checksum),
                cpi_name=cpi.identity.name,
                cpi_version=cpi.identity.version,
            )
