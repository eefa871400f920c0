"""The console's pages and actions on a whole host: who may look, what is shown, what is refused."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from host.access.permissions import Effect, Permission
from host.access.sessions import IDLE_MS, WHOLE_MS
from host.console.actions import ACTIONS
from host.console.app import COOKIE
from host.console.page_table import PAGES
from host.domain.ids import short_hash_of
from tests.rest.conftest import ALICE, PASSWORD

SAME = {"sec-fetch-site": "same-origin"}
VOID = {"meta", "link", "input", "br", "img", "hr"}
HOSTILE = "<script>alert(1)</script>"


class Checked(HTMLParser):
    """Tags are closed in their order; nothing is styled or scripted inline; ids are unique."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.found = [], set(), []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        assert "style" not in names, tag
        assert not [name for name in names if name.startswith(("on", "hx-"))], names
        assert tag != "script" or names.get("src", "").startswith("/console/static/")
        if "id" in names:
            assert names["id"] not in self.ids, names
            self.ids.add(names["id"])
        self.found.append((tag, names))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag, tag


def checked(html):
    parser = Checked()
    parser.feed(html)
    assert parser.open == []
    return parser


@pytest.fixture
def browser(host):
    """A browser that has not signed in."""
    client = TestClient(host.asgi, base_url="https://testserver", follow_redirects=False)
    with client:
        yield client


def sign_in(client, login_name="admin", password=PASSWORD):
    form = {"login_name": login_name, "password": password}
    return client.post("/console/sign-in", data=form, headers=SAME)


@pytest.fixture
def admin(browser):
    assert sign_in(browser).status_code == 303
    return browser


def token(client):
    return re.search(r'name="token" value="([0-9a-f]{64})"', client.get("/console").text)[1]


def send(client, path, **form):
    return client.post(path, data={"token": token(client), **form}, headers=SAME)


@pytest.fixture
def flow(api, alice, polled):
    """Starts a flow that fails, since its code is missing."""

    def start(request_id="console-1"):
        body = {"clientRequestId": request_id, "flowClassName": "demo.Any", "requestBody": {}}
        api.post(f"/api/v5_3/flow/{alice}", json=body)
        polled(f"/api/v5_3/flow/{alice}/{request_id}", lambda s: s["flowStatus"] == "FAILED")
        return request_id

    return start


def paths(alice, cpi):
    values = {
        "node": alice,
        "request": "console-1",
        "checksum": short_hash_of(cpi.file_checksum),
        "transaction": "SHA-256D:" + "AB" * 32,
        "verdict": "approve",
        "letter": "1-0-0",
        "login": "admin",
        "name": "corda.rbac",
    }
    return {template: "/console" + template.format_map(values) for template in PAGES}


def test_a_visitor_signs_in_first_and_gets_back_to_the_page(browser):
    answer = browser.get("/console/nodes?wanted=hurting")
    assert (
        answer.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fnodes%3Fwanted%3Dhurting"
    )
    assert browser.get("/console/nodes?part=rows").status_code == 401
    checked(browser.get("/console/sign-in").text)
    form = {"login_name": "admin", "password": PASSWORD, "next": "/console/nodes?wanted=hurting"}
    answer = browser.post("/console/sign-in", data=form, headers=SAME)
    assert answer.headers["location"] == "/console/nodes?wanted=hurting"
    flags = answer.headers["set-cookie"]
    assert flags.startswith(f"{COOKIE}=")
    assert all(flag in flags for flag in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"))
    assert "Domain" not in flags


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/api", "/console\\..", "/consolex"]
)
def test_sign_in_leads_nowhere_else(browser, elsewhere):
    form = {"login_name": "admin", "password": PASSWORD, "next": elsewhere}
    answer = browser.post("/console/sign-in", data=form, headers=SAME)
    assert answer.headers["location"] == "/console"


def test_every_page_is_whole_safe_and_not_kept(admin, alice, cpi, flow):
    flow()
    for template, path in paths(alice, cpi).items():
        answer = admin.get(path)
        expected = 404 if {"{transaction}", "{letter}"} & set(template.split("/")) else 200
        assert answer.status_code == expected, (path, answer.text[:300])
        parser = checked(answer.text)
        assert sum(tag == "h1" for tag, _ in parser.found) == 1, path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.content) < 100_000
    assert "It failed with" in admin.get(f"/console/flows/{alice}/console-1").text


def test_static_files_are_served_under_their_digest_alone(admin):
    for path in re.findall(r'(?:href|src)="(/console/static/[^"]+)"', admin.get("/console").text):
        answer = admin.get(path)
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
        other = re.sub("/[0-9a-f]{16}/", "/0000000000000000/", path)
        assert admin.get(other).status_code == 404


