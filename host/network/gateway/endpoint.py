"""Endpoints of other clusters: URLs that strangers wrote. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from host.domain.errors import InvalidInputError

URL_CHARACTERS_MAX = 2048
PORT = 443

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class EndpointRefusedError(InvalidInputError):
    """The URL of a gateway is none of https, or leads where no gateway may be."""

    code = "endpoint-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a gateway listens. `host` is a name or an IP address without brackets."""

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_endpoint(url: str) -> Endpoint:
    """Read the URL of a gateway.

    Raises:
        EndpointRefusedError: another scheme, user information, a fragment, a missing host, a port
            out of range, or characters that a request line cannot have.
    """
    shown = repr(url[:200])
    if len(url) > URL_CHARACTERS_MAX or not all("!" <= c <= "~" for c in url):
        raise EndpointRefusedError(f"{shown} is no URL of a gateway")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as refused:
        raise EndpointRefusedError(f"{shown} is no URL of a gateway: {refused}") from refused
    if parts.scheme != "https" or not parts.hostname:
        raise EndpointRefusedError(f"{shown}: expected https:// and a host")
    if "@" in parts.netloc or "#" in url:
        raise EndpointRefusedError(f"{shown} has user information or a fragment")
    if port == 0:
        raise EndpointRefusedError(f"{shown}: port 0")
    query = f"?{parts.query}" if parts.query else ""
    return Endpoint(
        host=parts.hostname, port=PORT if port is None else port, target=(parts.path or "/") + query
    )


def is_denied(address: str, denied: Sequence[Network]) -> bool:
    """Whether an IP address lies in a denied network, also as an IPv4 address within IPv6."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if found.version == 6 else None
    return any(each in network for each in (found, mapped) if each for network in denied)
