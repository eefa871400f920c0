"""The Certificate resource: chains of the cluster and of virtual nodes, by usage and alias.

Those of the cluster decide whose CPI signatures are trusted; others are for TLS and for sessions
between clusters.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Form, Request, Response, UploadFile

from host.nodes.packages.certificates import PEM_BYTES_MAX
from host.rest.operation import RawText, resource
from host.rest.pages import NEXT_HEADERS, Asked, listed
from host.rest.parameters import Alias, NodeHash, Usage
from host.rest.services import Services

router = resource("Certificate")


@router.get(
    "/certificate/cluster/{usage}",
    response_model=list[str],
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_aliases(usage: Usage, services: Services, request: Request, asked: Asked) -> Response:
    """List the aliases of the chains of a usage in alphabetical order."""
    aliases = services.certificates.aliases(usage)
    page = asked.of_all("aliases", aliases, lambda alias: (0, alias), newest_first=False)
    return listed(request, page, msgspec.json.encode)


@router.put("/certificate/cluster/{usage}", status_code=HTTPStatus.NO_CONTENT)
def put_certificate(
    usage: Usage, alias: Annotated[str, Form()], certificate: list[UploadFile], services: Services
) -> None:
    """Import a certificate chain in PEM, leaf first, in one part or in several."""
    pem = b"\n".join(_bounded(certificate))
    services.certificates.import_certificate(usage, alias, pem)


@router.get("/certificate/cluster/{usage}/{alias}", response_class=RawText)
def get_certificate(usage: Usage, alias: Alias, services: Services) -> RawText:
    """Give a certificate chain in PEM."""
    return RawText(services.certificates.chain(usage, alias))


@router.get(
    "/certificate/vnode/{holdingidentityid}/{usage}",
    response_model=list[str],
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_node_aliases(
    holdingidentityid: NodeHash, usage: Usage, services: Services, request: Request, asked: Asked
) -> Response:
    """List the aliases of a virtual node's chains of a usage in alphabetical order."""
    node = services.virtual_node(holdingidentityid).holding.short_hash
    aliases = services.certificates.aliases(usage, tenant=node)
    of = f"aliases of {node}"
    page = asked.of_all(of, aliases, lambda alias: (0, alias), newest_first=False)
    return listed(request, page, msgspec.json.encode)


@router.put("/certificate/vnode/{holdingidentityid}/{usage}", status_code=HTTPStatus.NO_CONTENT)
def put_node_certificate(
    holdingidentityid: NodeHash,
    usage: Usage,
    alias: Annotated[str, Form()],
    certificate: list[UploadFile],
    services: Services,
) -> None:
    """Import a certificate chain of a virtual node in PEM, leaf first."""
    owner = services.virtual_node(holdingidentityid).holding
    pem = b"\n".join(_bounded(certificate))
    services.certificates.import_certificate(usage, alias, pem, owner=owner)


@router.get("/certificate/vnode/{holdingidentityid}/{usage}/{alias}", response_class=RawText)
def get_node_certificate(
    holdingidentityid: NodeHash, usage: Usage, alias: Alias, services: Services
) -> RawText:
    """Give a certificate chain of a virtual node in PEM."""
    node = services.virtual_node(holdingidentityid).holding.short_hash
    return RawText(services.certificates.chain(usage, alias, tenant=node))


def _bounded(parts: list[UploadFile]) -> Iterator[bytes]:
    """The content of the parts; reads only slightly more than the limit."""
    length = 0
    for part in parts:
        if length > PEM_BYTES_MAX:
            return
        data = part.file.read(PEM_BYTES_MAX + 1)
        length += len(data)
        yield data
