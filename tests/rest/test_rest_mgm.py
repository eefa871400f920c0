"""The operations of an MGM over REST, on a network in memory with real databases and keys."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from host.access.delays import SignInDelays
from host.adapters.os.system import SteadyClock
from host.domain.errors import RequestInvalidError
from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.membership.network_tables import MGM_GROUP
from host.nodes.audit_log.administrative import ActQuery
from host.ports.live import Fixed
from host.rest.app import create_app
from host.rest.durations import MILLIS_MAX, duration_ms
from host.rest.sign_in import SignIn
from tests.network.dynamic_networks import Network, identity, member_name
from tests.rest.conftest import PASSWORD

ALICE, BOB = member_name(0), member_name(1)
API = "/api/v5_2"
NOWHERE = "0123456789AB"
UNKNOWN = "00000000-0000-4000-8000-0000000000ff"


@pytest.fixture
def network(tmp_path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


@contextmanager
def _asking(host, network: Network) -> Iterator[TestClient]:
    """A client of REST whose nodes and operations of MGMs are those of the network's first host."""
    place = network.mgm
    services = dataclasses.replace(
        host.services,
        mgm=OperationsOfMgm(place.access, place.worker),
        virtual_nodes=place.nodes,
        clock=network.clock,
    )
    app = create_app(
        services,
        sign_in=SignIn(SignInDelays(SteadyClock(network.clock)), CollectorRegistry()),
        max_content_length=Fixed(100_000),
        answer_bytes_per_second=Fixed(1_000_000),
        registry=CollectorRegistry(),
        exposed=CollectorRegistry(),
        readiness=lambda: None,
    )
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    client.auth = ("admin", PASSWORD)
    with client:
        yield client


@pytest.fixture
def rest(host, network) -> Iterator[TestClient]:
    with _asking(host, network) as client:
        yield client


@pytest.fixture
def mgm(network) -> str:
    return f"{API}/mgm/{network.mgm_hash}"


def _mutual(network: Network) -> None:
    """Let the group have mutual TLS."""
    policy = json.loads(network.policy)
    policy["p2pParameters"]["tlsType"] = "Mutual"
    network.mgm.database.transact(
        lambda c: c.execute(MGM_GROUP.update().values(policy=json.dumps(policy)))
    )


def _acts(host) -> list[Any]:
    host.services.administrative_log.settle()
    return host.services.administrative_log.page(ActQuery(), before=None, limit=3)


def test_the_group_policy_is_the_mgms_text(rest, network, mgm):
    reply = rest.get(f"{mgm}/info")

    assert (reply.status_code, reply.text) == (200, network.policy)
    assert reply.headers["content-type"] == "application/json"


def test_every_operation_refuses_nodes_that_are_no_mgm(rest, network):
    network.join(ALICE, 0)
    operations = (
        ("GET", "mgm", "info", None),
        ("GET", "mgm", "registrations", None),
        ("POST", "mgm", f"approve/{UNKNOWN}", None),
        ("POST", "mgm", f"decline/{UNKNOWN}", {"reason": "no"}),
        ("POST", "mgmadmin", f"force-decline/{UNKNOWN}", None),
        ("POST", "mgm", "suspend", {"x500Name": BOB, "serialNumber": 1}),
        ("POST", "mgm", "activate", {"x500Name": BOB, "serialNumber": 1}),
        ("POST", "mgm", "group-parameters", {}),
        ("GET", "mgm", "approval/rules", None),
        ("POST", "mgm", "approval/rules", {"ruleRegex": "a"}),
        ("DELETE", "mgm", "approval/rules/1", None),
        ("GET", "mgm", "approval/rules/preauth", None),
        ("POST", "mgm", "approval/rules/preauth", {"ruleRegex": "a"}),
        ("DELETE", "mgm", "approval/rules/preauth/1", None),
        ("GET", "mgm", "preauthtoken", None),
        ("POST", "mgm", "preauthtoken", {"ownerX500Name": BOB}),
        ("PUT", "mgm", f"preauthtoken/revoke/{UNKNOWN}", None),
        ("GET", "mgm", "mutual-tls/allowed-client-certificate-subjects", None),
        ("PUT", "mgm", f"mutual-tls/allowed-client-certificate-subjects/{BOB}", None),
        ("DELETE", "mgm", f"mutual-tls/allowed-client-certificate-subjects/{BOB}", None),
    )
    member = identity(ALICE).short_hash
    for method, group, path, body in operations:
        for node, expected in ((member, 400), (NOWHERE, 404), ("12", 400)):
            reply = rest.request(method, f"{API}/{group}/{node}/{path}", json=body)
            assert reply.status_code == expected, (method, path, node, reply.text)
            if node == member:
                assert reply.json()["details"]["code"] == "mgm-required"


