"""Users of an identity provider: stored ones without a password, and those of mapped groups."""

from contextlib import ExitStack
from dataclasses import replace

import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.access import RBAC_SCHEMA, Groups, Roles, Users, http_action
from host.access.errors import ExternalUserRefusedError, NotAuthenticatedError, UserInvalidError
from host.access.external import ExternalUsers
from host.access.permissions import Effect, Permission
from host.access.roles import NewPermission
from host.access.sessions import SESSIONS_SCHEMA, BrowserSessions
from host.adapters.os.system import SystemEntropy
from host.adapters.sqlite.database import Database
from host.domain.clock import SimClock
from host.domain.ids import EpochMs
from host.ports.identity import Identity

BASE = "/api/v5_3"


def identity(login_name, *groups):
    return Identity(login_name=login_name, groups=groups, expires_at=EpochMs(0))


def action(path):
    return http_action("GET", path, {}, bases=(BASE,))


class Process:
    """What one process of a cluster has."""

    def __init__(self, database):
        parts = {"clock": SimClock(), "entropy": SystemEntropy()}
        self.users = Users(database, **parts)
        self.roles, self.groups = Roles(database, **parts), Groups(database, **parts)
        self.sessions = BrowserSessions(database, **parts)
        self.external = ExternalUsers(database)

    def role(self, *paths):
        """A role that may read these paths."""
        role = self.roles.create(SystemEntropy().random_bytes(8).hex(), group_visibility=None)
        wanted = [
            NewPermission(permission=Permission(effect=Effect.ALLOW, pattern=f"GET:{BASE}{path}"))
            for path in paths
        ]
        self.roles.create_permissions(wanted, role_ids=[role.id])
        return role.id


@pytest.fixture
def processes(tmp_path):
    """Two processes of one cluster."""
    with ExitStack() as stack:
        file = tmp_path / "cluster.sqlite"
        schemas = [RBAC_SCHEMA, SESSIONS_SCHEMA]
        yield [Process(stack.enter_context(Database.open(file, schemas))) for _ in range(2)]


def refusal(process, *who):
    with pytest.raises(ExternalUserRefusedError) as refused:
        process.external.of(identity(*who))
    assert isinstance(refused.value, NotAuthenticatedError)
    return refused.value.message


def test_a_stored_user_without_a_password_is_found_in_any_letter_case(processes):
    one, other = processes
    one.users.create("nora", None, full_name="Nora")
    assert other.external.of(identity("NORA")).login_name == "nora"
    assert other.external.of(identity("nora")).sso


def test_users_with_a_password_disabled_ones_and_strangers_are_refused(processes):
    one, other = processes
    one.users.create("paul", "p", full_name="Paul")
    one.users.create("dora", None, full_name="Dora", enabled=False)
    one.groups.create("ops")
    assert "password" in refusal(other, "paul", "ops"), "no group helps"
    assert "disabled" in refusal(other, "dora", "ops")
    assert "does not exist" in refusal(other, "zoe")
    assert "does not exist" in refusal(other, "zoe", "no-such-group")
    for name in ("", "a", "../x", "a b", "é" * 5, "x" * 256, "a\0b\0c", "admin\u200b"):
        assert "no login name" in refusal(other, name, "ops")


def test_a_user_without_a_password_signs_in_by_none_and_gets_none(processes):
    one, _ = processes
    one.users.create("nora", None, full_name="Nora")
    for password in ("", " ", "nora", "scrypt$15$8$1$$"):
        assert not one.users.knows("nora", password)
    with pytest.raises(UserInvalidError, match="single sign-on"):
        one.users.change_password("nora", "new")
    assert not one.users.knows("nora", "new")


def test_each_change_counts_with_the_next_request_of_every_process(processes):
    one, other = processes
    group = one.groups.create("ops").id
    role = one.role("/cpi")
    who = identity("olga", "ops")
    one.users.create("nora", None, full_name="Nora")
    for process in processes:
        assert not process.external.of(who).may(action("/cpi"))
        assert not process.external.of(identity("nora")).may(action("/cpi"))
    one.groups.assign_role(group, role)
    one.users.assign_role("nora", role)
    for process in processes:
        assert process.external.of(who).may(action("/cpi"))
        assert process.external.of(identity("nora")).may(action("/cpi"))
    other.groups.remove_role(group, role)
    other.users.remove_role("nora", role)
    for process in processes:
        assert not process.external.of(who).may(action("/cpi"))
        assert not process.external.of(identity("nora")).may(action("/cpi"))
    other.groups.delete(group)
    other.users.delete("nora")
    for process in processes:
        refusal(process, "olga", "ops")
        refusal(process, "nora")


def test_a_group_has_the_rights_of_those_above(processes):
    one, _ = processes
    above = one.groups.create("all").id
    one.groups.create("ops", parent_group=above)
    one.groups.assign_role(above, one.role("/cpi"))
    user = one.external.of(identity("olga", "ops"))
    assert user.may(action("/cpi"))
    assert not user.may(action("/user/admin"))
    assert (user.roles, user.version, user.sso) == ((), 0, True)


PATHS = ("/cpi", "/virtualnode", "/role")


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(given=st.lists(st.frozensets(st.sampled_from(PATHS)), min_size=1, max_size=3))
def test_rights_are_exactly_those_of_the_groups_together(processes, given):
    one, other = processes
    names = []
    for paths in given:
        names.append(SystemEntropy().random_bytes(8).hex())
        one.groups.assign_role(one.groups.create(names[-1]).id, one.role(*sorted(paths)))
    user = other.external.of(identity("olga", *names))
    assert {path for path in PATHS if user.may(action(path))} == frozenset().union(*given)


def test_a_session_keeps_the_groups_by_which_it_began(processes):
    one, other = processes
    one.groups.create("ops")
    user = one.external.of(identity("olga", "ops"))
    token = one.sessions.begin(user, ("ops",))
    assert other.sessions.find(token).groups == ("ops",)
    assert other.sessions.find(one.sessions.begin(user)).groups is None


def test_sessions_of_an_earlier_release_go_on(tmp_path):
    old = sql.MetaData()
    now = SESSIONS_SCHEMA.metadata.tables["console_session"].columns
    columns = [
        sql.Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable, index=c.index)
        for c in now
        if c.name != "group_names"
    ]
    sql.Table("console_session", old, *columns)
    file = tmp_path / "cluster.sqlite"
    earlier = replace(SESSIONS_SCHEMA, metadata=old, version=1, migrations={})
    with Database.open(file, [RBAC_SCHEMA, earlier]) as database:
        database.transact(
            lambda c: c.execute(
                sql.text(
                    "INSERT INTO console_session (digest, login_name, user_version, begun_at,"
                    " used_at) VALUES ('d', 'admin', 0, 1, 1)"
                )
            )
        )
    with Database.open(file, [RBAC_SCHEMA, SESSIONS_SCHEMA]) as database, database.read() as found:
        rows = found.execute(sql.text("SELECT login_name, group_names FROM console_session")).all()
    assert [tuple(row) for row in rows] == [("admin", None)]
