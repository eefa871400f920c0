"""Statements on the tables of a node run under its own role: whatever they say, they reach no other's."""

from collections.abc import Iterator

import pytest
from sqlalchemy import insert, text

from host.domain.errors import StorageError
from host.domain.ids import ShortHash
from host.ports.database import Schema
from plugins.postgres.connections import Access, Session
from plugins.postgres.errors import sqlstate
from plugins.postgres.storage import access_of
from plugins.postgres.vaults import UNIQUENESS, VAULT, NodeSchemas
from tests.postgres.made_nodes import EveryNode
from tests.postgres.test_postgres_vaults import METADATA, NOTE
from tests.support.postgres import PostgresServer

ALICE, MALLORY = ShortHash("A" * 12), ShortHash("B" * 12)
THEIRS = VAULT.schema(ALICE)
SECRET = "what only Alice may read"


@pytest.fixture(scope="module")
def access(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Access:
    """A host's, to a database with the vault of Alice."""
    return access_of(postgres_server.new_cluster(tmp_path_factory.mktemp("walls")).settings)


@pytest.fixture(scope="module")
def vaults(access: Access) -> Iterator[NodeSchemas]:
    made = NodeSchemas(
        VAULT,
        access,
        [Schema(name="notes", metadata=METADATA)],
        register=EveryNode(),
        bytes_max_of=lambda _node: 10_000,
    )
    made.transact(ALICE, lambda c: c.execute(insert(NOTE), {"id": 1, "text": SECRET}))
    made.transact(MALLORY, lambda c: c.execute(insert(NOTE), {"id": 1, "text": "mine"}))
    yield made
    made.close()


@pytest.mark.parametrize(
    "said",
    [
        f"SELECT text FROM {THEIRS}.note",
        f"SELECT query_to_xml('SELECT text FROM {THEIRS}.note', true, false, '')::text",
        f"SELECT table_to_xml('{THEIRS}.note', true, false, '')::text",
        f"SELECT schema_to_xml('{THEIRS}', true, false, '')::text",
        f"SELECT set_config('role', '{VAULT.role(ALICE)}', true)",
        "SELECT set_config('role', 'none', true)",
        f"SELECT set_config('search_path', '{THEIRS}', true)",
        "UPDATE pg_settings SET setting = 'none' WHERE name = 'role'",
        f"INSERT INTO {THEIRS}.note VALUES (2, 'x')",
        f"SELECT cordbox_functions.make_node_schema('{THEIRS}')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT * FROM cordbox_cluster.revision",
        "SELECT * FROM cordbox_flow.states",
        "SELECT * FROM cordbox_keys.master_salt",
        "SELECT * FROM cordbox_keys.audit_key",
        "SELECT * FROM cordbox_files.cpi_file",
        "SELECT passwd FROM pg_shadow",
        "CREATE TEMPORARY TABLE note (a integer)",
        f"CREATE FUNCTION {THEIRS}.f() RETURNS void LANGUAGE sql AS ''",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cordbox_host'"
        " AND pid <> pg_backend_pid()",
    ],
)
def test_a_statement_of_a_node_reaches_nothing_but_its_tables(
    vaults: NodeSchemas, access: Access, said: str
) -> None:
    other = Session(access)  # one of the host's connections, to be ended
    with pytest.raises(StorageError) as refused, vaults.read(MALLORY) as connection:
        connection.execute(text(said)).all()
    assert sqlstate(refused.value.__cause__) in ("42501", "25006")
    assert SECRET not in str(refused.value)
    with pytest.raises(StorageError):
        vaults.transact(MALLORY, lambda c: c.execute(text(said)).all())
    with vaults.read(MALLORY) as connection:
        assert connection.execute(text("SELECT text FROM note")).scalars().all() == ["mine"]
    other.run("SELECT 1")
    other.close()


def test_names_without_a_schema_are_the_nodes_own(vaults: NodeSchemas) -> None:
    for node, found in ((ALICE, SECRET), (MALLORY, "mine"), (ALICE, SECRET)):
        with vaults.read(node) as connection:
            assert connection.execute(text("SELECT text FROM note")).scalar_one() == found
            role = connection.execute(text("SELECT current_user")).scalar_one()
            assert role == VAULT.role(node)


def test_a_vaults_role_reaches_not_the_spent_states_of_its_own_node(
    vaults: NodeSchemas, access: Access
) -> None:
    spent = NodeSchemas(
        UNIQUENESS,
        access,
        [Schema(name="notes", metadata=METADATA)],
        register=EveryNode(),
        bytes_max_of=lambda _node: 10_000,
    )
    spent.transact(MALLORY, lambda c: c.execute(insert(NOTE), {"id": 1, "text": "spent"}))
    spent.close()
    with (
        pytest.raises(StorageError, match="a right is missing"),
        vaults.read(MALLORY) as connection,
    ):
        connection.execute(text(f"SELECT * FROM {UNIQUENESS.schema(MALLORY)}.note"))


def test_a_role_that_somebody_can_log_in_with_is_not_taken_for_a_nodes(
    vaults: NodeSchemas, postgres_server: PostgresServer
) -> None:
    node = ShortHash("C" * 12)
    postgres_server.execute(f"CREATE ROLE {VAULT.role(node)} LOGIN")
    with pytest.raises(StorageError, match="is none of a node"):
        vaults.transact(node, lambda _: None)
    postgres_server.execute(f"ALTER ROLE {VAULT.role(node)} NOLOGIN")
    vaults.transact(node, lambda _: None)


def test_a_host_has_no_right_to_tables_of_nodes_unless_it_takes_on_their_role(
    vaults: NodeSchemas, access: Access
) -> None:
    del vaults
    session = Session(access)
    with pytest.raises(Exception, match="permission denied"):
        session.run(f"SELECT * FROM {THEIRS}.note")
    session.close()
