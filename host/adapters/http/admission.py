"""Admission of connections: limits of their number in total and per address. Pure.

Clients hold connections before they are authenticated. Whatever they do, the process keeps the
descriptors that its own work needs, and one address cannot take all connections.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_CONNECTIONS_MIN = 8
_RESERVE = 256
"""Descriptors reserved for databases, vaults, logs and calls between processes."""
_DESCRIPTORS_EACH = 2
"""Descriptors per connection: its socket, and the file of an upload."""
_V6_NETWORK_BITS = 64
"""One client may use any address of a network of this prefix length (RFC 4291, RFC 6177)."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refusal(StrEnum):
    """Why a connection is refused."""

    FULL = "full"
    SHARE = "share"
    RATE = "rate"
    """Too many connections in a short time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """Maximum numbers of connections, in total and per address; `proxies` have no own limit."""

    total_max: int
    address_max: int
    proxies: tuple[Network, ...] = ()

    @staticmethod
    def within(
        descriptors: int, *, total_max: int, address_max: int, proxies: Sequence[str] = ()
    ) -> "Seats":
        """The wanted limits, reduced to what `descriptors` allow beside the reserve.

        If there are few descriptors, half of them are the reserve. One address never gets more than
        half of all connections.
        """
        room = (descriptors - min(_RESERVE, descriptors // 2)) // _DESCRIPTORS_EACH
        total = max(min(total_max, room), _CONNECTIONS_MIN)
        return Seats(
            total_max=total,
            address_max=min(address_max, total // 2),
            proxies=tuple(ipaddress.ip_network(text) for text in proxies),
        )


@dataclass(frozen=True, slots=True)
class Seat:
    """An admitted connection; `group` is None if the limit per address does not apply."""

    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """Limits of connections before the end of their TLS handshake.

    Attributes:
        most: that may be before it; beyond it the one that is there for the longest time is closed,
            so that clients which never end their handshake keep nobody out.
        admits: whether another connection of an address may begin now, by the rates of its kind.
    """

    most: int
    admits: Callable[[str], bool]


class Admission:
    """Counts admitted connections. Used by one thread.

    Attributes:
        seats: the limits; they may be changed at any time, which ends no connection.
    """

    def __init__(self, seats: Seats) -> None:
        self.seats = seats
        self._count = 0
        self._of_group: dict[str, int] = {}

    @property
    def count(self) -> int:
        return self._count

    def take(self, address: str) -> Seat | Refusal:
        """Admit a connection from `address`; release the seat by `leave`."""
        if self._count >= self.seats.total_max:
            return Refusal.FULL
        group = self._group(address)
        if group is not None:
            taken = self._of_group.get(group, 0)
            if taken >= self.seats.address_max:
                return Refusal.SHARE
            self._of_group[group] = taken + 1
        self._count += 1
        return Seat(group)

    def leave(self, seat: Seat) -> None:
        """Release a seat."""
        self._count -= 1
        if seat.group is None:
            return
        left = self._of_group[seat.group] - 1
        if left:
            self._of_group[seat.group] = left
        else:
            del self._of_group[seat.group]

    def _group(self, address: str) -> str | None:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return address
        if found.version == 6 and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        if any(found in network for network in self.seats.proxies):
            return None
        return address_group(str(found))


def address_group(address: str) -> str:
    """The unit of the limit per client: an IPv4 address, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found.packed, _V6_NETWORK_BITS), strict=False))
