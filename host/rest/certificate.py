"""The Certificate resource: chains of the cluster, such as whose CPI signatures are trusted."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Form, UploadFile

from host.rest.operation import RawText, resource
from host.rest.parameters import Alias, Usage
from host.rest.services import Services

router = resource("Certificate")


@router.get("/certificate/cluster/{usage}")
def get_aliases(usage: Usage, services: Services) -> list[str]:
    """List the aliases of the chains of a usage."""
    return list(services.certificates.aliases(usage))


@router.put("/certificate/cluster/{usage}", status_code=HTTPStatus.NO_CONTENT)
def put_certificate(
    usage: Usage, alias: Annotated[str, Form()], certificate: list[UploadFile], services: Services
) -> None:
    """Import a certificate chain in PEM, leaf first, in one part or in several."""
    pem = b"\n".join(part.file.read() for part in certificate)
    services.certificates.import_certificate(usage, alias, pem)


@router.get("/certificate/cluster/{usage}/{alias}")
def get_certificate(usage: Usage, alias: Alias, services: Services) -> RawText:
    """Give a certificate chain in PEM."""
    return RawText(services.certificates.chain(usage, alias))
