"""One entry for the registration of members and MGMs of dynamic networks."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.domain.errors import NotFoundError
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.x500 import MemberX500Name
from host.network.membership import RegistrationRequest, Registrations
from host.network.membership.mgm_operations import OperationsOfMgm
from host.ports.keys import KeyCategory
from tests.network.dynamic_networks import (
    MGM,
    MGM_POLICY,
    OPERATOR,
    Cluster,
    Network,
    identity,
    member_name,
)

ALICE = member_name(0)
OTHER = HoldingIdentity(x500_name=MemberX500Name.parse(MGM), group_id="another group")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


def test_mgm_is_approved_at_once_and_its_policy_can_be_exported(network: Network) -> None:
    place, tenant = network.clusters[1], OTHER.short_hash
    place.nodes.add(OTHER, MGM_POLICY)
    request = _entry(place).register(tenant, place.mgm_context(tenant))

    assert (request.status, request.reason, request.serial) == ("APPROVED", None, 1)
    assert request.context["corda.groupId"] == OTHER.group_id
    policy = json.loads(OperationsOfMgm(place.access, place.worker).info(tenant))
    assert policy["groupId"] == OTHER.group_id
    assert policy["mgmInfo"]["corda.name"] == MGM
    assert _entry(place).request(tenant, request.registration_id) == request


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        ("corda.group.trustroot.tls.0", "no certificate", "tlsTrustRoots"),
        ("corda.group.tls.type", "Mutual", "sslConfig.tlsType"),
        ("corda.ecdh.key.id", "0123456789AB", "No key"),
        ("corda.unknown", "x", "is not defined"),
        ("corda.endpoints.0.connectionURL", "http://mgm.example", "https"),
    ],
)
def test_mgm_with_a_wrong_context_is_invalid_and_may_try_again(
    network: Network, entry: str, value: str, reason: str
) -> None:
    place, tenant = network.clusters[1], OTHER.short_hash
    place.nodes.add(OTHER, MGM_POLICY)
    given = place.mgm_context(tenant)
    refused = _entry(place).register(tenant, {**given, entry: value})

    assert refused.status == "INVALID"
    assert reason in (refused.reason or "")
    assert _entry(place).register(tenant, given).status == "APPROVED"


def test_an_mgm_that_registers_again_with_other_trust_roots_is_invalid(network: Network) -> None:
    tenant = network.mgm_hash
    given = network.mgm.mgm_context(ShortHash("0" * 12))
    ids = {key.category: key.key_id for key in network.mgm.keys.list(tenant)}
    keys = {
        "corda.session.keys.0.id": ids[KeyCategory.SESSION_INIT],
        "corda.ecdh.key.id": ids[KeyCategory.PRE_AUTH],
    }
    again = _entry(network.mgm).register(tenant, {**given, **keys})

    assert again.status == "INVALID"
    assert "p2pParameters cannot be updated" in (again.reason or "")


def test_requests_of_a_member_are_listed_the_latest_first(network: Network) -> None:
    place, tenant = network.clusters[1], identity(ALICE).short_hash
    place.nodes.add(identity(ALICE), network.policy)
    network.places[ALICE] = place
    entry = _entry(place)
    first = entry.register(tenant, place.context(tenant, **{"corda.wrong": "x"}))
    network.clock.advance(1000)
    second = entry.register(tenant, {k: v for k, v in _given(first).items() if k != "corda.wrong"})
    assert (first.status, second.status) == ("INVALID", "NEW")
    network.settle()

    newest, oldest = entry.requests(tenant)
    assert (newest.registration_id, oldest) == (second.registration_id, first)
    assert newest.status == "APPROVED"
    assert entry.requests(tenant, 1) == [newest]
    assert entry.requests(tenant, 1, (newest.sent_at, newest.registration_id)) == [oldest]
    with pytest.raises(NotFoundError):
        entry.request(tenant, "unknown")
    with pytest.raises(NotFoundError):
        entry.requests(ShortHash("0" * 12))


def test_member_that_is_not_set_up_for_the_network_is_told_so(network: Network) -> None:
    network.clusters[1].tls_subjects[identity(ALICE).short_hash] = None
    request = network.join(ALICE, 1)

    status, reason = network.status(ALICE, request)
    assert status == "INVALID"
    assert "PUT /network/setup/" in (reason or "")


def test_mutual_tls_needs_the_subject_that_the_mgm_allows(tmp_path: Path) -> None:
    network = Network(tmp_path, **{"corda.group.tls.type": "Mutual"})
    operations = OperationsOfMgm(network.mgm.access, network.mgm.worker)
    policy = json.loads(operations.info(network.mgm_hash))
    assert policy["p2pParameters"]["mtlsMgmClientCertificateSubject"] == OPERATOR

    declined = network.join(ALICE, 1)
    network.settle()
    assert network.status(ALICE, declined)[0] == "DECLINED"
    operations.allow_client_certificate_subject(network.mgm_hash, OPERATOR)
    other = network.join(member_name(1), 1)
    network.settle()
    assert network.status(member_name(1), other)[0] == "APPROVED"
    found = _entry(network.clusters[1]).request(identity(member_name(1)).short_hash, other)
    assert found.context["corda.tls.certificate.subject"] == OPERATOR
    network.close()


def test_host_without_a_gateway_sends_nothing_and_says_so(network: Network) -> None:
    place, tenant = network.clusters[1], identity(ALICE).short_hash
    place.nodes.add(identity(ALICE), network.policy)
    request = _entry(place, has_gateway=False).register(tenant, place.context(tenant))

    assert request.status == "INVALID"
    assert "gateway_listen" in (request.reason or "")


def _entry(place: Cluster, *, has_gateway: bool = True) -> Registrations:
    return Registrations(
        place.access,
        static=None,  # type: ignore[arg-type]  # no node here belongs to a static network
        members=place.worker.members,
        has_gateway=has_gateway,
    )


def _given(request: RegistrationRequest) -> dict[str, str]:
    return dict(request.context)
