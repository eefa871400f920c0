"""HSMs, keys and key rotation over REST."""

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import SubjectAlternativeName, load_pem_x509_csr

from host.access.permissions import Effect, Permission
from host.keys import SCHEMES

BASE = "/api/v5_2"
EC = "CORDA.ECDSA.SECP256R1"
UNKNOWN = "0" * 12


def code_of(reply):
    return reply.json()["details"]["code"]


@pytest.fixture(scope="module")
def known():
    """Short hashes of this module's nodes."""
    return []


@pytest.fixture
def node(node_of, known):
    if not known:
        known.append(node_of("O=Keys, L=London, C=GB"))
    return known[0]


@pytest.fixture
def ledger(api, node):
    reply = api.post(f"{BASE}/hsm/soft/{node}/LEDGER")
    assert reply.status_code == 200
    return node


def make(api, tenant, alias, category="LEDGER", scheme=EC):
    path = f"{BASE}/key/{tenant}/alias/{alias}/category/{category}/scheme/{scheme}"
    return api.post(path)


def test_an_hsm_is_assigned_and_found(api, node):
    assert api.get(f"{BASE}/hsm/{node}/TLS").status_code == 404
    assigned = api.post(f"{BASE}/hsm/soft/{node}/TLS").json()
    assert (assigned["hsmId"], assigned["category"], assigned["deprecatedAt"]) == ("SOFT", "TLS", 0)
    assert api.post(f"{BASE}/hsm/soft/{node}/TLS").json() == assigned
    assert api.get(f"{BASE}/hsm/{node}/TLS").json() == assigned


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/hsm/{UNKNOWN}/TLS", 404, "not-found"),
        ("/hsm/nobody/TLS", 400, "short-hash-invalid"),
        ("/hsm/p2p/CHEESE", 404, "not-found"),
        ("/hsm/p2p/NOTARY", 404, "not-found"),
        (f"/key/{UNKNOWN}", 404, "not-found"),
        (f"/key/p2p/{UNKNOWN}", 404, "not-found"),
        ("/key/p2p/nokey", 400, "short-hash-invalid"),
        ("/key/p2p/schemes/NOTARY", 404, "not-found"),
        ("/key/p2p?orderby=SIZE", 400, "request-invalid"),
        ("/key/p2p?createdafter=yesterday", 400, "request-invalid"),
        ("/key/p2p?take=1001", 400, "request-invalid"),
        (f"/wrappingkey/rotation/{UNKNOWN}", 404, "not-found"),
    ],
)
def test_what_is_unknown_or_malformed_is_refused(api, path, status, code):
    reply = api.get(f"{BASE}{path}")
    assert (reply.status_code, code_of(reply)) == (status, code)


def test_a_tenant_whose_keys_were_never_rotated_has_no_rotation(api, node_of):
    node = node_of("O=Never rotated, L=London, C=GB")
    reply = api.get(f"{BASE}/wrappingkey/rotation/{node}")
    assert (reply.status_code, code_of(reply)) == (404, "not-found")


def test_a_key_is_made_listed_and_given_in_pem(api, ledger):
    made = make(api, ledger, "first")
    assert made.status_code == 200
    key_id = made.json()["id"]
    listed = api.get(f"{BASE}/key/{ledger}").json()[key_id]
    assert (listed["alias"], listed["hsmCategory"], listed["scheme"]) == ("first", "LEDGER", EC)
    assert listed["masterKeyAlias"].startswith(f"{ledger}-wrapping-")
    pem = api.get(f"{BASE}/key/{ledger}/{key_id}").text
    assert load_pem_public_key(pem.encode()).curve.name == "secp256r1"


def test_keys_that_cannot_be_made_are_refused(api, ledger):
    assert make(api, ledger, "twice").status_code == 200
    for reply, status, code in (
        (make(api, ledger, "twice"), 409, "key-alias-exists"),
        (make(api, ledger, "a b"), 400, "key-alias-invalid"),
        (make(api, ledger, "new", scheme="CORDA.CHEESE"), 400, "key-scheme-unknown"),
        (make(api, ledger, "new", category="CHEESE"), 404, "not-found"),
        (make(api, ledger, "new", category="NOTARY"), 404, "not-found"),
        (make(api, "p2p", "new", category="SESSION_INIT"), 400, "key-category-invalid"),
        (make(api, UNKNOWN, "new"), 404, "not-found"),
    ):
        assert (reply.status_code, code_of(reply)) == (status, code)


