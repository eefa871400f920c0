"""Members and group parameters of dynamic networks, as flows and REST ask for them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from host.domain.group_parameters import GroupParametersInvalidError
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.network.membership.errors import GroupParametersUnknownError
from host.network.membership.group_directory import GroupDirectory
from host.network.membership.sequencer import SetParameters, SetStatus
from host.ports.directory import Members
from tests.network.dynamic_networks import MGM, Network, identity, member_name

ALICE, BOB, CAROL = (member_name(n) for n in range(3))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Alice and Carol on one cluster, Bob on another; Carol was suspended."""
    made = Network(tmp_path_factory.mktemp("network"), clusters=3)
    for name, cluster in ((ALICE, 1), (BOB, 2), (CAROL, 1)):
        made.join(name, cluster)
    made.settle()
    change = SetStatus(name=CAROL, serial=1, status=MemberStatus.SUSPENDED)
    made.mgm.worker.sequencer.run(made.mgm_hash, change)
    made.settle()
    yield made
    made.close()


def test_members_see_active_ones_and_the_mgm_by_name_and_by_ledger_key(network: Network) -> None:
    members, viewer = _directory(network, ALICE), identity(ALICE)

    bob = members.lookup(viewer, MemberX500Name.parse(BOB))
    assert bob is not None
    assert _directory(network, BOB).lookup(identity(BOB), bob.name) == bob
    assert members.lookup_key(viewer, bob.ledger_keys[0]) == bob
    assert [str(each.name) for each in members.active(viewer)] == sorted((MGM, ALICE, BOB))
    assert members.lookup(viewer, MemberX500Name.parse(CAROL)) is None
    assert members.lookup_key(viewer, _ledger_key(network, CAROL)) is None
    assert list(members.active(identity("O=Nobody, L=London, C=GB"))) == []


def test_names_are_paged_and_the_newest_information_counts(network: Network) -> None:
    members, viewer = _directory(network, ALICE), identity(ALICE)

    first = members.active(viewer, limit=2)
    rest = members.active(viewer, after=str(first[-1].name), limit=2)
    assert [str(each.name) for each in (*first, *rest)] == sorted((MGM, ALICE, BOB))


def test_suspended_member_sees_itself_and_the_mgm(network: Network) -> None:
    members, viewer = _directory(network, CAROL), identity(CAROL)
    every = (MemberStatus.ACTIVE, MemberStatus.SUSPENDED)

    own = members.lookup(viewer, viewer.x500_name)
    assert own is not None
    assert own.status is MemberStatus.SUSPENDED
    assert members.lookup(viewer, MemberX500Name.parse(BOB)) is None
    assert [str(each.name) for each in members.listed(viewer, every)] == sorted((MGM, CAROL))
    assert [str(each.name) for each in members.active(viewer)] == [MGM]


def test_mgm_lists_members_of_every_status(network: Network) -> None:
    members, viewer = _directory(network, MGM), identity(MGM)

    suspended = members.listed(viewer, (MemberStatus.SUSPENDED,))
    assert [str(each.name) for each in suspended] == [CAROL]
    assert members.lookup(viewer, MemberX500Name.parse(CAROL)) == suspended[0]
    others = _directory(network, ALICE).listed(identity(ALICE), (MemberStatus.SUSPENDED,))
    assert list(others) == []


def test_parameters_are_those_of_the_list_that_the_viewer_sees(network: Network) -> None:
    """Alice is told of new parameters; Carol, suspended on the same cluster, is not."""
    before = _directory(network, ALICE).parameters(identity(ALICE))
    change = SetParameters(minimum_platform_version=50000, custom=(("ext.a", "1"),))
    network.mgm.worker.sequencer.run(network.mgm_hash, change)
    network.settle()
    alices, carols = _directory(network, ALICE), _directory(network, CAROL)

    after = alices.parameters(identity(ALICE))
    assert after.parameters.custom == (("ext.a", "1"),)
    assert carols.parameters(identity(CAROL)) == before
    assert alices.parameters(identity(ALICE), before.hash) == before
    assert [each.hash for each in alices.parameters_history(identity(ALICE))][:2] == [
        after.hash,
        before.hash,
    ]
    assert after not in carols.parameters_history(identity(CAROL))
    with pytest.raises(GroupParametersUnknownError):
        alices.parameters(identity(ALICE), "SHA-256:00")


def test_parameters_from_elsewhere_count_only_with_the_signature_of_the_mgm(
    network: Network,
) -> None:
    members, viewer = _directory(network, ALICE), identity(ALICE)
    signed = members.parameters(viewer)

    members.keep_parameters(viewer, signed)
    for forged in (
        replace(signed, signer_key=_ledger_key(network, BOB)),
        replace(signed, signature=bytes(len(signed.signature))),
    ):
        with pytest.raises(GroupParametersInvalidError):
            members.keep_parameters(viewer, forged)
    foreign = HoldingIdentity(x500_name=viewer.x500_name, group_id="another")
    with pytest.raises(GroupParametersInvalidError):
        members.keep_parameters(foreign, signed)


def _directory(network: Network, name: str) -> Members:
    place = network.places[name]
    return GroupDirectory(place.database, place.viewers, public_keys=place.access.public_keys)


def _ledger_key(network: Network, name: str) -> str:
    found = _directory(network, MGM).lookup(identity(MGM), MemberX500Name.parse(name))
    assert found is not None
    return found.ledger_keys[0]
