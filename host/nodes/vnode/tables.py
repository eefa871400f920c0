"""Tables of virtual nodes and of operations on them, in the cluster's database."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from host.database.claims import claim_columns
from host.domain.ids import CHECKSUM_CHARACTERS, HOST_NAME_CHARACTERS
from host.ports.database import EVERY, REMEMBERED, Schema

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
    Column("paused_at", BigInteger),
    Column("pause_ended_at", BigInteger, nullable=False, server_default="0"),
    Column("paused_ms", BigInteger, nullable=False, server_default="0"),
    info=REMEMBERED,
)
"""`vault_made_at` is null while the node has no vault: it is created at the first use. The last
three columns are `host.domain.vnode.Pauses`.
"""

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
    Column("alone", Boolean),
    *claim_columns(),
    UniqueConstraint("resource_id", "alone", name="virtual_node_operation_alone"),
)
"""`resource_id` is the short hash that the node has or will have. `alone` is true, and so unique
for the node, for a creation and for an upgrade that is not forced; null for others, and once they
have ended.
"""

CPI_UPGRADE = Table(
    "cpi_upgrade",
    _METADATA,
    Column("request_id", String(36), primary_key=True),
    Column("short_hash", String(12), nullable=False),
    Column("source", String(CHECKSUM_CHARACTERS), nullable=False),
    Column("target", String(CHECKSUM_CHARACTERS), nullable=False),
    Column("way", String(8)),
    Column("diverging", String(8), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("stage_at", BigInteger, nullable=False),
    Column("was_paused", Boolean, nullable=False),
    Column("moved", Text, nullable=False),
    Column("ended", Text, nullable=False),
    Column("report", Text),
)
"""Upgrades in stages, and rehearsals, whose `way` is null; beside their rows of `OPERATION`."""

VAULT_NOTE = Table(
    "vault_note",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("problem_code", Text),
    Column("problem", Text),
)
"""The newest state that a vault is known to have reached, and why it cannot be used, if so."""

AUDIT_END = Table(
    "audit_end",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("host", String(HOST_NAME_CHARACTERS), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""The newest entry that a node's audit log at a host is known to have.

`host` is its name in the cluster; empty where the host has registers of its own.
"""

_PAUSES = (
    "ALTER TABLE virtual_node ADD COLUMN paused_at BIGINT",
    "ALTER TABLE virtual_node ADD COLUMN pause_ended_at BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE virtual_node ADD COLUMN paused_ms BIGINT NOT NULL DEFAULT 0",
)

_UPGRADES = (
    f"""CREATE TABLE cpi_upgrade (
        request_id VARCHAR(36) NOT NULL PRIMARY KEY,
        short_hash VARCHAR(12) NOT NULL,
        source VARCHAR({CHECKSUM_CHARACTERS}) NOT NULL,
        target VARCHAR({CHECKSUM_CHARACTERS}) NOT NULL,
        way VARCHAR(8),
        diverging VARCHAR(8) NOT NULL,
        stage VARCHAR(16) NOT NULL,
        stage_at BIGINT NOT NULL,
        was_paused BOOLEAN NOT NULL,
        moved TEXT NOT NULL,
        ended TEXT NOT NULL,
        report TEXT
    )""",
)

# Of a cluster, the host of an older note is not known: it is kept under no host's name.
_AUDIT_ENDS = (
    f"""CREATE TABLE audit_end (
        short_hash VARCHAR(12) NOT NULL,
        host VARCHAR({HOST_NAME_CHARACTERS}) NOT NULL,
        seq BIGINT NOT NULL,
        hash VARCHAR(64) NOT NULL,
        PRIMARY KEY (short_hash, host)
    )""",
    """INSERT INTO audit_end SELECT short_hash, '', audit_seq, audit_hash FROM vault_note
        WHERE audit_seq IS NOT NULL""",
    "ALTER TABLE vault_note DROP COLUMN audit_seq",
    "ALTER TABLE vault_note DROP COLUMN audit_hash",
)

SCHEMA = Schema(
    name="vnode",
    metadata=_METADATA,
    version=4,
    migrations={1: {EVERY: _PAUSES}, 2: {EVERY: _UPGRADES}, 3: {EVERY: _AUDIT_ENDS}},
)