def test_the_list_is_filtered_ordered_and_paged(api, ledger):
    ids = {alias: make(api, ledger, alias).json()["id"] for alias in ("list-b", "list-a")}

    def aliases(query):
        found = api.get(f"{BASE}/key/{ledger}?{query}").json()
        return [key["alias"] for key in found.values() if key["alias"].startswith("list-")]

    assert aliases("orderby=ALIAS") == ["list-a", "list-b"]
    assert aliases("orderby=ALIAS_DESC") == ["list-b", "list-a"]
    assert aliases("orderby=alias&skip=0&take=1000") == ["list-a", "list-b"]
    assert aliases("alias=list-a") == ["list-a"]
    assert aliases("alias=list-a&skip=1") == []
    assert aliases("take=0") == []
    assert aliases("category=TLS") == []
    assert aliases("schemecodename=CORDA.RSA") == []
    assert aliases(f"masterkeyalias={ledger}-wrapping-99") == []
    assert aliases("createdafter=2999-01-01T00:00:00Z") == []
    assert aliases("createdbefore=2999-01-01T00:00:00Z&orderby=ALIAS") == ["list-a", "list-b"]
    assert aliases(f"id={ids['list-a']}&alias=list-b") == ["list-a"]


def test_the_schemes_of_a_category_are_listed(api, ledger):
    assert api.get(f"{BASE}/key/{ledger}/schemes/LEDGER").json() == list(SCHEMES)


def test_rotations_are_accepted_and_can_be_followed(api, ledger, poll_with):
    make(api, ledger, "rotated")
    for tenant, path in ((ledger, ledger), ("master", "master")):
        reply = api.post(f"{BASE}/wrappingkey/rotation/{path}")
        assert (reply.status_code, reply.json()["tenantId"]) == (202, tenant)
        done = poll_with(
            api, f"{BASE}/wrappingkey/rotation/{path}", lambda found: found["status"] == "DONE"
        )
        assert done["tenantId"] == tenant
        (counts,) = [
            counts["second"]
            for counts in done["rotatedKeyStatus"]
            if counts["first"].startswith(ledger)
        ]
        assert counts["rotatedKeys"] == counts["total"] > 0
        assert done["lastUpdatedTimestamp"] >= done["rotationInitiatedTimestamp"]
    aliases = {key["masterKeyAlias"] for key in api.get(f"{BASE}/key/{ledger}").json().values()}
    assert aliases == {f"{ledger}-wrapping-2"}


def test_a_rotation_in_progress_is_not_started_again(api, node, services):
    """What a crash of the host would leave, between the start and the first keys."""
    services.keys.start_rotation("p2p")
    reply = api.post(f"{BASE}/wrappingkey/rotation/p2p")
    assert (reply.status_code, code_of(reply)) == (403, "key-rotation-in-progress")
    services.keys.rotate_some("p2p")


def test_keys_need_permission(api, services, ledger):
    allowed = Permission(effect=Effect.ALLOW, pattern=f"GET:{BASE}/key/.*")
    services.users.create("reader", "secret", full_name="R", permissions=(allowed,))
    for method, path, status in (
        ("GET", f"/key/{ledger}", 200),
        ("POST", f"/key/{ledger}/alias/a/category/LEDGER/scheme/{EC}", 403),
        ("POST", f"/hsm/soft/{ledger}/LEDGER", 403),
        ("GET", "/wrappingkey/rotation/master", 403),
        ("POST", "/wrappingkey/rotation/master", 403),
    ):
        reply = api.request(method, f"{BASE}{path}", auth=("reader", "secret"))
        assert reply.status_code == status


def test_rotation_is_there_from_5_2_on(api):
    assert api.get("/api/v5_1/wrappingkey/rotation/master").status_code == 404
    paths = api.get(f"{BASE}/swagger.json").json()["paths"]
    assert {"/hsm/{tenantid}/{category}", "/wrappingkey/rotation/{tenantid}"} <= set(paths)


