"""CPIs, certificates, virtual nodes, registration and members over REST."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from cpi.crypto.keys import load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from host.domain.ids import HoldingIdentity, short_hash_of
from host.domain.x500 import MemberX500Name

GROUP_ID = "6b3c2d6e-1c22-4d6e-9d3c-222222222222"
ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
CLUSTER = "/api/v5_2/certificate/cluster/code-signer"


def code_of(reply):
    return reply.json()["details"]["code"]


def test_stored_cpis_are_listed_with_cordas_handles(api, cpi):
    (listed,) = api.get("/api/v5_2/cpi").json()["cpis"]
    assert listed["id"]["cpiName"] == "demo"
    assert listed["cpiFileChecksum"] == short_hash_of(cpi.file_checksum)
    assert listed["cpiFileFullChecksum"] == cpi.file_checksum.partition(":")[2]
    assert listed["cpks"][0]["libraries"] == ["lib.py"]
    assert listed["timestamp"] == "2026-09-21T14:13:20Z"


@pytest.mark.parametrize("path", ["/cpi", "/maintenance/virtualnode/forcecpiupload"])
def test_an_upload_that_is_no_package_is_refused_and_not_stored(api, path):
    before = api.get("/api/v5_2/cpi").json()
    reply = api.post(f"/api/v5_2{path}", files={"upload": ("x.cpi", b"no archive")})
    assert reply.status_code == 400
    assert code_of(reply) == "package-upload-refused"
    assert api.get("/api/v5_2/cpi").json() == before


def test_an_upload_without_its_file_is_refused(api):
    reply = api.post("/api/v5_2/cpi", files={"other": b"x"})
    assert (reply.status_code, reply.json()["details"]["fields"]) == (400, "upload")
    assert api.post("/api/v5_2/cpi", content=b"x").status_code == 400


def test_an_upload_that_is_too_long_is_refused_with_cordas_words(api):
    reply = api.post("/api/v5_2/cpi", files={"upload": b"x" * 100_001})
    assert reply.status_code == 400
    assert re.fullmatch(
        r"Content length is \d+ which exceeds the maximum limit of 100000\.", reply.json()["title"]
    )


def test_an_unknown_upload_is_400(api):
    assert api.get("/api/v5_2/cpi/status/nope").status_code == 400


def test_code_signer_certificates_are_imported_and_read_back(api, tmp_path):
    keystore = tmp_path / "k.p12"
    keystore.write_bytes(
        create_keystore(
            alias="me",
            password="password",
            distinguished_name="CN=Signer, O=Acme, L=London, C=GB",
        )
    )
    key = load_signing_key(keystore, password="password", alias="me")
    pem = key.certificate_chain[0].public_bytes(Encoding.PEM)
    reply = api.put(CLUSTER, data={"alias": "me"}, files={"certificate": pem})
    assert (reply.status_code, reply.content) == (204, b"")
    assert api.get(CLUSTER).json() == ["me"]
    read = api.get(f"{CLUSTER}/me")
    assert read.headers["content-type"] == "application/json"
    assert x509.load_pem_x509_certificate(read.content) == key.certificate_chain[0]
    assert api.get(f"{CLUSTER}/you").status_code == 404


@pytest.mark.parametrize(
    ("usage", "alias", "content"),
    [("code-signer", "a", b"no pem"), ("code-signer", "", b"x"), ("no-usage", "a", b"x")],
)
def test_bad_certificates_aliases_and_usages_are_400(api, usage, alias, content):
    path = f"/api/v5_2/certificate/cluster/{usage}"
    reply = api.put(path, data={"alias": alias}, files={"certificate": content})
    assert reply.status_code == 400


def test_a_virtual_node_is_shown_as_corda_shows_it(api, alice):
    shown = api.get(f"/api/v5_2/virtualnode/{alice}").json()
    holding = HoldingIdentity(x500_name=MemberX500Name.parse(ALICE), group_id=GROUP_ID)
    assert shown["holdingIdentity"] == {
        "x500Name": ALICE,
        "groupId": GROUP_ID,
        "shortHash": holding.short_hash,
        "fullHash": holding.full_hash,
    }
    assert shown["cpiIdentifier"]["cpiName"] == "demo"
    assert shown["flowP2pOperationalStatus"] == "ACTIVE"
    assert shown in api.get("/api/v5_2/virtualnode").json()["virtualNodes"]


@pytest.mark.parametrize(
    ("checksum", "name", "status"),
    [
        (None, "O=Alice", 400),
        (None, "not a name", 400),
        ("ABC", BOB, 400),
        ("000000000000", BOB, 400),
        (None, ALICE, 409),
    ],
)
def test_bad_and_double_virtual_nodes_are_refused(api, alice, cpi, checksum, name, status):
    body = {"cpiFileChecksum": checksum or short_hash_of(cpi.file_checksum), "x500Name": name}
    reply = api.post("/api/v5_2/virtualnode", json=body)
    assert reply.status_code == status
    assert set(reply.json()) == {"title", "status", "details"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/virtualnode/xyz", 400),
        ("/virtualnode/000000000000", 404),
        ("/virtualnode/status/nope", 404),
        ("/flowclass/000000000000", 404),
        ("/members/000000000000", 404),
        ("/membership/000000000000", 404),
        ("/flow/xyz", 400),
        ("/flow/000000000000", 404),
    ],
)
def test_bad_short_hashes_are_400_and_unknown_ones_404(api, path, status):
    assert api.get(f"/api/v5_2{path}").status_code == status


def test_maintenance_switches_flow_starts_off_with_405(api, node_of, cpi):
    node = node_of("O=Carol, L=London, C=GB")
    reply = api.put(f"/api/v5_2/virtualnode/{node}/state/MAINTENANCE")
    assert reply.json() == {"holdingIdShortHash": node, "newState": "MAINTENANCE"}
    body = {"clientRequestId": "m", "flowClassName": "demo.Any", "requestBody": {}}
    refused = api.post(f"/api/v5_2/flow/{node}", json=body)
    assert refused.status_code == 405
    assert refused.json()["title"] == (
        f"Flow start capabilities of virtual node {node} are not operational."
    )
    assert api.put(f"/api/v5_2/virtualnode/{node}/state/ACTIVE").status_code == 200
    assert api.post(f"/api/v5_2/flow/{node}", json=body).status_code == 202
    assert api.put(f"/api/v5_2/virtualnode/{node}/state/SLEEPING").status_code == 400


def test_a_paused_node_starts_no_flows_and_is_shown_as_paused(api, node_of, cpi):
    node = node_of("O=Paula, L=London, C=GB")
    reply = api.put(f"/api/v5_2/virtualnode/{node}/state/paused")
    assert reply.json() == {"holdingIdShortHash": node, "newState": "PAUSED"}
    body = {"clientRequestId": "p", "flowClassName": "demo.Any", "requestBody": {}}
    refused = api.post(f"/api/v5_2/flow/{node}", json=body)
    assert (refused.status_code, refused.json()["details"]["code"]) == (405, "virtual-node-paused")
    shown = api.get(f"/api/v5_2/virtualnode/{node}").json()
    assert shown["state"] == "PAUSED"
    assert shown["flowOperationalStatus"] == shown["flowStartOperationalStatus"] == "INACTIVE"
    assert shown["flowP2pOperationalStatus"] == shown["vaultDbOperationalStatus"] == "ACTIVE"
    assert 'cordbox_virtual_nodes{state="PAUSED"} 1.0' in api.get("/metrics").text
    assert api.put(f"/api/v5_2/virtualnode/{node}/state/ACTIVE").status_code == 200
    assert api.post(f"/api/v5_2/flow/{node}", json=body).status_code == 202
    assert api.get(f"/api/v5_2/virtualnode/{node}").json()["state"] == "ACTIVE"


def test_members_register_and_see_each_other(api, alice, node_of, polled):
    body = {"memberRegistrationRequest": {"context": {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}}}
    bob = node_of(BOB)
    for node in (alice, bob):
        progress = api.post(f"/api/v5_2/membership/{node}", json=body).json()
        assert progress["registrationStatus"] == "SUBMITTED"
        assert progress["availableNow"] is True
        path = f"/api/v5_2/membership/{node}/{progress['registrationId']}"
        done = polled(path, lambda r: r["registrationStatus"] == "APPROVED")
        assert done["memberInfoSubmitted"]["data"]
        assert api.get(f"/api/v5_2/membership/{node}").json() == [done]
    names = [
        m["memberContext"]["corda.name"]
        for m in api.get(f"/api/v5_2/members/{alice}").json()["members"]
    ]
    assert sorted(names) == [ALICE, BOB]
    found = api.get(f"/api/v5_2/members/{alice}", params={"O": "bob", "c": "gb"}).json()["members"]
    assert [m["memberContext"]["corda.name"] for m in found] == [BOB]
    path = f"/api/v5_2/members/{alice}?statuses=SUSPENDED&statuses=PENDING"
    assert api.get(path).json() == {"members": []}
    assert api.get(f"/api/v5_2/members/{alice}?statuses=ASLEEP").status_code == 400
    parameters = api.get(f"/api/v5_2/members/{alice}/group-parameters").json()["parameters"]
    assert {"corda.epoch", "corda.modifiedTime", "corda.minimum.platform.version"} <= set(
        parameters
    )


@pytest.mark.parametrize("context", [{}, {"corda.key.scheme": 5}, None])
def test_a_registration_without_a_usable_context_is_refused(api, node_of, context):
    name = f"O=Dave{len(str(context))}, L=London, C=GB"
    node = node_of(name)
    reply = api.post(f"/api/v5_2/membership/{node}", json={"context": context})
    assert reply.status_code == 400 or reply.json()["registrationStatus"] == "NOT_SUBMITTED"


def test_an_unknown_registration_is_404(api, alice):
    assert api.get(f"/api/v5_2/membership/{alice}/nope").status_code == 404


@pytest.mark.parametrize(
    "address", [b"\x01" * 5, b"", b"\x01" * 33, b"\x0a\x00\x00\x00\xff\x00\xff\x00"]
)
def test_a_certificate_with_a_malformed_name_constraint_is_refused_or_kept(api, address):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "constrained")])
    subtree = bytes([0x87, len(address)]) + address
    subtree = bytes([0x30, len(subtree)]) + subtree
    permitted = bytes([0xA0, len(subtree)]) + subtree
    constraints = bytes([0x30, len(permitted)]) + permitted
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.UnrecognizedExtension(ExtensionOID.NAME_CONSTRAINTS, constraints), critical=True
        )
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    reply = api.put(CLUSTER, data={"alias": "constrained"}, files={"certificate": pem})
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "certificate-refused")