def test_registrations_are_approved_and_declined_by_hand(rest, network, mgm):
    rule = rest.post(f"{mgm}/approval/rules", json={"ruleParams": {"ruleRegex": "corda.*"}}).json()
    assert rest.get(f"{mgm}/approval/rules").json() == [rule]
    first, second = network.join(ALICE, 0), network.join(BOB, 1)
    network.settle()

    listed = rest.get(f"{mgm}/registrations").json()
    assert {one["registrationId"] for one in listed} == {first, second}
    assert {one["registrationStatus"] for one in listed} == {"PENDING_MANUAL_APPROVAL"}
    of_bob = f"{mgm}/registrations?requestSubjectX500Name=C%3DGB%2C%20L%3DLondon%2C%20O%3D"
    (found,) = rest.get(of_bob + BOB.split("O=")[1].split(",")[0]).json()
    assert found["memberInfoSubmitted"]["data"]["corda.name"] == BOB
    paged = rest.get(f"{mgm}/registrations?limit=1")
    following = rest.get(f"{mgm}/registrations", params={"after": paged.headers["Cordbox-Next"]})
    assert [*paged.json(), *following.json()] == listed

    assert rest.post(f"{mgm}/approve/{first.upper()}").status_code == 204
    assert rest.post(f"{mgm}/decline/{second}", json={"reason": "unknown to us"}).status_code == 204
    network.settle()
    assert network.status(ALICE, first) == ("APPROVED", None)
    assert network.status(BOB, second) == ("DECLINED", "unknown to us")
    assert rest.get(f"{mgm}/registrations").json() == []
    ended = rest.get(f"{mgm}/registrations?viewHistoric=true").json()
    assert {one["registrationStatus"] for one in ended} == {"APPROVED", "DECLINED"}
    for path in (f"{mgm}/approve", f"{API}/mgmadmin/{network.mgm_hash}/force-decline"):
        assert rest.post(f"{path}/{second}").status_code == 400
        assert rest.post(f"{path}/{UNKNOWN}").status_code == 404
        assert rest.post(f"{path}/1").status_code == 400
    assert rest.delete(f"{mgm}/approval/rules/{rule['ruleId']}").status_code == 204
    assert rest.delete(f"{mgm}/approval/rules/{rule['ruleId']}").status_code == 404


def test_a_registration_that_is_stuck_is_declined(rest, network, mgm):
    rest.post(f"{mgm}/approval/rules", json={"ruleRegex": "."})
    request = network.join(ALICE, 1)
    network.settle()

    path = f"{API}/mgmadmin/{network.mgm_hash}/force-decline/{request}"
    assert rest.post(path).status_code == 204
    network.settle()
    assert network.status(ALICE, request)[0] == "DECLINED"
    assert rest.post(path).status_code == 400


