"""The SQL that administrators may run themselves makes what the host would make."""

import os
import subprocess
from contextlib import ExitStack

import pytest

from host.domain.ids import ShortHash
from host.runtime.wiring.schemas import NOTARY_SCHEMAS, VAULT_SCHEMAS
from plugins.postgres.connections import Access, Session
from plugins.postgres.functions import make_functions
from plugins.postgres.node_sql import node_sql
from plugins.postgres.vaults import UNIQUENESS, VAULT, NodeSchemas
from tests.postgres.made_nodes import EveryNode
from tests.support.postgres import server_programs

BY_HOST, BY_HAND = ShortHash("0123456789AB"), ShortHash("BA9876543210")
COLUMNS = """
    SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
    FROM information_schema.columns WHERE table_schema = '{0}'
    UNION ALL SELECT replace(indexdef, '{0}', '') FROM pg_indexes WHERE schemaname = '{0}'
    UNION ALL SELECT event_object_table || ' ' || event_manipulation || ' ' || action_statement
    FROM information_schema.triggers WHERE trigger_schema = '{0}'
    UNION ALL SELECT name || ' ' || version FROM {0}.schema_version ORDER BY 1
"""


def psql(access: Access, script: str, **variables: str) -> None:
    programs = server_programs()
    assert programs is not None
    address = access.address
    subprocess.run(
        [
            str(programs / "psql"),
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            *(word for name, value in variables.items() for word in ("-v", f"{name}={value}")),
            f"--host={address.host}",
            f"--port={address.port}",
            f"--username={address.user}",
            address.database,
        ],
        input=script,
        text=True,
        check=True,
        env={**os.environ, "PGPASSWORD": access.password or ""},
    )


@pytest.mark.parametrize("kind", [VAULT, UNIQUENESS], ids=str)
def test_the_script_makes_what_the_host_takes_as_its_own(postgres_database, kind):
    schemas = VAULT_SCHEMAS if kind is VAULT else NOTARY_SCHEMAS
    make_functions(postgres_database)
    psql(postgres_database, node_sql(kind, schemas), schema=kind.schema(BY_HAND))
    with ExitStack() as stack:
        nodes = NodeSchemas(
            kind,
            postgres_database,
            schemas,
            register=EveryNode(),
            bytes_max_of=lambda _node: 10_000,
        )
        stack.callback(nodes.close)
        session = Session(postgres_database)
        stack.callback(session.close)
        nodes.transact(BY_HOST, lambda _: None)
        made = [session.run(COLUMNS.format(kind.schema(node))) for node in (BY_HOST, BY_HAND)]
        assert len(made[0]) > 10
        assert made[0] == made[1]
        nodes.transact(BY_HAND, lambda _: None)
        assert session.run(COLUMNS.format(kind.schema(BY_HAND))) == made[0]
