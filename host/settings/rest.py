"""Who may connect to the REST interface, how often, and how long that may take."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from host.settings.errors import SettingsInvalidError

_CONNECTIONS_MAX = 100_000


@dataclass(frozen=True, kw_only=True)
class RestSettings:
    """The settings of connections to REST, and to the health and metrics of each worker."""

    rest_connections_max: Annotated[
        int,
        Meta(
            ge=8,
            le=_CONNECTIONS_MAX,
            description="Connections at once, at most; fewer where the process may open few files,"
            " of which it keeps some for its own work.",
        ),
    ] = 1000
    rest_connections_per_address_max: Annotated[
        int,
        Meta(
            ge=1,
            le=_CONNECTIONS_MAX,
            description="Connections at once from one address (of IPv6: one /64 network), at most,"
            " and never more than half of all.",
        ),
    ] = 500
    rest_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses and networks of reverse proxies: they have no share of"
            " connections, and their X-Forwarded-For is taken for the client's address."
        ),
    ] = ()
    rest_bytes_per_second_min: Annotated[
        int,
        Meta(
            ge=1,
            le=1 << 30,
            description="Bytes of a request's body, or of an answer, that move in a second, at"
            " least, on average over 10 seconds; a slower connection is ended.",
        ),
    ] = 1024
    rest_transfer_seconds_max: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds that a request's body, or an answer, takes to move, at most.",
        ),
    ] = 600

    def check_proxies(self) -> None:
        """Refuse what is neither an address nor a network.

        Raises:
            SettingsInvalidError: names it.
        """
        for text in self.rest_proxies:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise SettingsInvalidError(f"rest_proxies: {error}") from error
