"""Everything that changes the host over REST leaves an intent and an outcome; reading leaves none."""

import json
from collections import Counter

import pytest

from host.access.permissions import Effect, Permission
from host.domain.errors import DiskFullError
from host.nodes.audit_log.administrative import ActQuery
from host.nodes.audit_log.administrative.floods import Floods
from host.nodes.audit_log.administrative.verification import verify_administrative_log
from host.rest.acts import NAMED, READS, SAFE_METHODS, is_act
from host.rest.app import VERSIONS, openapi_document

EVERYTHING = ActQuery()
LOG = "/api/v5_2/administrativelog"
VALUES = {
    "holdingidentityshorthash": "0123456789AB",
    "virtualnodeshortid": "0123456789AB",
    "tenantid": "0123456789AB",
    "keyid": "0123456789AB",
    "targetcpifilechecksum": "0123456789AB",
    "category": "LEDGER",
    "hsmcategory": "LEDGER",
    "scheme": "CORDA.ECDSA.SECP256R1",
    "usage": "code-signer",
    "newstate": "ACTIVE",
    "loginname": "nobody",
}


def operations():
    """Method and path, with values for its parameters, of every operation of every version."""
    for version in VERSIONS:
        for template, methods in openapi_document(version)["paths"].items():
            for method in methods:
                yield version, method.upper(), template


CERTIFICATES = {"alias": (None, "a"), "certificate": ("c.pem", b"x")}
UPLOAD = {"upload": ("x.cpi", b"x")}
FORMS = {
    "/certificate/cluster/{usage}": CERTIFICATES,
    "/certificate/vnode/{holdingidentityid}/{usage}": CERTIFICATES,
    "/certificate/{tenantid}/{usage}": CERTIFICATES,
    "/cpi": UPLOAD,
    "/maintenance/import/{requestid}/part": {"offset": (None, "0"), "part": ("part", b"x")},
    "/maintenance/virtualnode/forcecpiupload": UPLOAD,
}
"""A whole form for each operation that takes one: another one is refused before the act."""


def content_of(template):
    return {"files": FORMS[template]} if template in FORMS else {"content": b"{}"}


def path_of(version, template):
    known = {**dict.fromkeys(template.split("{")[1:], "x"), **VALUES}
    parts = [
        known.get(part[1:-1], "x1") if part.startswith("{") else part
        for part in template.split("/")
    ]
    return f"/api/{version}" + "/".join(parts)


@pytest.fixture
def log(services):
    return services.administrative_log


@pytest.fixture
def since(log):
    """The acts that begin after the test began, oldest first."""
    last = log.page(EVERYTHING, before=None, limit=1)
    before = last[0].seq if last else -1

    def since():
        found = log.page(EVERYTHING, before=None, limit=999)
        return [view for view in reversed(found) if view.seq > before]

    return since


