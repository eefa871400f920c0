"""CPIs of a running host, as the user of a command names them."""

from host.domain.errors import NotFoundError
from host.domain.refused import what_there_is
from host.tools.client.host_client import HostClient
from host.tools.network.answer_shapes import Cpi
from host.tools.network.operations import cpis


def cpi_named(client: HostClient, text: str) -> Cpi:
    """The CPI with this checksum, name, or `NAME:VERSION`.

    Raises:
        NotFoundError: none, or more than one, has it.
        HostError: the host refuses the list of its CPIs; see `HostClient.get`.
    """
    known = cpis(client)
    found = [each for each in known if text in _names(each)]
    if len(found) == 1:
        return found[0]
    if found:
        several = sorted(f"{each['id']['cpiVersion']} {each['cpiFileChecksum']}" for each in found)
        raise NotFoundError(
            f"{len(found)} CPIs are named {text!r}, so give one's checksum: {', '.join(several)}",
            kind="CPI",
            named=text,
        )
    names = sorted({each["id"]["cpiName"] for each in known})
    raise NotFoundError(
        f"no CPI is named {text!r}; {what_there_is(text, names)}", kind="CPI", named=text
    )


def _names(cpi: Cpi) -> tuple[str, ...]:
    name, version = cpi["id"]["cpiName"], cpi["id"]["cpiVersion"]
    whole = cpi["cpiFileFullChecksum"]
    return (name, f"{name}:{version}", cpi["cpiFileChecksum"], whole, whole.lower())
