"""Tables of the key store, in the cluster's database. Every secret in them is wrapped.

Master keys and a tenant's wrapping keys have generations, counted from 1; the greatest one wraps
new keys. Each row holds the generation that wraps it.
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

from host.database.claims import claim_columns
from host.ports.database import Schema

_METADATA = MetaData()

MASTER_KEY = Table(
    "key_master",
    _METADATA,
    Column("generation", Integer, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
"""One known text wrapped under each master key, to detect a wrong master key at start."""

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
"""The categories in which a tenant may create keys over REST."""

ROTATION = Table(
    "key_rotation",
    _METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("request_id", String(36), nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    *claim_columns(),
)
"""The latest rotation of each tenant; the tenant `master` stands for the master key."""

ROTATED = Table(
    "key_rotated",
    _METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("total", Integer, nullable=False),
    Column("rotated", Integer, nullable=False),
)
"""Progress of the latest rotation: the number of keys to rewrap by what they were wrapped for."""

SCHEMA = Schema(name="keys", metadata=_METADATA)
