"""Which connections are let in: so many at once, and of one address no more than its share. Pure.

Strangers hold connections before anybody knows who they are. Whatever they do, the process keeps
the descriptors that its own work needs, and one address leaves room for the others.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_CONNECTIONS_MIN = 8
_RESERVE = 256
"""Descriptors that are kept for databases, vaults, logs and calls between processes."""
_DESCRIPTORS_EACH = 2
"""A connection, and the file that its upload may take."""
_V6_NETWORK_BITS = 64
"""One client may have any address of such a network (RFC 4291, RFC 6177)."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refusal(StrEnum):
    """Why a connection is not let in."""

    FULL = "full"
    SHARE = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """How many connections there may be, and of one address; `proxies` stand for many clients."""

    total_max: int
    address_max: int
    proxies: tuple[Network, ...] = ()

    @staticmethod
    def within(
        descriptors: int, *, total_max: int, address_max: int, proxies: Sequence[str] = ()
    ) -> "Seats":
        """As many as wanted, but only what `descriptors` leave beside the reserve.

        Of few descriptors half is the reserve. One address never gets more than half of all.
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
    """A connection that was let in; `group` is None where no share is counted."""

    group: str | None


class Admission:
    """Counts who is in. Used by one thread.

    Attributes:
        seats: the limits; they may be changed at any time, and end no connection.
    """

    def __init__(self, seats: Seats) -> None:
        self.seats = seats
        self._count = 0
        self._of_group: dict[str, int] = {}

    @property
    def count(self) -> int:
        return self._count

    def take(self, address: str) -> Seat | Refusal:
        """A seat for a connection from `address`, to be given back by `leave`."""
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
        """Give a seat back."""
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
    """What counts as one client: an IPv4 address, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found.packed, _V6_NETWORK_BITS), strict=False))
