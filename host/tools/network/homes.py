"""Where the nodes of a network on this machine are, after some have moved between its hosts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from host.tools.client.host_client import HostClient
from host.tools.network import moving
from host.tools.network.operations import nodes

_HERE = "HERE"
_ORDER = (_HERE, "IMPORTED", "IMPORTING", "RECLAIMING", "EXPORTED", "MOVED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A node on the host with a number, from 1. `place` is as `cordbox vnode location` tells it."""

    name: str
    short_hash: str
    host: int
    place: str

    @property
    def works(self) -> bool:
        return self.place == _HERE


def homes_at(client: HostClient, host: int) -> Sequence[Home]:
    """All nodes of one host, also what is left of those that have moved away."""
    found = list[Home]()
    for each in nodes(client):
        holding = each["holdingIdentity"]
        place = moving.location(client, holding["shortHash"])["place"]
        found.append(
            Home(name=holding["x500Name"], short_hash=holding["shortHash"], host=host, place=place)
        )
    return found


def nearest(found: Iterable[Home]) -> Mapping[str, Home]:
    """Of each node the copy that works; or else the one that is nearest to it, by short hash."""
    homes = dict[str, Home]()
    for each in sorted(found, key=lambda home: (_ORDER.index(home.place), home.host)):
        homes.setdefault(each.short_hash, each)
    return homes
