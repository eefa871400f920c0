"""Sign-in by a real provider, npm's oidc-provider: bearer tokens of REST, and the console."""

import json
import re
import ssl
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

from host.access.permissions import Effect, Permission
from host.adapters.os.system import SystemEntropy
from host.cli import main
from host.console.app import COOKIE
from host.console.external_sign_in import COOKIE as ON_THE_WAY
from host.settings.secret_box import SecretBox
from tests.support.hosts import listening, running_host
from tests.support.identity_provider import AUDIENCE, CODE, identity_provider

HOST = "https://testserver"
SECRET = "a client's secret: &=%+"
CALLBACK = "https://cli.example/callback"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    """Its URL, its certificate authority's file."""
    clients = [
        {
            "client_id": "cordbox",
            "client_secret": SECRET,
            "redirect_uris": [f"{HOST}/console/sign-in/callback"],
            **CODE,
        },
        {
            "client_id": "cli",
            "token_endpoint_auth_method": "none",
            "redirect_uris": [CALLBACK],
            **CODE,
        },
    ]
    groups = {"olga": ["ops"], "zoe": ["other"]}
    folder = tmp_path_factory.mktemp("issuer")
    with identity_provider(folder, clients=clients, groups=groups) as provider:
        yield provider.issuer, provider.ca_file