@pytest.mark.parametrize("kind", ["rules", "rules/preauth"])
def test_expressions_of_rules_are_checked_and_unique(rest, mgm, kind):
    path = f"{mgm}/approval/{kind}"
    assert rest.post(path, json={"ruleRegex": "ext.*", "ruleLabel": "ours"}).json() == {
        "ruleId": rest.get(path).json()[0]["ruleId"],
        "ruleRegex": "ext.*",
        "ruleLabel": "ours",
    }
    assert rest.post(path, json={"ruleRegex": "ext.*"}).status_code == 409
    for regex in ("", " ", "(", "(?=a)", "a" * 1001):
        assert rest.post(path, json={"ruleRegex": regex}).status_code == 400, regex
    other = f"{mgm}/approval/{'rules/preauth' if kind == 'rules' else 'rules'}"
    assert rest.get(other).json() == []


def test_tokens_are_made_listed_and_revoked(rest, network, mgm):
    tokens = f"{mgm}/preauthtoken"
    body = {"ownerX500Name": "C=GB,L=London,O=Alice", "ttl": "P1DT2H", "remarks": "for the trial"}
    made = rest.post(tokens, json=body).json()
    expires = datetime.fromtimestamp(network.clock.now_ms() / 1000 + 26 * 3600, UTC)
    assert made == {
        "id": made["id"],
        "ownerX500Name": "O=Alice, L=London, C=GB",
        "status": "AVAILABLE",
        "ttl": made["ttl"],
        "creationRemark": "for the trial",
        "removalRemark": None,
    }
    assert datetime.fromisoformat(made["ttl"]) == expires
    endless = rest.post(tokens, json={"ownerX500Name": BOB}).json()
    assert endless["ttl"] is None

    assert len(rest.get(tokens).json()) == 2
    assert rest.get(tokens, params={"ownerX500Name": BOB}).json() == [endless]
    assert rest.get(tokens, params={"preAuthTokenId": made["id"].upper()}).json() == [made]
    revoke = f"{tokens}/revoke/{made['id']}"
    revoked = rest.put(revoke, json={"remarks": "Additional authentication required."}).json()
    assert (revoked["status"], revoked["removalRemark"]) == (
        "REVOKED",
        "Additional authentication required.",
    )
    assert rest.put(revoke).status_code == 409
    assert rest.put(f"{tokens}/revoke/{UNKNOWN}").status_code == 404
    assert rest.put(f"{tokens}/revoke/{endless['id']}").json()["removalRemark"] is None
    assert rest.get(tokens).json() == []
    assert len(rest.get(f"{tokens}?viewInactive=true").json()) == 2


def test_a_token_that_has_expired_is_listed_among_inactive_ones_alone(rest, network, mgm):
    tokens = f"{mgm}/preauthtoken"
    rest.post(tokens, json={"ownerX500Name": BOB, "ttl": "PT1S"})
    network.clock.advance(1000)
    assert rest.get(tokens).json() == []
    assert len(rest.get(f"{tokens}?viewInactive=true").json()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ownerX500Name": "Alice"},
        {"ownerX500Name": BOB, "ttl": "4 days"},
        {"ownerX500Name": BOB, "ttl": "PT0S"},
        {"ownerX500Name": BOB, "remarks": "x" * 1025},
    ],
)
def test_requests_for_tokens_are_checked(rest, mgm, body):
    assert rest.post(f"{mgm}/preauthtoken", json=body).status_code == 400
    assert rest.get(f"{mgm}/preauthtoken?preAuthTokenId=1").status_code == 400


