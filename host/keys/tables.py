"""Tables of the key store, in the cluster's database. Every secret in them is wrapped.

Master keys and a tenant's wrapping keys have generations, counted from 1; the greatest one wraps
what is new. Each row tells the generation that it is wrapped under.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from host.ports.database import Schema

_METADATA = MetaData()

MASTER_KEY = Table(
    "key_master",
    _METADATA,
    Column("generation", Integer, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
"""One known text wrapped under each master key: tells a wrong master key at start."""

WRAPPING_KEY = Table(
    "key_wrapping",
    _METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("master_generation", Integer, nullable=False, index=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

SIGNING_KEY = Table(
    "key_signing",
    _METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("key_id", String(12), primary_key=True),
    Column("category", String(32), nullable=False),
    Column("alias", String(128), nullable=False),
    Column("scheme", String(64), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("wrapping_generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("tenant", "alias", name="key_alias"),
    ForeignKeyConstraint(
        ("tenant", "wrapping_generation"),
        ("key_wrapping.tenant", "key_wrapping.generation"),
        name="key_wrapped_under",
    ),
)

HSM = Table(
    "key_hsm",
    _METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("category", String(32), primary_key=True),
    Column("association_id", String(36), nullable=False),
)
"""Which categories of keys a tenant may have made over REST."""

ROTATION = Table(
    "key_rotation",
    _METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("request_id", String(36), nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""The latest rotation of each tenant; the tenant `master` is the master key."""

ROTATED = Table(
    "key_rotated",
    _METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("total", Integer, nullable=False),
    Column("rotated", Integer, nullable=False),
)
"""How far the latest rotation is: keys to rewrap by who or what they were wrapped for."""

_TO_2 = (
    "CREATE TABLE key_master (generation INTEGER NOT NULL PRIMARY KEY, wrapped BLOB NOT NULL)",
    "INSERT INTO key_master SELECT 1, wrapped FROM key_master_check",
    "DROP TABLE key_master_check",
    "ALTER TABLE key_signing RENAME TO key_signing_1",
    "ALTER TABLE key_wrapping RENAME TO key_wrapping_1",
    """
    CREATE TABLE key_wrapping (
        tenant VARCHAR(12) NOT NULL,
        generation INTEGER NOT NULL,
        master_generation INTEGER NOT NULL,
        wrapped BLOB NOT NULL,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, generation)
    )
    """,
    "CREATE INDEX ix_key_wrapping_master_generation ON key_wrapping (master_generation)",
    "INSERT INTO key_wrapping SELECT tenant, 1, 1, wrapped, created_at FROM key_wrapping_1",
    """
    CREATE TABLE key_signing (
        tenant VARCHAR(12) NOT NULL,
        key_id VARCHAR(12) NOT NULL,
        category VARCHAR(32) NOT NULL,
        alias VARCHAR(128) NOT NULL,
        scheme VARCHAR(64) NOT NULL,
        public_key TEXT NOT NULL,
        wrapping_generation INTEGER NOT NULL,
        wrapped BLOB NOT NULL,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (tenant, key_id),
        CONSTRAINT key_alias UNIQUE (tenant, alias),
        CONSTRAINT key_wrapped_under FOREIGN KEY(tenant, wrapping_generation)
            REFERENCES key_wrapping (tenant, generation)
    )
    """,
    """
    INSERT INTO key_signing SELECT tenant, key_id, category, alias, scheme, public_key, 1, wrapped,
        created_at FROM key_signing_1
    """,
    "DROP TABLE key_signing_1",
    "DROP TABLE key_wrapping_1",
    """
    CREATE TABLE key_hsm (
        tenant VARCHAR(12) NOT NULL,
        category VARCHAR(32) NOT NULL,
        association_id VARCHAR(36) NOT NULL,
        PRIMARY KEY (tenant, category)
    )
    """,
    """
    CREATE TABLE key_rotation (
        tenant VARCHAR(12) NOT NULL PRIMARY KEY,
        request_id VARCHAR(36) NOT NULL,
        status VARCHAR(16) NOT NULL,
        started_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE key_rotated (
        tenant VARCHAR(12) NOT NULL,
        name VARCHAR(64) NOT NULL,
        total INTEGER NOT NULL,
        rotated INTEGER NOT NULL,
        PRIMARY KEY (tenant, name)
    )
    """,
)

SCHEMA = Schema(name="keys", metadata=_METADATA, version=2, migrations={1: _TO_2})