@pytest.fixture(scope="module")
def host(issuer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    (folder / "passphrase").write_text("pass\n")
    (folder / "salt").write_text("salt\n")
    url, ca_file = issuer
    with running_host(
        folder / "data",
        password="secret",
        plugins=("embedded", "oidc"),
        cache_dir=folder / "cache",
        flow_workers=1,
        secrets_passphrase_file=folder / "passphrase",
        secrets_salt_file=folder / "salt",
        oidc_issuer=url,
        oidc_client_id="cordbox",
        oidc_audience=AUDIENCE,
        oidc_public_url=HOST,
        oidc_label="Example",
        oidc_ca_file=ca_file,
        oidc_groups_claim="groups",
        oidc_groups=("ops=Operators",),
    ) as host:
        yield host


@pytest.fixture(scope="module")
def admin(host):
    with TestClient(host.asgi, base_url=HOST, follow_redirects=False) as client:
        client.auth = ("admin", "secret")
        box = SecretBox("pass", "salt").sealed(SECRET, SystemEntropy())
        body = {
            "section": "oidc.provider",
            "version": 0,
            "config": {
                "clientSecret": {
                    "configSecret": {"encryptedSecret": box.config_secret.encrypted_secret}
                }
            },
            "schemaVersion": {"major": 1, "minor": 0},
        }
        assert client.put("/api/v5_2/config", json=body).status_code == 202
        shown = client.get("/api/v5_2/config/oidc.provider").json()
        assert json.loads(shown["sourceConfig"]) == {"clientSecret": {"configSecret": {}}}
        role = host.services.roles.create("reader", group_visibility=None)
        host.services.roles.create_permissions([_may("GET:/api/v5_2/cpi")], role_ids=[role.id])
        group = host.services.groups.create("Operators")
        host.services.groups.assign_role(group.id, role.id)
        yield client


def _may(pattern):
    from host.access.roles import NewPermission

    return NewPermission(permission=Permission(effect=Effect.ALLOW, pattern=pattern))


def person(ca_file):
    """A browser, as far as forms and redirects go."""
    context = ssl.create_default_context(cafile=ca_file)
    return httpx2.Client(verify=context, follow_redirects=False, trust_env=False)


def walked(browser, url, login_name, end):
    """Sign in at the provider and consent; gives the URL by which it sends the browser back."""
    for _ in range(12):
        answer = browser.get(url)
        while answer.is_redirect:
            url = urljoin(url, answer.headers["location"])
            if url.startswith(end):
                return url
            answer = browser.get(url)
        assert answer.status_code == 200, answer.text
        action = re.search(r'<form[^>]*action="([^"]+)"', answer.text)[1]
        prompt = re.search(r'name="prompt" value="([^"]+)"', answer.text)[1]
        form = {"prompt": prompt}
        if prompt == "login":
            form |= {"login": login_name, "password": "any"}
        answer = browser.post(urljoin(url, action), data=form)
        url = urljoin(url, answer.headers["location"])
        if url.startswith(end):
            return url
    raise AssertionError(url)


VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture(scope="module")
def tokens(issuer):
    """Access and ID token of a user, got by another client than the host."""
    url, ca_file = issuer

    def of(login_name):
        with person(ca_file) as browser:
            query = (
                "response_type=code&client_id=cli&scope=openid%20api&state=s"
                f"&redirect_uri={CALLBACK}&code_challenge={CHALLENGE}&code_challenge_method=S256"
            )
            back = walked(browser, f"{url}/auth?{query}", login_name, CALLBACK)
            form = {
                "grant_type": "authorization_code",
                "code": parse_qs(urlsplit(back).query)["code"][0],
                "redirect_uri": CALLBACK,
                "client_id": "cli",
                "code_verifier": VERIFIER,
            }
            answer = browser.post(f"{url}/token", data=form)
            assert answer.status_code == 200, answer.text
            return answer.json()["access_token"], answer.json()["id_token"]

    return of


def asked(host, token, path="/api/v5_2/cpi"):
    with TestClient(host.asgi, base_url=HOST) as client:
        return client.get(path, headers={"authorization": f"Bearer {token}"})


def code_of(answer):
    return answer.status_code, answer.json()["details"]["code"]


def test_a_bearer_token_of_the_provider_signs_its_user_in(host, admin, tokens):
    access, id_token = tokens("nora")
    answer = asked(host, access)
    assert code_of(answer) == (401, "external-user-refused")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    body = {"loginName": "nora", "fullName": "Nora", "enabled": True}
    made = admin.post("/api/v5_2/user", json=body)
    assert (made.status_code, made.json()["ssoAuth"]) == (201, True)
    assert code_of(asked(host, access)) == (403, "forbidden"), "a user without roles"
    (role,) = [each for each in host.services.roles.all() if each.name == "reader"]
    assert admin.put(f"/api/v5_2/user/nora/role/{role.id}").status_code == 200
    assert asked(host, access).status_code == 200, "in force with the next request"
    assert admin.delete(f"/api/v5_2/user/nora/role/{role.id}").status_code == 200
    assert code_of(asked(host, access)) == (403, "forbidden")
    assert code_of(asked(host, id_token)) == (401, "token-refused")
    assert code_of(asked(host, access[:-4] + "AAAA")) == (401, "token-refused")
    assert code_of(asked(host, "x" * 20_000)) == (401, "token-refused")


def test_a_user_of_the_provider_has_no_password_and_others_are_not_taken_over(host, admin, tokens):
    users = host.services.users
    users.create("vera", None, full_name="Vera")
    users.create("paul", "paul's", full_name="Paul")
    for password in ("", "x"):
        answer = admin.get("/api/v5_2/cpi", auth=("vera", password))
        assert answer.status_code == 401
    body = {"username": "vera", "password": "new"}
    answer = admin.post("/api/v5_2/user/otheruserpassword", json=body)
    assert code_of(answer) == (400, "user-invalid")
    access, _ = tokens("paul")
    assert code_of(asked(host, access)) == (401, "external-user-refused")
    access, _ = tokens("admin")
    assert code_of(asked(host, access)) == (401, "external-user-refused")


def test_a_command_makes_users_without_a_password(host, admin, capsys):
    with listening(host.asgi) as address:
        options = ("--url", address, "--user", "admin", "--password", "secret")
        for words, code in ((("--sso",), 0), (("--sso", "--new-password-file", __file__), 2)):
            with pytest.raises(SystemExit) as left:
                main(["user", "create", "quinn", *words, *options])
            assert left.value.code == code, capsys.readouterr()
    assert host.services.users.get("quinn").sso


def test_a_group_of_the_provider_stands_for_one_of_the_cluster(host, admin, tokens):
    access, _ = tokens("olga")
    assert asked(host, access).status_code == 200
    assert asked(host, access, "/api/v5_2/user/admin").status_code == 403
    access, _ = tokens("zoe")
    assert code_of(asked(host, access)) == (401, "external-user-refused")


def test_the_document_names_both_ways_to_sign_in(admin):
    found = admin.get("/api/v5_2/swagger.json").json()
    assert found["components"]["securitySchemes"].keys() == {"basicAuth", "bearerAuth"}


@pytest.fixture
def browser(host):
    with TestClient(host.asgi, base_url=HOST, follow_redirects=False) as client:
        yield client


def sent(browser, following="/console/packages"):
    answer = browser.get(f"/console/sign-in/start?next={following}")
    assert answer.status_code == 303
    return answer.headers["location"]


def test_people_sign_in_to_the_console_by_the_provider(issuer, admin, browser):
    page = browser.get("/console/sign-in?next=/console/packages").text
    assert "Sign in by Example" in page
    url = sent(browser)
    (kept,) = [c for c in browser.cookies.jar if c.name == ON_THE_WAY]
    assert kept.secure
    assert kept.has_nonstandard_attr("HttpOnly")
    with person(issuer[1]) as elsewhere:
        back = walked(elsewhere, url, "olga", f"{HOST}/console/")
    answer = browser.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/packages")
    assert {c.name for c in browser.cookies.jar} == {COOKIE}
    flags = next(v for v in answer.headers.get_list("set-cookie") if v.startswith(f"{COOKIE}="))
    for flag in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert flag in flags
    assert "olga" in browser.get("/console/packages").text
    assert browser.get("/console/sign-in").status_code == 303

    assert browser.get(back).status_code == 403, "the answer serves once"
    with TestClient(browser.app, base_url=HOST, follow_redirects=False) as thief:
        assert thief.get(back).status_code == 403, "and only in the browser that was sent"
        assert COOKIE not in {c.name for c in thief.cookies.jar}


def test_a_code_that_served_and_an_answer_to_another_attempt_sign_nobody_in(issuer, admin, browser):
    url = sent(browser)
    cookie = browser.cookies[ON_THE_WAY]
    with person(issuer[1]) as elsewhere:
        back = walked(elsewhere, url, "olga", f"{HOST}/console/")
    assert browser.get(back).status_code == 303
    browser.cookies.clear()
    browser.cookies.set(ON_THE_WAY, cookie, domain="testserver.local", path="/")
    replayed = browser.get(back)
    assert replayed.status_code == 403
    assert "does not take its code back" in replayed.text
    other = sent(browser)
    assert other != url
    assert browser.get(back).status_code == 403
    for broken in ("", "x", "a.b", f"{'0' * 64}.%%%"):
        browser.cookies.clear()
        browser.cookies.set(ON_THE_WAY, broken, domain="testserver.local", path="/")
        assert browser.get(back).status_code == 403


def test_a_user_who_is_none_here_is_told_so_and_pages_elsewhere_are_not_gone_to(
    issuer, admin, browser
):
    url = sent(browser, "https://evil.example/")
    with person(issuer[1]) as elsewhere:
        back = walked(elsewhere, url, "zoe", f"{HOST}/console/")
    answer = browser.get(back)
    assert answer.status_code == 403
    assert "does not exist" in answer.text
    url = sent(browser, "//evil.example")
    with person(issuer[1]) as elsewhere:
        back = walked(elsewhere, url, "olga", f"{HOST}/console/")
    assert browser.get(back).headers["location"] == "/console"


def test_a_session_by_the_provider_ends_with_what_its_user_may(host, issuer, admin, browser):
    users = host.services.users
    users.create("rita", None, full_name="Rita")
    with person(issuer[1]) as elsewhere:
        back = walked(elsewhere, sent(browser), "rita", f"{HOST}/console/")
    assert browser.get(back).status_code == 303
    assert browser.get("/console").status_code == 200
    users.delete("rita")
    assert browser.get("/console").status_code == 303
