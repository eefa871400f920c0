"""Tables of virtual nodes and of operations on them, in the cluster's database."""

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text

from host.domain.ids import CHECKSUM_CHARACTERS
from host.ports.database import REMEMBERED, Schema

_METADATA = MetaData()

VIRTUAL_NODE = Table(
    "virtual_node",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("x500_name", Text, nullable=False),
    Column("group_id", String(64), nullable=False),
    Column("cpi_checksum", String(CHECKSUM_CHARACTERS), nullable=False),
    Column("granted_capabilities", Text, nullable=False),
    Column("flow_p2p_status", String(8), nullable=False),
    Column("flow_start_status", String(8), nullable=False),
    Column("flow_status", String(8), nullable=False),
    Column("vault_db_status", String(8), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("vault_made_at", BigInteger),
    info=REMEMBERED,
)
"""`vault_made_at` is null while the node has no vault: one is made when it is first used."""

OPERATION = Table(
    "virtual_node_operation",
    _METADATA,
    Column("request_id", String(36), primary_key=True),
    Column("operation", String(32), nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("resource_id", String(12), nullable=False),
    Column("error_reason", Text),
    Column("x500_name", Text, nullable=False),
    Column("group_id", String(64), nullable=False),
    Column("cpi_checksum", String(CHECKSUM_CHARACTERS), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""`resource_id` is the short hash that the node has or will have."""

VAULT_NOTE = Table(
    "vault_note",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("problem_code", Text),
    Column("problem", Text),
    Column("audit_seq", BigInteger),
    Column("audit_hash", String(64)),
)
"""How far a node's vault is known to have come, why it cannot be used, if so, and the newest entry
that its audit log is known to have."""

SCHEMA = Schema(
    name="vnode",
    metadata=_METADATA,
    version=4,
    migrations={
        1: [
            "ALTER TABLE virtual_node ADD COLUMN vault_made_at BIGINT",
            # Earlier releases made a node's vault before the node.
            "UPDATE virtual_node SET vault_made_at = created_at",
        ],
        2: [
            """
            CREATE TABLE IF NOT EXISTS vault_note (
                short_hash VARCHAR(12) NOT NULL PRIMARY KEY,
                generation BIGINT NOT NULL,
                problem_code TEXT,
                problem TEXT
            )
            """
        ],
        3: [
            "ALTER TABLE vault_note ADD COLUMN audit_seq BIGINT",
            "ALTER TABLE vault_note ADD COLUMN audit_hash VARCHAR(64)",
        ],
    },
)
