"""Where the nodes of a network are, after some have moved between its hosts."""

import pytest

from host.tools.network.homes import Home, homes_at, nearest
from host.tools.network.plan import MGM, NOTARY, NetworkChangedError
from host.tools.network.up import NetworkUp

ALICE, BOB, CAROL = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Carol"))


def home(name, host, place="HERE"):
    return Home(name=name, short_hash=name[2:7].upper(), host=host, place=place)


class Client:
    """A host with nodes at places."""

    def __init__(self, places):
        self._places = places

    def items(self, path, member):
        assert (path, member) == ("/virtualnode", "virtualNodes")
        for number, name in enumerate(self._places):
            holding = {"x500Name": name, "groupId": "g", "shortHash": f"{number:012}"}
            holding["fullHash"] = "f"
            cpi = {"cpiName": "c", "cpiVersion": "1", "signerSummaryHash": "s"}
            yield {"holdingIdentity": holding, "cpiIdentifier": cpi}

    def get(self, path):
        place = list(self._places.values())[int(path.split("/")[-2])]
        return {
            "holdingIdentityShortHash": path.split("/")[-2],
            "place": place,
            "requestId": None,
            "epoch": 0,
            "listedEpoch": None,
            "proof": None,
            "errorReason": None,
        }


def test_a_host_tells_of_all_its_nodes():
    found = homes_at(Client({ALICE: "HERE", BOB: "MOVED"}), 2)
    assert [(h.name, h.host, h.works) for h in found] == [(ALICE, 2, True), (BOB, 2, False)]


def test_the_copy_that_works_counts_and_else_the_one_that_is_nearest_to_it():
    found = nearest(
        [
            home(ALICE, 1, "MOVED"),
            home(ALICE, 2),
            home(BOB, 1, "EXPORTED"),
            home(BOB, 3, "IMPORTED"),
            home(CAROL, 1, "MOVED"),
        ]
    )
    assert {h.name: (h.host, h.place) for h in found.values()} == {
        ALICE: (2, "HERE"),
        BOB: (3, "IMPORTED"),
        CAROL: (1, "MOVED"),
    }


def _network(homes, clusters=2):
    made = object.__new__(NetworkUp)
    made.members, made.has_notary = (ALICE, BOB, CAROL), True
    made._clusters = [None] * clusters
    made._homes = {each.name: each for each in homes}
    return made


def test_nodes_are_asked_for_where_they_are_and_new_ones_are_spread_as_at_first():
    network = _network([home(ALICE, 2), home(NOTARY, 2), home(BOB, 2, "MOVED")])
    first, second = network.members[::2], network.members[1::2]
    assert network._names_at(1, network.members, new=first) == [CAROL]
    assert network._names_at(2, network.members, new=second) == [ALICE, BOB]
    assert network._names_at(1, [NOTARY], new=[NOTARY]) == []
    assert network._names_at(2, [NOTARY], new=[]) == [NOTARY]
    assert _network([])._names_at(2, network.members, new=second) == [BOB]


@pytest.mark.parametrize("place", ["MOVED", "EXPORTED"])
def test_without_the_mgm_nobody_can_be_added(place):
    network = _network([home(MGM, 1, place)])
    with pytest.raises(NetworkChangedError, match=f"is {place} on host 1"):
        network._mgm()