def entries(log):
    log.settle()
    with log._register.reading() as reading:
        found = [json.loads(text) for _, text in reading.entries()]
    return [entry for entry in found if entry["kind"] != "genesis"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_that_changes_something_leaves_one_pair(api, log, since, version):
    seen = 0
    for own, method, template in operations():
        if own != version:
            continue
        before = len(entries(log))
        reply = api.request(method, path_of(version, template), **content_of(template))
        added = entries(log)[before:]
        if not is_act(method, template):
            assert added == [], (method, template)
            continue
        seen += 1
        assert [e["kind"] for e in added] == ["intent", "outcome"], (method, template)
        intent, outcome = added
        assert outcome["of"] == intent["seq"]
        assert (intent["method"], intent["operation"]) == (method, template)
        assert intent["user"] == "admin"
        assert outcome["status"] == reply.status_code
        assert (outcome["code"] == "ok") == reply.is_success
        assert intent["requestId"] == reply.headers["x-request-id"]
    assert seen > 10


def test_what_only_reads_is_named_by_its_method_or_in_one_list():
    acts = {(m, t) for _, m, t in operations() if is_act(m, t)}
    assert all(method not in SAFE_METHODS for method, _ in acts)
    assert {("POST", "/hello")} == READS
    nodes = {(m, t) for m, t in NAMED if t.startswith("/nodes/")}
    assert set(NAMED) - nodes - {("POST", "/user")} <= acts


def test_a_flow_by_its_nodes_own_interface_is_an_act_too(api, alice, since):
    reply = api.post(f"/nodes/{alice.lower()}/flows/demo.Any?clientrequestid=typed", json={})
    (view,) = since()
    assert view.act.path == f"/nodes/{alice}/flows/demo.Any?clientrequestid=typed"
    assert view.act.is_flow
    assert (view.status, view.result["clientRequestId"]) == (reply.status_code, "typed")


def test_who_did_what_is_told_with_chosen_values(api, since, cpi):
    body = {"request": {"cpiFileChecksum": "0123456789AB", "x500Name": "O=New, L=London, C=GB"}}
    reply = api.post("/api/v5_2/virtualnode", json=body, headers={"x-request-id": "mine-1"})
    (view,) = since()
    assert reply.status_code == 400
    act = view.act
    assert (act.source, act.user, act.request_id) == ("rest", "admin", "mine-1")
    assert act.address == "testclient"
    assert (act.method, act.path) == ("POST", "/api/v5_2/virtualnode")
    assert act.parameters == body["request"]
    assert (view.status, view.code) == (400, reply.json()["details"]["code"])


def test_no_password_is_kept(api, log, services, somebody, data_dir):
    secret = "correct horse battery staple"
    api.auth = somebody
    assert api.post("/api/v5_2/user/selfpassword", json={"password": secret}).status_code == 200
    api.auth = ("admin", "secret")
    body = {"request": {"username": somebody[0], "password": secret + "!"}}
    assert api.post("/api/v5_2/user/otheruserpassword", json=body).status_code == 200
    own, others = [e for e in entries(log) if e["kind"] == "intent"][-2:]
    assert own["parameters"] == "{}"
    assert json.loads(others["parameters"]) == {"username": somebody[0]}
    for file in data_dir.glob("cluster.sqlite*"):
        assert secret.encode() not in file.read_bytes()


def test_refusals_before_an_act_are_entries_without_an_intent(
    api, log, services, since, monkeypatch
):
    monkeypatch.setattr(log, "_floods", Floods())  # strangers of other tests are only counted now
    permission = Permission(effect=Effect.ALLOW, pattern="GET:.*")
    services.users.create("reader", "pw", full_name="", permissions=(permission,))
    assert api.post("/api/v5_2/virtualnode", json={}, auth=("reader", "pw")).status_code == 403
    assert api.post("/api/v5_2/virtualnode", json={}, auth=("reader", "bad")).status_code == 401
    assert api.put("/api/v5_2/virtualnode/0123456789AB/quota?x=1", json={}).status_code == 400
    api.auth = None
    assert api.post("/api/v5_2/virtualnode", json={}).status_code == 401
    views = since()
    assert [(v.act.user, v.status, v.is_refusal) for v in views] == [
        ("reader", 403, True),
        ("reader", 401, True),
        ("admin", 400, True),
        ("", 401, True),
    ]
    assert [v.code for v in views][:3] == ["forbidden", "not-authenticated", "query-key-unknown"]


def test_of_reads_the_refused_decisions_alone_leave_an_entry(api, since, somebody, services):
    services.users.create("looks-on", "pw", full_name="")
    assert api.get("/api/v5_2/cpi", auth=("nobody-at-all", "x")).status_code == 401
    assert api.get("/api/v5_2/nothing").status_code == 404
    assert since() == []
    assert api.get("/api/v5_2/cpi", auth=("looks-on", "pw")).status_code == 403
    (view,) = since()
    assert (view.act.user, view.act.path, view.status, view.code) == (
        "looks-on",
        "/api/v5_2/cpi",
        403,
        "forbidden",
    )


def test_a_stranger_who_varies_all_leaves_few_entries(api, log):
    before = len(entries(log))
    api.auth = None
    for number in range(300):
        api.post("/api/v5_2/virtualnode", json={}, headers={"authorization": f"Bearer {number}"})
        api.post(f"/api/v5_2/user/otheruserpassword?x={number}", json={})
    assert len(entries(log)) - before <= 4


def test_what_cannot_be_told_is_not_done(api, log, somebody, monkeypatch):
    def full(*_args, **_options):
        raise DiskFullError("/srv/cluster.sqlite: the disk is full", path="/srv")

    with monkeypatch.context() as patched:
        patched.setattr(log._register, "append", full)
        body = {"request": {"username": somebody[0], "password": "another"}}
        reply = api.post("/api/v5_2/user/otheruserpassword", json=body)
    assert reply.status_code == 503
    assert reply.json()["details"]["code"] == "act-not-recorded"
    assert "/srv" not in reply.text
    assert api.get("/api/v5_2/cpi", auth=somebody).status_code == 200
    assert api.get("/api/v5_2/cpi", auth=(somebody[0], "another")).status_code == 401


def test_the_log_is_read_in_pages_newest_first_and_filtered(api, since):
    for number in range(7):
        path = "selfpassword" if number % 2 else "otheruserpassword"
        api.post(f"/api/v5_2/user/{path}", json={}, headers={"x-request-id": f"page-{number}"})
    whole = api.get(LOG, params={"limit": 7}).json()["acts"]
    assert [act["requestId"] for act in whole] == [f"page-{n}" for n in range(6, -1, -1)]
    found, after = [], None
    for _ in range(4):
        query = {"limit": 2} if after is None else {"limit": 2, "after": after}
        reply = api.get(LOG, params=query)
        found += reply.json()["acts"]
        after = reply.headers["cordbox-next"]
    assert found[:7] == whole
    own = api.get(LOG, params={"resource": "selfpassword", "limit": 3}).json()["acts"]
    assert [act["requestId"] for act in own] == ["page-5", "page-3", "page-1"]
    assert api.get(LOG, params={"user": "nobody"}).json()["acts"] == []
    last = whole[0]["timestamp"]
    assert api.get(LOG, params={"until": last, "limit": 1}).json()["acts"] != whole[:1]
    some = api.get(LOG, params={"since": last}).json()["acts"]
    assert whole[0] in some


def test_reading_it_takes_a_permission_of_its_own(api, services):
    permission = Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_2/(cpi|virtualnode).*")
    services.users.create("no-auditor", "pw", full_name="", permissions=(permission,))
    assert api.get(LOG, auth=("no-auditor", "pw")).status_code == 403
    permission = Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_2/administrativelog.*")
    services.users.create("auditor", "pw", full_name="", permissions=(permission,))
    assert api.get(LOG, auth=("auditor", "pw")).status_code == 200
    assert api.get("/api/v5_2/cpi", auth=("auditor", "pw")).status_code == 403


def test_the_chain_of_all_that_is_good(api, alice, log, data_dir):
    for _ in range(31):
        reply = api.put(f"/api/v5_2/virtualnode/{alice}/quota", json={"overrides": {}})
        assert reply.status_code == 200
    log.settle()
    key = (data_dir / "secrets" / "audit-key").read_bytes()
    found = verify_administrative_log(log._register, key=key)
    assert (found.problem, found.unfinished) == (None, ())
    assert Counter(e["kind"] for e in entries(log))["intent"] > 30
