"""A section of our own about limits of connections to REST. Pure."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from host.settings.errors import SettingsInvalidError
from host.settings.kinds import Workers
from host.settings.section import AtStart

_CONNECTIONS_MAX = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RestValues:
    """Section `cordbox.rest`: connections, also to the health and metrics of each worker."""

    threads: Annotated[
        Workers, AtStart(), Meta(description="Requests that are worked on at the same time.")
    ] = 16
    connections_max: Annotated[
        int,
        Meta(
            ge=8,
            le=_CONNECTIONS_MAX,
            description="Connections at once, at most; fewer where the process may open few files,"
            " of which it keeps some for its own work.",
        ),
    ] = 1000
    connections_per_address_max: Annotated[
        int,
        Meta(
            ge=1,
            le=_CONNECTIONS_MAX,
            description="Connections at once from one address (of IPv6: one /64 network), at most,"
            " and never more than half of all.",
        ),
    ] = 500
    proxies: Annotated[
        tuple[Annotated[str, Meta(max_length=64)], ...],
        AtStart(),
        Meta(
            max_length=1000,
            description="Addresses and networks of reverse proxies: they have no share of"
            " connections, and their X-Forwarded-For is taken for the client's address.",
        ),
    ] = ()
    bytes_per_second_min: Annotated[
        int,
        Meta(
            ge=1,
            le=1 << 30,
            description="Bytes of a request's body, or of an answer, that move in a second, at"
            " least, on average over 10 seconds; a slower connection is ended.",
        ),
    ] = 1024
    answer_bytes_per_second_max: Annotated[
        int,
        Meta(
            ge=64 * 1024,
            le=1 << 40,
            description="Bytes of the answers of one virtual node in a second, at most, on average"
            " (of one address, for requests that name no node); a quarter of them may be sent at"
            " once. Lists with large results wait, so that they do not take the time of other"
            " nodes' requests.",
        ),
    ] = 32 * 1024 * 1024
    transfer_seconds_max: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds that a request's body, or an answer, takes to move, at most.",
        ),
    ] = 600

    def __post_init__(self) -> None:
        """Refuse values of proxies that are neither addresses nor networks."""
        for text in self.proxies:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise SettingsInvalidError(f"proxies: {error}") from error
