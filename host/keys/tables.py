"""Tables of the key store, in the cluster's database. Every secret in them is wrapped."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from host.db import Schema

_METADATA = MetaData()

MASTER_CHECK = Table(
    "key_master_check",
    _METADATA,
    Column("name", String(16), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
"""One known text wrapped under the master key: tells a wrong master key at start."""

WRAPPING_KEY = Table(
    "key_wrapping",
    _METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

SIGNING_KEY = Table(
    "key_signing",
    _METADATA,
    Column("tenant", String(12), ForeignKey(WRAPPING_KEY.c.tenant), primary_key=True),
    Column("key_id", String(12), primary_key=True),
    Column("category", String(32), nullable=False),
    Column("alias", String(128), nullable=False),
    Column("scheme", String(64), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("tenant", "alias", name="key_alias"),
)

SCHEMA = Schema(name="keys", metadata=_METADATA)
