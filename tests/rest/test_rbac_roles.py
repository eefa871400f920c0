"""Roles and permissions over REST: what they allow, from the next request on, and what is refused."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.access import Effect, Permission, Roles, http_action, is_allowed, start_flow_action
from host.access.errors import PermissionInvalidError
from tests.rest.conftest import PASSWORD

V = "/api/v5_2"
NODE, OTHER = "0123456789AB", "BA9876543210"
NOBODY = str(uuid.UUID(int=0))


@pytest.fixture
def made(api):
    """Creates something by POST and gives the answer."""

    def make(path, **body):
        reply = api.post(f"{V}/{path}", json=body)
        assert reply.status_code == 201, reply.text
        return reply.json()

    return make


@pytest.fixture
def user(made, host):
    """A user without roles, and the credentials."""
    login = f"user-{uuid.uuid4().hex[:8]}"
    made("user", loginName=login.upper(), fullName="Some Body", enabled=True, initialPassword="pw")
    return login, "pw"


@pytest.fixture
def role(made):
    return made("role", roleName=f"role-{uuid.uuid4()}", groupVisibility="team")


def permission(made, pattern, effect="ALLOW", **more):
    return made("permission", permissionType=effect, permissionString=pattern, **more)


def put(api, path):
    reply = api.put(f"{V}/{path}")
    assert reply.status_code == 200, reply.text
    return reply.json()


def code(reply):
    return reply.status_code, reply.json()["details"]["code"]


def test_a_role_counts_from_the_next_request_on_and_no_longer_once_it_is_taken(
    api, made, user, role
):
    login, _ = user
    assert api.get(f"{V}/cpi", auth=user).status_code == 403
    allowed = permission(made, "GET:/api/v[_a-zA-Z0-9]{1,30}/cpi")
    put(api, f"role/{role['id']}/permission/{allowed['id']}")
    assert api.get(f"{V}/cpi", auth=user).status_code == 403
    seen = put(api, f"user/{login}/role/{role['id'].upper()}")
    assert [each["roleId"] for each in seen["roleAssociations"]] == [role["id"]]
    assert api.get(f"{V}/cpi", auth=user).status_code == 200
    denied = permission(made, f"GET:{V}/cpi", effect="DENY")
    changed = put(api, f"role/{role['id']}/permission/{denied['id']}")
    assert {each["id"] for each in changed["permissions"]} == {allowed["id"], denied["id"]}
    assert (changed["version"], changed["groupVisibility"]) == (2, "team")
    assert api.get(f"{V}/cpi", auth=user).status_code == 403
    assert api.delete(f"{V}/role/{role['id']}/permission/{denied['id']}").status_code == 200
    assert api.get(f"{V}/cpi", auth=user).status_code == 200
    assert api.delete(f"{V}/user/{login}/role/{role['id']}").status_code == 200
    assert api.get(f"{V}/cpi", auth=user).status_code == 403


def test_permissions_are_shown_and_found(api, made, user, role):
    prefix = f"GET:{V}/{uuid.uuid4()}/"
    for name in ("b", "a", "c"):
        permission(made, f"{prefix}{name}", virtualNode=NODE.lower(), groupVisibility="team")
    permission(made, f"{prefix}a", effect="DENY")
    query = {"limit": 2, "permissiontype": "ALLOW", "permissionstringprefix": prefix}
    found = api.get(f"{V}/permission", params=query).json()
    assert [each["permissionString"][-1] for each in found] == ["a", "b"]
    assert {each["virtualNode"] for each in found} == {NODE}
    for more, count in (({"virtualnode": OTHER}, 0), ({"groupvisibility": "team"}, 2)):
        assert len(api.get(f"{V}/permission", params={**query, **more}).json()) == count
    assert api.get(f"{V}/permission/{found[0]['id']}").json() == found[0]
    put(api, f"role/{role['id']}/permission/{found[0]['id']}")
    put(api, f"user/{user[0]}/role/{role['id']}")
    summary = api.get(f"{V}/user/{user[0]}/permissionsummary").json()
    assert [each["id"] for each in summary["permissions"]] == [found[0]["id"]]
    assert role["id"] in {each["id"] for each in api.get(f"{V}/role").json()}


def test_a_bulk_is_made_whole_or_not_at_all(api, made, role):
    pattern = f"GET:{uuid.uuid4()}"
    wanted = [{"permissionType": "ALLOW", "permissionString": f"{pattern}{n}"} for n in range(3)]
    body = {"permissionsToCreate": wanted, "roleIds": [role["id"], NOBODY]}
    assert code(api.post(f"{V}/permission/bulk", json=body)) == (404, "not-found")
    query = {"limit": 9, "permissiontype": "ALLOW", "permissionstringprefix": pattern}
    assert api.get(f"{V}/permission", params=query).json() == []
    answer = made("permission/bulk", permissionsToCreate=wanted, roleIds=[role["id"]])
    held = api.get(f"{V}/role/{role['id']}").json()["permissions"]
    assert sorted(answer["permissionIds"]) == sorted(each["id"] for each in held)
    wanted[1]["permissionString"] = "GET:("
    assert code(api.post(f"{V}/permission/bulk", json=body)) == (400, "permission-invalid")


def test_what_is_wrong_is_refused_by_name(api, made, user, role):
    allowed = permission(made, "GET:/x")
    for method, path, body, refusal in (
        ("POST", "role", {"roleName": role["roleName"]}, (409, "role-exists")),
        ("POST", "role", {"roleName": ""}, (400, "role-invalid")),
        ("POST", "role", {"roleName": "a\u202eb"}, (400, "role-invalid")),
        ("GET", f"role/{NOBODY}", None, (404, "not-found")),
        ("GET", "role/no-uuid", None, (400, "request-invalid")),
        ("GET", f"permission/{NOBODY}", None, (404, "not-found")),
        ("PUT", f"role/{role['id']}/permission/{NOBODY}", None, (404, "not-found")),
        (
            "DELETE",
            f"role/{role['id']}/permission/{allowed['id']}",
            None,
            (400, "association-missing"),
        ),
        ("DELETE", f"user/{user[0]}/role/{role['id']}", None, (400, "association-missing")),
        ("PUT", f"user/{user[0]}/role/{NOBODY}", None, (404, "not-found")),
        ("PUT", f"user/nobody-here/role/{role['id']}", None, (404, "not-found")),
        ("GET", "permission?limit=0&permissiontype=ALLOW", None, (400, "request-invalid")),
        ("GET", "permission?limit=1&permissiontype=MAYBE", None, (400, "request-invalid")),
        (
            "POST",
            "permission",
            {"permissionType": "ALLOW", "permissionString": "(?=a)a"},
            (400, "permission-invalid"),
        ),
        (
            "POST",
            "permission",
            {"permissionType": "ALLOW", "permissionString": "x" * 256},
            (400, "permission-invalid"),
        ),
        (
            "POST",
            "permission",
            {"permissionType": "ALLOW", "permissionString": ".*", "virtualNode": "all"},
            (400, "short-hash-invalid"),
        ),
        (
            "POST",
            "user",
            {"loginName": user[0], "fullName": "x", "enabled": True, "initialPassword": "x"},
            (409, "user-exists"),
        ),
        (
            "POST",
            "user",
            {"loginName": "single-sign-on", "fullName": "x", "enabled": True},
            (400, "user-invalid"),
        ),
    ):
        reply = api.request(method, f"{V}/{path}", json=body)
        assert code(reply) == refusal, (method, path, reply.text)
    put(api, f"role/{role['id']}/permission/{allowed['id']}")
    reply = api.put(f"{V}/role/{role['id']}/permission/{allowed['id']}")
    assert code(reply) == (409, "association-exists")


def test_an_expired_password_serves_to_set_another_one_alone(api, made, services, role):
    login = f"user-{uuid.uuid4().hex[:8]}"
    made(
        "user",
        loginName=login,
        fullName="x",
        enabled=True,
        initialPassword="pw",
        passwordExpiry="2020-01-01T00:00:00Z",
    )
    allowed = permission(made, f"POST:{V}/user/selfpassword")
    put(api, f"role/{role['id']}/permission/{allowed['id']}")
    put(api, f"user/{login}/role/{role['id']}")
    reply = api.get(f"{V}/hello/getprotocolversion", auth=(login, "pw"))
    assert code(reply) == (403, "password-expired")
    reply = api.post(
        f"{V}/user/otheruserpassword",
        auth=(login, "pw"),
        json={"username": login, "password": "new"},
    )
    assert code(reply) == (403, "password-expired")
    days = services.password_rules.get()
    for by, who, word, valid in (
        ("selfpassword", (login, "pw"), "new", days.by_user),
        ("otheruserpassword", ("admin", PASSWORD), "newer", days.by_other),
    ):
        body = {"username": login, "password": word} if by[0] == "o" else {"password": word}
        changed = api.post(f"{V}/user/{by}", auth=who, json=body).json()
        expiry = services.users.get(login).password_expiry
        assert valid - 1 < (expiry - services.clock.now_ms()) / 86_400_000 <= valid
        assert changed["passwordExpiry"] is not None
        assert api.get(f"{V}/hello/getprotocolversion", auth=(login, word)).status_code == 200


def test_a_disabled_and_a_deleted_user_are_strangers(api, made, user):
    off = f"user-{uuid.uuid4().hex[:8]}"
    made("user", loginName=off, fullName="x", enabled=False, initialPassword="pw")
    assert api.get(f"{V}/hello/getprotocolversion", auth=(off, "pw")).status_code == 401
    assert api.get(f"{V}/hello/getprotocolversion", auth=user).status_code == 200
    assert api.delete(f"/api/v5_2/user/{user[0]}").status_code == 405
    assert api.delete(f"/api/v5_3/user/{user[0]}").json()["loginName"] == user[0]
    assert api.get(f"{V}/hello/getprotocolversion", auth=user).status_code == 401


def test_properties_are_kept_found_and_removed(api, user):
    path, value = f"/api/v5_3/user/{user[0]}/property", uuid.uuid4().hex
    body = {"property": {"team": value, "desk": "4"}}
    seen = api.post(path, json=body).json()
    assert {each["key"]: each["value"] for each in seen["properties"]} == body["property"]
    found = api.get(f"/api/v5_3/user/findbyproperty/team/{value}").json()
    assert [each["loginName"] for each in found] == [user[0]]
    assert api.delete(f"{path}/team").status_code == 200
    assert [each["key"] for each in api.get(path).json()] == ["desk"]
    assert code(api.delete(f"{path}/team")) == (404, "not-found")
    assert code(api.post(path, json={"property": {"a b": "x"}})) == (400, "user-invalid")


def test_a_permission_of_a_node_concerns_that_node_alone():
    allow = Permission(effect=Effect.ALLOW, pattern=".*", virtual_node=NODE)
    deny = Permission(effect=Effect.DENY, pattern="StartFlow:.*", virtual_node=NODE)
    everything = Permission(effect=Effect.ALLOW, pattern=".*")
    here, there = (start_flow_action("a.Flow", node) for node in (NODE, OTHER))
    nowhere = http_action("GET", "/cpi", {}, bases=(V,))
    assert is_allowed((allow,), here)
    assert not is_allowed((allow,), there)
    assert not is_allowed((allow,), nowhere)
    assert not is_allowed((everything, deny), here)
    assert is_allowed((everything, deny), there)


def test_a_pattern_is_a_whole_one_and_takes_no_more_than_linear_time():
    for pattern in (
        "a)|(?:b",
        "a(?x)#",
        r"(a)\1",
        "(?<=a)b",
        "(",
        "[",
        "\ud800",
        "a\nb",
        "(((a{9}){9}){9}){99}",
    ):
        with pytest.raises(PermissionInvalidError):
            Permission(effect=Effect.DENY, pattern=pattern)
    slow = Permission(effect=Effect.DENY, pattern="StartFlow:(a+)+b")
    asked = start_flow_action("a" * 20_000)
    assert is_allowed((Permission(effect=Effect.ALLOW, pattern=".*"), slow), asked)


@given(st.text(max_size=40))
def test_any_text_is_a_permission_string_or_refused(pattern):
    try:
        made = Permission(effect=Effect.ALLOW, pattern=pattern)
    except PermissionInvalidError:
        return
    is_allowed((made,), start_flow_action("a.Flow"))


def test_limits_hold(cluster_database, clock, entropy, monkeypatch):
    roles = Roles(cluster_database, clock=clock, entropy=entropy)
    monkeypatch.setattr("host.access.roles._ROLES_MAX", 1)
    roles.create("one", group_visibility=None)
    with pytest.raises(Exception, match="at most 1 are taken") as refused:
        roles.create("two", group_visibility=None)
    assert refused.value.code == "access-limit"
