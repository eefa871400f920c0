"""The SQL that makes a database of a virtual node, for administrators who run it themselves.

It is recorded from what the host runs at the first use of such a database. A host that finds the
schema made takes it as it is.
"""

from collections.abc import Sequence
from typing import Any

from host.database.schema_versions import Conversion
from host.ports.database import Schema
from plugins.postgres.database import make_tables
from plugins.postgres.tables import FUNCTIONS
from plugins.postgres.vaults import NodeKind, with_counts

VARIABLE = "schema"
"""The variable of psql that gives the name of the schema."""
_HEAD = """\
-- The {called} of a virtual node: schema {prefix}_<short hash in lower case>.
-- Run it in the database of the cluster, with psql -v schema={prefix}_0123456789ab -f FILE.
-- The host does the same at the first use, unless it finds the schema made.
-- The tables belong to a role of the node, which cannot log in.
\\set role cordbox_ :schema"""


def node_sql(kind: NodeKind, schemas: Sequence[Schema]) -> str:
    """A script for psql that makes one database of this kind in a schema of PostgreSQL.

    Args:
        kind: which database.
        schemas: its tables.
    """
    said: list[str] = []

    def record(statement: str) -> Sequence[Sequence[Any]]:
        if not statement.startswith("SELECT"):
            said.append(statement.strip())
        return ()

    make_tables(record, VARIABLE, with_counts(schemas), place="", convert=_no_conversion)
    statements = [_of_psql(statement) for statement in said]
    head = _HEAD.format(called=kind.called, prefix=kind.prefix)
    return "\n".join([head, "BEGIN;", *(f"{each};" for each in statements), "COMMIT;", ""])


def _of_psql(statement: str) -> str:
    """The name of the schema as the variable; the schema is made with its role, by a function."""
    if statement.startswith("CREATE SCHEMA"):
        made = f"SELECT {FUNCTIONS}.make_node_schema(:'{VARIABLE}')"
        return f'{made};\nSET LOCAL ROLE :"role"'
    if statement.startswith("SET LOCAL search_path"):
        return f'SET LOCAL search_path = :"{VARIABLE}", {FUNCTIONS}'
    return statement


def _no_conversion(_conversion: Conversion) -> None:
    """Nothing: new tables have no rows to convert."""
