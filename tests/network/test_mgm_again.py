"""An MGM that registers again: endpoints and versions change, and reach all members."""

from collections.abc import Iterator

import pytest

from host.domain.errors import ConflictError
from host.network.membership import mgm_group
from host.network.membership.errors import RegistrationInvalidError
from host.network.membership.mgm_group import register_mgm
from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.values import contexts
from host.ports.keys import KeyCategory, KeyQuery
from tests.network.dynamic_networks import MGM, MGM_POLICY, Network, identity, member_name

URL = "corda.endpoints.0.connectionURL"
ALICE, BOB = member_name(0), member_name(1)


@pytest.fixture
def network(tmp_path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


def _given(network: Network, **changes: str) -> dict[str, str]:
    """The context of the first registration, with the same keys."""
    place, tenant = network.mgm, network.mgm_hash
    keys = {
        each: place.keys.query(tenant, KeyQuery(category=each))[0].key_id
        for each in (KeyCategory.SESSION_INIT, KeyCategory.PRE_AUTH)
    }
    place.key = lambda _tenant, category: keys[category]  # type: ignore[method-assign]
    given = {**place.mgm_context(tenant), "corda.group.trustroot.tls.0": _root(network)}
    return given | changes


def _root(network: Network) -> str:
    import json

    return str(json.loads(network.policy)["p2pParameters"]["tlsTrustRoots"][0])


def _again(network: Network, given: dict[str, str], registration_id: str = "again") -> None:
    node = network.mgm.nodes.nodes[network.mgm_hash]
    register_mgm(network.mgm.access, node, given, registration_id)


def test_new_endpoints_of_the_mgm_reach_its_members_and_its_group_policy(network):
    network.join(ALICE, 1)
    network.settle()
    _again(network, _given(network, **{URL: "https://moved.example:9"}, **{"corda.serial": "1"}))
    network.settle()
    peer = network.places[ALICE].link_members.peer(identity(ALICE), identity(MGM).x500_name)
    assert peer is not None
    assert peer.urls == ("https://moved.example:9",)
    assert peer.is_mgm
    assert network.head(ALICE) == network.head(MGM)
    policy = OperationsOfMgm(network.mgm.access, network.mgm.worker).info(network.mgm_hash)
    assert "https://moved.example:9" in policy
    assert '"corda.serial": "2"' in policy
    network.policy = policy
    network.join(BOB, 1)
    network.settle()
    assert network.members(BOB) == network.members(ALICE) == network.members(MGM)


def test_each_registration_again_is_one_version_and_one_approved_request(network):
    for number in range(3):
        _again(network, _given(network, **{URL: f"https://m{number}.example"}), f"again-{number}")
    assert network.view(MGM).version == 4
    assert network.status(MGM, "again-2") == ("APPROVED", None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"corda.serial": "0"}, "newest known serial 1"),
        ({"corda.serial": "2"}, "newest known serial 1"),
        ({"corda.group.protocol.p2p.mode": "Authentication"}, "p2pParameters"),
        ({"corda.group.protocol.registration": "Other"}, "registrationProtocol"),
        ({"corda.group.key.session.policy": "Combined"}, "protocolParameters"),
        ({URL: "http://plain.example"}, "https"),
    ],
)
def test_what_members_rely_on_cannot_be_changed(network, changes, reason):
    with pytest.raises(RegistrationInvalidError) as refused:
        _again(network, _given(network, **changes))
    assert reason in refused.value.reason
    assert network.view(MGM).version == 1


@pytest.mark.parametrize("category", [KeyCategory.SESSION_INIT, KeyCategory.PRE_AUTH])
def test_the_keys_of_an_mgm_cannot_be_changed(network, category):
    other = network.mgm.keys.create(
        network.mgm_hash, category, "other", "CORDA.ECDSA.SECP256R1"
    ).key_id
    entry = "corda.ecdh.key.id" if category is KeyCategory.PRE_AUTH else "corda.session.keys.0.id"
    with pytest.raises(RegistrationInvalidError, match="Fields") as refused:
        _again(network, _given(network) | {entry: other})
    named = contexts.ECDH_KEY if category is KeyCategory.PRE_AUTH else "corda.session.keys.0"
    assert named in refused.value.reason


def test_two_at_once_are_one_version_each_or_refused(network, monkeypatch):
    given = _given(network, **{URL: "https://first.example"})
    again, made = mgm_group._check_again, []

    def overtaken(*parts):
        again(*parts)
        if not made:
            made.append(1)
            _again(network, given | {URL: "https://second.example"}, "second")

    monkeypatch.setattr(mgm_group, "_check_again", overtaken)
    with pytest.raises(ConflictError, match="meanwhile"):
        _again(network, given, "first")
    assert network.view(MGM).version == 2


def test_a_first_registration_names_no_serial(network, tmp_path):
    place = network.clusters[1]
    node = place.nodes.add(identity("O=Other MGM, L=London, C=GB"), MGM_POLICY)
    given = {**place.mgm_context(node.holding.short_hash), "corda.serial": "4"}
    with pytest.raises(RegistrationInvalidError, match="serial 0"):
        register_mgm(place.access, node, given, "first")