def test_a_part_is_answered_alone_and_not_again_while_it_is_the_same(admin, alice, flow):
    flow()
    url = f"/console/flows/{alice}/console-1?part=standing"
    first = admin.get(url)
    assert first.text.startswith("<section")
    assert "<html" not in first.text
    again = admin.get(url, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert admin.get("/console?part=numbers").text.count("<section") > 3
    assert "<html" in admin.get("/console?part=no-such").text


def test_forms_need_the_sessions_token_and_a_page_of_this_host(admin, alice, api):
    path = f"/console/nodes/{alice}/quota"
    good = token(admin)
    for headers, form in (
        ({"sec-fetch-site": "cross-site"}, good),
        ({"sec-fetch-site": "same-site"}, good),
        ({"sec-fetch-site": "none"}, good),
        ({}, good),
        ({"origin": "https://evil.example"}, good),
        (SAME, ""),
        (SAME, "0" * 64),
    ):
        answer = admin.post(path, data={"token": form, "seen": "{}"}, headers=headers)
        assert answer.status_code == 403, (headers, form)
    by_origin = {"origin": "https://testserver"}
    form = {"token": good, "seen": "{}", "quota-flowsOpenMax": "77"}
    assert admin.post(path, data=form, headers=by_origin).status_code == 303
    assert api.get(f"/api/v5_3/virtualnode/{alice}/quota").json()["overrides"] == {
        "flowsOpenMax": 77
    }
    assert sign_in_from(admin, "cross-site") == 403


def sign_in_from(client, site):
    form = {"login_name": "admin", "password": PASSWORD}
    return client.post("/console/sign-in", data=form, headers={"sec-fetch-site": site}).status_code


def test_the_cookie_opens_the_console_alone_and_basic_credentials_do_not(admin, api):
    assert admin.get("/api/v5_3/virtualnode").status_code == 401
    assert api.get("/console", follow_redirects=False).status_code == 303


def test_reading_changes_nothing(admin, alice, cpi, host, flow):
    flow()
    before = len(host.services.administrative_log.page(_all(), before=None, limit=500))
    for path in paths(alice, cpi).values():
        admin.get(path)
    for template in ACTIONS:
        admin.get("/console" + template.replace("{node}", alice).replace("{request}", "console-1"))
    assert len(host.services.administrative_log.page(_all(), before=None, limit=500)) == before


def _all():
    from host.nodes.audit_log.administrative import ActQuery

    return ActQuery()


def test_an_action_is_done_recorded_and_told(admin, alice, api):
    path = f"/console/nodes/{alice}"
    asked = admin.get(f"{path}/maintenance").text
    assert "Type " + alice in asked
    wrong = send(admin, f"{path}/maintenance", typed="something")
    assert (wrong.status_code, "not the node" in wrong.text) == (400, True)
    done = send(admin, f"{path}/maintenance", typed=alice.lower())
    assert done.headers["location"] == f"{path}?done=maintenance"
    page = admin.get(done.headers["location"]).text
    assert "The node is in maintenance." in page
    assert f'action="{path}/activate"' in page
    assert send(admin, f"{path}/activate").status_code == 303
    act = api.get("/api/v5_3/administrativelog", params={"limit": 1}).json()["acts"][0]
    assert (act["user"], act["source"], act["code"]) == ("admin", "console", "ok")
    assert act["path"].endswith(f"/virtualnode/{alice}/state/ACTIVE")


def test_a_flow_is_started_once_and_an_ended_one_is_not_killed(admin, alice, polled):
    path = f"/console/nodes/{alice}/start"
    asked = admin.get(path).text
    request_id = unescape(re.search(r'name="request_id"[^>]* value="([^"]+)"', asked)[1])
    form = {"flow_class": "demo.Any", "request_id": request_id, "body": "{}"}
    assert send(admin, path, **form).headers["location"].endswith("?done=started")
    assert send(admin, path, **form).status_code in (303, 409)
    polled(f"/api/v5_3/flow/{alice}/{request_id}", lambda s: s["flowStatus"] == "FAILED")
    page = f"/console/flows/{alice}/{request_id}"
    assert 'title="its flow has ended"' in admin.get(page).text
    refused = send(admin, f"{page}/kill", reason="too late")
    assert (refused.status_code, "has ended already" in refused.text) == (409, True)
    broken = send(admin, path, **{**form, "request_id": "other", "body": "{"})
    assert (broken.status_code, "is no JSON" in broken.text) == (400, True)


def test_a_quota_that_changed_meanwhile_is_asked_again(admin, alice, api):
    path = f"/console/nodes/{alice}/quota"
    seen = unescape(re.search(r'name="seen" value="([^"]*)"', admin.get(path).text)[1])
    api.put(
        f"/api/v5_3/virtualnode/{alice}/quota", json={"request": {"overrides": {"fuelMax": 1000}}}
    )
    late = send(admin, path, seen=seen, **{"quota-fuelMax": "5"})
    assert (late.status_code, "was changed since" in late.text) == (409, True)
    assert 'value="1000"' in late.text
    seen = unescape(re.search(r'name="seen" value="([^"]*)"', late.text)[1])
    refused = send(admin, path, seen=seen, **{"quota-fuelMax": "-5"})
    assert (refused.status_code, "quota-invalid" in refused.text) == (400, True)
    assert send(admin, path, seen=seen).status_code == 303
    assert api.get(f"/api/v5_3/virtualnode/{alice}/quota").json()["overrides"] == {}


def test_a_package_is_uploaded_and_a_node_created_or_refused(admin, cpi):
    form = {"token": token(admin)}
    file = {"file": ("bad.cpi", b"no archive")}
    refused = admin.post("/console/packages/upload", data=form, files=file, headers=SAME)
    assert refused.status_code in (303, 400)
    none = admin.post("/console/packages/upload", data=form, headers=SAME)
    assert (none.status_code, "No file was chosen" in none.text) == (400, True)
    choice = f"{short_hash_of(cpi.file_checksum)} demo 1.0.0"
    assert choice in unescape(admin.get("/console/nodes/create").text)
    refused = send(admin, "/console/nodes/create", cpi=choice, x500_name="nonsense")
    assert refused.status_code == 400
    assert 'value="nonsense"' in refused.text
    again = send(admin, "/console/nodes/create", cpi=choice, x500_name=ALICE)
    assert (again.status_code, ALICE in again.text) == (409, True)


@pytest.fixture
def reader(services, browser, alice):
    """May see one node, and nothing else."""
    allowed = [rf"GET:/api/v5_3/virtualnode/{alice}.*", rf"GET:/api/v5_3/glance/flow/{alice}.*"]
    permissions = tuple(Permission(effect=Effect.ALLOW, pattern=p) for p in allowed)
    name = f"reader-{alice.lower()}"
    if not services.users.exists(name):
        services.users.create(name, "first", full_name="Reader", permissions=permissions)
    assert sign_in(browser, name, "first").status_code == 303
    return browser


def test_a_user_sees_and_does_only_what_rest_allows(reader, alice, api):
    overview = reader.get("/console")
    assert overview.status_code == 200
    assert overview.text.count("Not shown to you") >= 2
    node = reader.get(f"/console/nodes/{alice}").text
    assert ALICE in node
    for absent in ("Start a flow", "Set quota", "Pause", "Maintenance", "Make active"):
        assert absent not in node
    assert "Not shown to you" in reader.get("/console/nodes").text
    assert reader.get(f"/console/ledger/{alice}/SHA-256D:{'AB' * 32}").status_code == 403
    refused = send(reader, f"/console/nodes/{alice}/maintenance", typed=alice)
    assert refused.status_code == 403
    assert send(reader, f"/console/nodes/{alice}/pause").status_code == 403
    acts = api.get("/api/v5_3/administrativelog", params={"limit": 1}).json()["acts"]
    assert (acts[0]["user"], acts[0]["refused"]) == (f"reader-{alice.lower()}", True)


def test_a_session_ends_by_sign_out_by_time_and_by_a_new_password(
    host, browser, somebody, services, monkeypatch
):
    login_name, password = somebody
    gate_clock = host.services.clock

    def signed_in():
        assert sign_in(browser, login_name, password).status_code == 303
        assert browser.get("/console").status_code == 200

    signed_in()
    old = browser.cookies[COOKIE]
    assert send(browser, "/console/sign-out").status_code == 303
    browser.cookies.set(COOKIE, old)
    assert browser.get("/console").status_code == 303
    browser.cookies.clear()
    for later in (IDLE_MS, WHOLE_MS):
        signed_in()
        now = gate_clock.now_ms() + later
        with monkeypatch.context() as patched:
            patched.setattr(type(gate_clock), "now_ms", lambda _self, now=now: now)
            assert browser.get("/console").status_code == 303
        browser.cookies.clear()
    signed_in()
    services.users.change_password(login_name, "second")
    assert browser.get("/console").status_code == 303
    assert sign_in(browser, login_name, "second").status_code == 303
    other = browser.cookies[COOKIE]
    assert send(browser, "/console/sign-out", everywhere="yes").status_code == 303
    browser.cookies.set(COOKIE, other)
    assert browser.get("/console").status_code == 303


def test_what_strangers_wrote_stays_text(admin, api, alice):
    bad = f"{HOSTILE}\u202e"
    api.put(f"/api/v5_3/virtualnode/{alice}/state/{HOSTILE}")
    for path in (
        f"/console/nodes?q={bad}",
        f"/console/search?q={bad}",
        f"/console/log?user={bad}&resource=%22%3E{HOSTILE}",
        f"/console/flows?node={bad}",
        f"/console/nodes/{alice}?done={bad}",
        "/console/log",
    ):
        html = admin.get(path).text
        assert HOSTILE not in html
        assert "\u202e" not in html
        checked(html)


def test_wrong_passwords_are_slowed_down_like_those_of_rest(browser, somebody):
    login_name, _ = somebody
    answers = [sign_in(browser, login_name, "x").status_code for _ in range(5)]
    assert answers[0] == 401
    assert 429 in answers