def test_members_are_suspended_by_the_serial_that_was_seen(rest, host, network, mgm):
    network.join(ALICE, 1)
    network.settle()
    asked = {"x500Name": ALICE, "serialNumber": "1", "reason": "an audit"}

    assert rest.post(f"{mgm}/suspend", json={**asked, "serialNumber": "7"}).status_code == 409
    assert rest.post(f"{mgm}/suspend", json={"x500Name": ALICE}).status_code == 400
    assert rest.post(f"{mgm}/suspend", json={**asked, "x500Name": BOB}).status_code == 404
    name = str(identity("O=MGM, L=London, C=GB").x500_name)
    assert rest.post(f"{mgm}/suspend", json={**asked, "x500Name": name}).status_code == 400
    assert rest.post(f"{mgm}/activate", json=asked).status_code == 409
    assert rest.post(f"{mgm}/suspend", json={"suspensionParams": asked}).status_code == 204
    (act, *_) = _acts(host)
    assert act.act.parameters == asked
    assert rest.post(f"{mgm}/suspend", json={**asked, "serialNumber": 2}).status_code == 409
    assert rest.post(f"{mgm}/activate", json={**asked, "serialNumber": 2}).status_code == 204


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: {"newGroupParameters": p}])
@pytest.mark.parametrize("inner", [lambda p: p, lambda p: {"parameters": p}])
def test_group_parameters_are_replaced(rest, host, mgm, wrap, inner):
    given = {"corda.minimum.platform.version": "50200", "ext.group.key.0": "value0"}
    reply = rest.post(f"{mgm}/group-parameters", json=wrap(inner(given)))
    assert reply.status_code == 200, reply.text
    found = reply.json()["parameters"]
    assert found == {**given, "corda.epoch": "2", "corda.modifiedTime": found["corda.modifiedTime"]}
    (act, *_) = _acts(host)
    assert act.act.parameters == inner(given)


@pytest.mark.parametrize(
    "given",
    [
        {"corda.epoch": "9"},
        {"corda.minimum.platform.version": "4"},
        {"ext.a": "x" * 801},
        {"ext." + "a" * 125: "x"},
        {f"ext.{n}": "x" for n in range(101)},
        {"ext.a": 1.5},
        {"ext.a": None},
    ],
)
def test_group_parameters_outside_their_limits_are_refused(rest, mgm, given):
    assert rest.post(f"{mgm}/group-parameters", json=given).status_code == 400


def test_subjects_of_client_certificates_are_kept_for_mutual_tls_alone(rest, network, mgm):
    subjects = f"{mgm}/mutual-tls/allowed-client-certificate-subjects"
    subject = "CN=CordaOperator,C=GB,L=London,O=Org"
    for method, path in (("GET", ""), ("PUT", f"/{subject}"), ("DELETE", f"/{subject}")):
        assert rest.request(method, f"{subjects}{path}").status_code == 400
    _mutual(network)

    for _ in range(2):
        assert rest.put(f"{subjects}/{subject}").status_code == 204
    assert rest.get(subjects).json() == ["CN=CordaOperator, O=Org, L=London, C=GB"]
    assert rest.put(f"{subjects}/CN=Operator").status_code == 400
    for _ in range(2):
        assert rest.delete(f"{subjects}/O=Org, L=London, C=GB, CN=CordaOperator").status_code == 204
    assert rest.get(subjects).json() == []


@pytest.mark.parametrize(
    ("text", "millis"),
    [("P4D", 345_600_000), ("PT15M", 900_000), ("pt1.5s", 1500), ("P36500D", MILLIS_MAX)],
)
def test_durations_are_those_of_iso_8601(text, millis):
    assert duration_ms(text) == millis


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "4D", "P1M", "P1Y", "-P1D", "P-1D", "P36501D", "PT0.0001S", "5"]
)
def test_what_is_no_positive_duration_is_refused(text):
    with pytest.raises(RequestInvalidError):
        duration_ms(text)


def test_health_of_a_node_is_told(api, alice):
    assert api.get(f"{API}/network/{alice}/health").json() == {
        "holdingIdentityShortHash": alice,
        "isSetUp": False,
        "certificates": [],
        "listVersion": None,
        "listTimestamp": None,
        "listAgeSeconds": None,
        "forkTimestamp": None,
    }
    assert api.get(f"{API}/network/{NOWHERE}/health").status_code == 404