@pytest.mark.parametrize(
    ("scheme", "spec"),
    [
        (EC, None),
        (EC, "SHA512withECDSA"),
        ("CORDA.RSA", "SHA384withRSA"),
        ("CORDA.EDDSA.ED25519", None),
        ("CORDA.ECDSA.SECP256K1", None),
    ],
)
def test_a_certificate_signing_request_is_signed_by_the_key_that_stays(api, scheme, spec):
    # Nobody assigns an HSM to the cluster for its TLS keys, as in Corda.
    key_id = make(api, "p2p", f"tls-{scheme}-{spec}", "TLS", scheme).json()["id"]
    request = {
        "x500Name": "CN=host, O=Acme, L=London, C=GB",
        "subjectAlternativeNames": ["host.example", "*.example.org", "127.0.0.1", "::1"],
        "contextMap": {} if spec is None else {"signatureSpec": spec},
    }
    reply = api.post(f"{BASE}/certificate/p2p/{key_id}", json=request)
    assert reply.status_code == 200, reply.text
    csr = load_pem_x509_csr(reply.text.encode())
    assert csr.is_signature_valid
    assert csr.public_key() == load_pem_public_key(
        api.get(f"{BASE}/key/p2p/{key_id}").text.encode()
    )
    assert csr.subject.rfc4514_string() == "CN=host,O=Acme,L=London,C=GB"
    names = csr.extensions.get_extension_for_class(SubjectAlternativeName).value
    assert [str(name.value) for name in names] == request["subjectAlternativeNames"]
    if spec is not None:
        assert csr.signature_hash_algorithm.name.upper() == spec.partition("with")[0]


def test_subjects_of_requests_are_read_as_java_does(api):
    api.post(f"{BASE}/hsm/soft/p2p/TLS")
    key_id = make(api, "p2p", "quoted", "TLS").json()["id"]
    name = 'CN=host; O="Acme, Inc." , 2.5.4.7=Z\\C3\\BCrich, C=CH'
    reply = api.post(f"{BASE}/certificate/p2p/{key_id}", json={"x500Name": name})
    assert reply.status_code == 200, reply.text
    csr = load_pem_x509_csr(reply.text.encode())
    assert csr.subject.rfc4514_string() == "CN=host,O=Acme\\, Inc.,L=Zürich,C=CH"


def test_certificate_signing_requests_that_are_none_are_refused(api, node):
    api.post(f"{BASE}/hsm/soft/{node}/SESSION_INIT")
    key_id = make(api, node, "session", "SESSION_INIT").json()["id"]
    name = "O=Keys, L=London, C=GB"
    path = f"{BASE}/certificate/{node}/{key_id}"
    assert api.post(path, json={"x500Name": name}).status_code == 200
    for request, code in (
        ({"x500Name": "O=Other, L=London, C=GB"}, "csr-invalid"),
        ({"x500Name": name, "subjectAlternativeNames": ["a b"]}, "csr-invalid"),
        ({"x500Name": name, "subjectAlternativeNames": ["x.y"] * 101}, "csr-invalid"),
        ({"x500Name": name, "contextMap": {"signatureSpec": "X"}}, "signature-spec-invalid"),
        ({}, "request-invalid"),
    ):
        reply = api.post(path, json=request)
        assert (reply.status_code, code_of(reply)) == (400, code), reply.text
    unknown = api.post(f"{BASE}/certificate/{node}/{UNKNOWN}", json={"x500Name": name})
    assert unknown.status_code == 404
    api.post(f"{BASE}/hsm/soft/p2p/TLS")
    tls = make(api, "p2p", "names", "TLS", "CORDA.RSA").json()["id"]
    for x500_name in ("", "no name", "CN=" + "x" * 1025):
        reply = api.post(f"{BASE}/certificate/p2p/{tls}", json={"x500Name": x500_name})
        assert (reply.status_code, code_of(reply)) == (400, "csr-invalid")
    request = {"x500Name": name, "contextMap": {"signatureSpec": "SHA256withRSAandMGF1"}}
    assert code_of(api.post(f"{BASE}/certificate/p2p/{tls}", json=request)) == "csr-invalid"


def test_absent_objects_are_named_by_kind_and_id(api, node):
    for path, kind, named in (
        (f"/key/{node}/{UNKNOWN}", "key", UNKNOWN),
        ("/hsm/p2p/NOTARY", "HSM association", "p2p NOTARY"),
        (f"/virtualnode/{UNKNOWN}", "virtual node", UNKNOWN),
        (f"/flow/{node}/never", "flow", "never"),
        (f"/flow/{node}/never/history", "flow", "never"),
        ("/user/nobody", "user", "nobody"),
    ):
        reply = api.get(f"{BASE}{path}")
        details = reply.json()["details"]
        assert (reply.status_code, details["code"]) == (404, "not-found"), path
        assert (details["kind"], details["id"]) == (kind, named), path
