"""Groups of users over REST: whose roles count for whom, and what is refused."""

import uuid

import pytest

from host.access.tables import RBAC_SCHEMA
from host.adapters.sqlite.database import Database
from host.domain.ids import EpochMs
from host.ports.database import Schema

V = "/api/v5_3"
NOBODY = str(uuid.UUID(int=0))
DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def made(api):
    def make(path, **body):
        reply = api.post(f"{V}/{path}", json=body)
        assert reply.status_code == 201, reply.text
        return reply.json()

    return make


@pytest.fixture
def group(made):
    return lambda parent=None: made("group", name=f"group-{uuid.uuid4()}", parentGroupId=parent)[
        "id"
    ]


@pytest.fixture
def user(made):
    """A user in a group."""

    def make(parent=None):
        login = f"user-{uuid.uuid4().hex[:8]}"
        made(
            "user",
            loginName=login,
            fullName="",
            enabled=True,
            initialPassword="pw",
            parentGroup=parent,
        )
        return login

    return make


def code(reply):
    return reply.status_code, reply.json()["details"]["code"]


def test_roles_of_all_groups_above_count_from_the_next_request_on(api, made, group, user):
    top = group()
    inner = group(group(top))
    login = user(inner)
    role = made("role", roleName=f"role-{uuid.uuid4()}")["id"]
    permission = made("permission", permissionType="ALLOW", permissionString="GET:/api/v5_3/cpi")
    api.put(f"{V}/role/{role}/permission/{permission['id']}")

    def status():
        return api.get(f"{V}/cpi", auth=(login, "pw")).status_code

    assert status() == 403
    assert api.put(f"{V}/group/{top}/role/{role}").json()["roleAssociations"][0]["roleId"] == role
    assert status() == 200
    assert api.get(f"{V}/user/{login}").json()["roleAssociations"] == []
    api.put(f"{V}/user/{login}/parent/changeparentid/{group()}")
    assert status() == 403
    api.put(f"{V}/user/{login}/parent/changeparentid/{top}")
    assert status() == 200
    api.delete(f"{V}/group/{top}/role/{role}")
    assert status() == 403


def test_a_group_shows_what_is_in_it_and_is_deleted_once_that_is_nothing(api, group, user):
    top = group()
    inner, login = group(top), user(top)
    content = api.get(f"{V}/group/{top}").json()
    assert (content["users"], content["subgroups"]) == ([login], [inner])
    assert code(api.delete(f"{V}/group/{top}")) == (409, "group-not-empty")
    api.delete(f"{V}/user/{login}")
    assert api.delete(f"{V}/group/{inner}").json()["parentGroupId"] == top
    assert api.delete(f"{V}/group/{top}").status_code == 200
    assert code(api.get(f"{V}/group/{top}")) == (404, "not-found")


def test_groups_are_in_no_circle_and_not_too_deep(api, group):
    top = group()
    inner = group(top)
    for parent in (top, inner):
        reply = api.put(f"{V}/group/{top}/parent/changeparentid/{parent}")
        assert code(reply) == (400, "group-nesting")
    deepest = inner
    for _ in range(14):
        deepest = group(deepest)
    assert code(api.post(f"{V}/group", json={"name": "x", "parentGroupId": deepest})) == (
        400,
        "group-nesting",
    )
    reply = api.put(f"{V}/group/{top}/parent/changeparentid/{group()}")
    assert code(reply) == (400, "group-nesting")


def test_what_is_absent_or_there_already_is_refused(api, made, group, user):
    one, role = group(), made("role", roleName=f"role-{uuid.uuid4()}")["id"]
    name = api.get(f"{V}/group/{one}").json()["name"]
    assert code(api.post(f"{V}/group", json={"name": name})) == (409, "role-exists")
    assert code(api.post(f"{V}/group", json={"name": ""})) == (400, "role-invalid")
    for reply in (
        api.post(f"{V}/group", json={"name": "y", "parentGroupId": NOBODY}),
        api.put(f"{V}/group/{one}/role/{NOBODY}"),
        api.put(f"{V}/group/{NOBODY}/role/{role}"),
        api.put(f"{V}/user/{user()}/parent/changeparentid/{NOBODY}"),
    ):
        assert code(reply) == (404, "not-found")
    assert code(api.delete(f"{V}/group/{one}/role/{role}")) == (400, "association-missing")
    api.put(f"{V}/group/{one}/role/{role}")
    assert code(api.put(f"{V}/group/{one}/role/{role}")) == (409, "association-exists")


def test_a_database_without_groups_is_migrated(tmp_path, monkeypatch):
    older = tmp_path / "older.sqlite"
    tables = [t for t in RBAC_SCHEMA.metadata.sorted_tables if not t.name.startswith("rest_group")]
    assert len(tables) == len(RBAC_SCHEMA.metadata.sorted_tables) - 2
    with Database.open(older, [Schema(name="rbac", metadata=RBAC_SCHEMA.metadata)]) as database:

        def as_before(connection):
            connection.exec_driver_sql("DROP TABLE rest_group_role")
            connection.exec_driver_sql("DROP TABLE rest_group")
            connection.exec_driver_sql("ALTER TABLE rest_user DROP COLUMN parent_group")

        database.transact(as_before)
    columns = (
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c ORDER BY 1, 2"
    )
    found = []
    for file in (older, tmp_path / "newer.sqlite"):
        with Database.open(file, [RBAC_SCHEMA]) as database, database.read() as connection:
            found.append(connection.exec_driver_sql(columns).all())
    assert found[0] == found[1]


def test_a_password_that_ends_soon_is_warned_of_and_a_long_one_refused(api, services, somebody):
    login, password = somebody
    hello = f"{V}/hello?addressee=x"
    assert "warning" not in api.post(hello, auth=(login, password)).headers
    soon = EpochMs(services.clock.now_ms() + 29 * DAY_MS)
    services.users.create("ends-soon", "pw", full_name="", password_expiry=soon)
    reply = api.get(f"{V}/cpi", auth=("ends-soon", "pw"))
    assert reply.status_code == 403
    other = api.post(f"{V}/user/otheruserpassword", json={"username": login, "password": "p" * 255})
    assert other.status_code == 200
    reply = api.post(hello, auth=(login, "p" * 255))
    assert reply.headers["warning"] == "199 - PasswordExpiryStatus is CLOSE_TO_EXPIRY"
    body = {"username": login, "password": "p" * 256}
    assert code(api.post(f"{V}/user/otheruserpassword", json=body)) == (400, "user-invalid")
