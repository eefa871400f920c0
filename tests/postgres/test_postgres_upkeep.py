"""`cordbox database`: making, migrating and looking at the tables that hosts share."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pg8000.exceptions import DatabaseError

from host.cli import root
from host.database.schema_versions import SchemaTooNewError
from host.domain.ids import ShortHash
from host.ports.bus import NewRecord
from host.ports.units import Dropped, Unit
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS
from host.settings import HostSettings
from plugins.postgres.connections import Session
from plugins.postgres.errors import CONNECTION_ERRORS, sqlstate
from plugins.postgres.roles import RoleUnsuitableError
from plugins.postgres.storage import PostgresStorage, access_of, open_flow_store
from plugins.postgres.tables import TablesNotReadyError
from tests.support.hosts import settings_of
from tests.support.postgres import OWNER, PostgresServer

Run = Callable[..., Result]
NODE = ShortHash("A1B2C3D4E5F6")
_NUMBERS = count(1)


@pytest.fixture
def database() -> str:
    """The name of a database that is not there yet."""
    return f"made_{next(_NUMBERS)}"


@pytest.fixture
def settings(tmp_path: Path, postgres_server: PostgresServer, database: str) -> HostSettings:
    for name, text in (("password", postgres_server.password), ("phrase", "p")):
        (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / name).chmod(0o600)
    url = f"postgresql://upkeep_host@127.0.0.1:{postgres_server.port}/{database}"
    (tmp_path / "settings.toml").write_text(
        f'database_url = "{url}"\n'
        f'database_password_file = "{tmp_path / "password"}"\n'
        f'master_passphrase_file = "{tmp_path / "phrase"}"\n'
    )
    return settings_of(
        tmp_path,
        database_url=url,
        database_password_file=tmp_path / "password",
        master_passphrase_file=tmp_path / "phrase",
    )


@pytest.fixture
def cordbox(tmp_path: Path, settings: HostSettings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with the settings; as an administrator, if it is `init` or `migrate`."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        by = ("--administrator", OWNER, "--administrator-password-file", str(tmp_path / "password"))
        options = (
            "--settings",
            str(tmp_path / "settings.toml"),
            *(() if words[0] == "check" else by),
        )
        return CliRunner().invoke(root, ["database", *words, *options])

    return run


@pytest.fixture
def host(cordbox: Run, settings: HostSettings) -> Iterator[Session]:
    """A connection as hosts have it, to a database that was made."""
    made = cordbox("init", "--partitions", "5")
    assert made.exit_code == 0, made.output
    session = Session(access_of(settings))
    yield session
    session.close()


NO_CARRIAGE = (
    "DROP TABLE outlets, outbox, inlets, inlet_places;"
    "DROP FUNCTION delete_outbox, acknowledge, land_work, change_bus;"
    "ALTER TABLE meta DROP COLUMN bus, DROP COLUMN carriage_key"
)


@pytest.mark.acceptance(12)
def test_a_database_is_made_once_and_migrated_where_it_is_older(
    cordbox: Run, settings: HostSettings, postgres_server: PostgresServer, database: str
) -> None:
    assert "cannot be used" in str(cordbox("check").exception)
    assert (
        cordbox("init", "--partitions", "5").output == "the database is made, with 5 partitions\n"
    )
    assert "has tables of Cordbox already" in str(cordbox("init").exception)
    made = cordbox("check")
    assert made.exit_code == 0, made.output
    assert "cordbox_flow  flows: version 3" in made.output
    assert cordbox("migrate").exit_code == 0
    store = open_flow_store(settings)
    assert store.partitions == 5
    store.close()
    change = "UPDATE cordbox_flow.schema_version SET version = {}"
    postgres_server.execute(change.format(99), database)
    newer = cordbox("check", "--output", "json")
    assert newer.exit_code == 1
    flows = {"place": "cordbox_flow", "name": "flows", "stored": 99, "known": 3}
    assert flows in json.loads(newer.output)["tables"]
    assert json.loads(newer.output)["findings"][0]["code"] == "storage-schema-too-new"
    assert "this release knows versions up to 3" in str(cordbox("migrate").exception)
    with pytest.raises(SchemaTooNewError, match="flows have version 99"):
        open_flow_store(settings)
    # What version 1 had: a function that drops no records of logs, and no outbox.
    postgres_server.execute("DROP FUNCTION cordbox_flow.drop_record(jsonb)", database)
    postgres_server.execute(f"SET search_path = cordbox_flow; {NO_CARRIAGE}", database)
    postgres_server.execute(change.format(1), database)
    assert cordbox("check").exit_code == 1
    assert cordbox("migrate").exit_code == 0
    store = open_flow_store(settings)
    store.commit(Unit(records=(NewRecord(topic="t", key="k", value=b"v"),)))
    (record,) = store.newest("t", 9)
    store.commit(Unit(dropped=(Dropped(source=record.source, offset=record.offset),)))
    assert not store.newest("t", 9)
    store.close()
    carrying = open_flow_store(replace(settings, bus="kafka", plugins=("embedded", "kafka")))
    carrying.commit(Unit(records=(NewRecord(topic="t", key="k", value=b"v", node=NODE),)))
    assert not carrying.waiting(["t"])
    carrying.close()
    store = open_flow_store(settings)
    assert [queue.node for queue in store.waiting(["t"])] == [NODE]
    store.close()
    postgres_server.execute(change.format(0), database)
    with pytest.raises(TablesNotReadyError, match="run `cordbox database migrate`"):
        open_flow_store(settings)


def test_a_host_refuses_a_database_that_was_not_made(
    settings: HostSettings, postgres_server: PostgresServer, database: str
) -> None:
    with suppress(DatabaseError):  # another test has made it
        postgres_server.execute(
            f"CREATE ROLE upkeep_host LOGIN NOINHERIT PASSWORD '{postgres_server.password}'"
        )
    postgres_server.execute(f"CREATE DATABASE {database} TEMPLATE template0")
    with pytest.raises(TablesNotReadyError, match="run `cordbox database init`"):
        open_flow_store(settings)


def test_a_host_works_with_the_rights_of_its_role(host: Session, settings: HostSettings) -> None:
    storage = PostgresStorage(settings)
    registers = storage.open_database(CLUSTER_SCHEMAS)
    assert registers.revision() == 0
    registers.close()
    for refused in (
        "CREATE SCHEMA other",
        "CREATE TABLE cordbox_cluster.other (a integer)",
        "CREATE TEMPORARY TABLE other (a integer)",
        "DROP TABLE cordbox_flow.states",
        "TRUNCATE cordbox_flow.states",
        "UPDATE cordbox_flow.schema_version SET version = 1",
        "CREATE ROLE other",
        "SET ROLE cordbox_owner",
        "SELECT cordbox_functions.make_node_schema('cordbox_flow')",
    ):
        with pytest.raises(CONNECTION_ERRORS) as error:
            host.simple(refused)
        assert sqlstate(error.value) in ("42501", "CB003"), refused


@pytest.mark.parametrize(
    ("right", "message"),
    [
        ("SUPERUSER", "is a superuser"),
        ("CREATEROLE", "may make roles"),
        ("BYPASSRLS", "bypasses row security"),
        ("INHERIT", "has the rights of all nodes at once"),
    ],
)
def test_a_host_does_not_start_with_a_role_that_may_do_more(
    host: Session, settings: HostSettings, postgres_server: PostgresServer, right: str, message: str
) -> None:
    taken = "NOINHERIT" if right == "INHERIT" else f"NO{right}"
    postgres_server.execute(f"ALTER ROLE upkeep_host {right}")
    try:
        with pytest.raises(RoleUnsuitableError, match=message):
            PostgresStorage(settings)
    finally:
        postgres_server.execute(f"ALTER ROLE upkeep_host {taken}")


def test_settings_without_a_database_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ("check",),
        ("migrate", "--administrator", "a"),
        ("init", "--administrator", "a"),
    ):
        refused = CliRunner().invoke(root, ["database", *words])
        assert refused.exit_code == 2
        assert "database_url is not set" in refused.output
