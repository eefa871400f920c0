import stat

import pytest
import structlog
from structlog.testing import LogCapture

from host.access import NotAuthenticatedError, Users, http_action
from host.access.administrator import ensure_administrator
from host.access.errors import UserExistsError, UserInvalidError
from host.access.permissions import ALLOW_ALL
from host.access.tables import RBAC_SCHEMA
from host.adapters.sqlite.database import Database
from host.domain.errors import NotFoundError


def test_names_are_case_insensitive_and_passwords_are_not(users):
    users.create("Alice", "Secret", full_name="A", permissions=(ALLOW_ALL,))
    assert users.authenticate("aLICE", "Secret").login_name == "alice"
    with pytest.raises(NotAuthenticatedError):
        users.authenticate("alice", "secret")


def test_unknown_users_and_wrong_passwords_are_told_alike(users):
    users.create("alice", "secret", full_name="A", permissions=())
    messages = set()
    for name in ("alice", "nobody"):
        with pytest.raises(NotAuthenticatedError) as refused:
            users.authenticate(name, "wrong")
        messages.add(refused.value.message)
    assert len(messages) == 1


def test_a_new_password_ends_the_old_one_also_where_it_was_remembered(users):
    users.create("alice", "old", full_name="A", permissions=())
    users.authenticate("alice", "old")
    assert users.remembered("alice", "old")
    users.change_password("alice", "new")
    assert users.remembered("alice", "old") is None
    with pytest.raises(NotAuthenticatedError):
        users.authenticate("alice", "old")
    assert users.authenticate("alice", "new").version == 1


@pytest.mark.usefixtures("full_cost")
def test_passwords_are_stored_as_salted_hashes_only(users, cluster_database):
    users.create("alice", "hunter2", full_name="A", permissions=())
    users.create("bob2", "hunter2", full_name="B", permissions=())
    with cluster_database.read() as connection:
        stored = connection.exec_driver_sql("SELECT password_hash FROM rest_user").scalars().all()
    assert len(set(stored)) == 2
    assert all(text.startswith("scrypt$15$8$1$") and "hunter2" not in text for text in stored)


@pytest.mark.parametrize(
    ("name", "password"), [("ab", "x"), ("a b c", "x"), ("abc", ""), ("abc", "x" * 1001)]
)
def test_bad_names_and_passwords_are_refused(users, name, password):
    with pytest.raises(UserInvalidError):
        users.create(name, password, full_name="", permissions=())


def test_a_name_is_taken_once(users):
    users.create("alice", "x", full_name="A", permissions=())
    with pytest.raises(UserExistsError):
        users.create("ALICE", "y", full_name="A", permissions=())
    with pytest.raises(NotFoundError):
        users.get("carol")


def test_the_first_administrator_gets_a_generated_password(users, tmp_path, entropy):
    file = ensure_administrator(users, given_password=None, secrets=tmp_path, entropy=entropy)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = file.read_text().strip()
    assert users.authenticate("admin", password).may(
        http_action("POST", "/cpi", {}, bases=("/api/v5_2",))
    )
    again = ensure_administrator(users, given_password=None, secrets=tmp_path, entropy=entropy)
    assert again == file
    assert file.read_text().strip() == password


def test_a_given_password_makes_the_administrator_and_no_more(users, tmp_path, entropy):
    """One that was changed over REST stays, and whoever starts the host is told."""
    capture = LogCapture()
    structlog.configure(processors=[capture])

    def start():
        given = {"given_password": "mine", "secrets": tmp_path, "entropy": entropy}
        assert ensure_administrator(users, **given) is None
        return [line["event"] for line in capture.entries]

    assert start() == []
    assert start() == []
    users.change_password("admin", "changed")
    assert start() == ["administrator-password-differs"]
    assert users.knows("admin", "changed")
    assert not users.knows("admin", "mine")


def test_a_generated_password_stays_when_another_is_given(users, tmp_path, entropy):
    file = ensure_administrator(users, given_password=None, secrets=tmp_path, entropy=entropy)
    again = ensure_administrator(users, given_password="mine", secrets=tmp_path, entropy=entropy)
    assert again == file
    assert users.knows("admin", file.read_text().strip())


def test_the_file_of_a_generated_password_goes_when_the_password_is_changed(
    users, tmp_path, entropy
):
    file = ensure_administrator(users, given_password=None, secrets=tmp_path, entropy=entropy)
    users.change_password("admin", "changed")
    again = ensure_administrator(users, given_password=None, secrets=tmp_path, entropy=entropy)
    assert (again, file.exists()) == (None, False)


def test_users_survive_a_restart(users, cluster_database, clock, entropy):
    users.create("alice", "secret", full_name="A", permissions=(ALLOW_ALL,))
    again = Users(cluster_database, clock=clock, entropy=entropy)
    granted = again.authenticate("alice", "secret").granted
    assert [each.permission for each in granted] == [ALLOW_ALL]


def test_a_password_that_another_process_changed_ends_what_is_remembered_here(
    users, cluster_database, clock, entropy
):
    users.create("alice", "old", full_name="A", permissions=())
    users.authenticate("alice", "old")
    assert users.remembered("alice", "old")
    with Database.open(cluster_database.path, [RBAC_SCHEMA]) as other:
        Users(other, clock=clock, entropy=entropy).change_password("alice", "new")
    assert users.remembered("alice", "old") is None
