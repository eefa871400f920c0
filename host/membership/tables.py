"""Tables of members, groups and registration requests, in the cluster's database."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from host.db.claims import claim_columns
from host.ports.database import REMEMBERED, Schema

_METADATA = MetaData()

MEMBER = Table(
    "member",
    _METADATA,
    Column("group_id", String(64), primary_key=True),
    Column("name", String(1024), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("info", Text, nullable=False),
    info=REMEMBERED,
)
"""`info` is the JSON of a `MemberInfo`."""

MEMBER_KEY = Table(
    "member_key",
    _METADATA,
    Column("group_id", String(64), primary_key=True),
    Column("public_key", Text, primary_key=True),
    Column("name", String(1024), nullable=False),
    ForeignKeyConstraint(["group_id", "name"], [MEMBER.c.group_id, MEMBER.c.name]),
    info=REMEMBERED,
)
"""Ledger keys in canonical PEM."""

GROUP_PARAMETERS = Table(
    "group_parameters",
    _METADATA,
    Column("group_id", String(64), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("parameters", Text, nullable=False),
    info=REMEMBERED,
)
"""`parameters` is the JSON of a `GroupParameters`."""

REGISTRATION = Table(
    "registration",
    _METADATA,
    Column("registration_id", String(36), primary_key=True),
    Column("short_hash", String(12), nullable=False),
    Column("status", String(32), nullable=False),
    Column("reason", Text),
    Column("context", Text, nullable=False),
    Column("serial", Integer),
    Column("sent_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    *claim_columns(),
)

Index("registration_of", REGISTRATION.c.short_hash, REGISTRATION.c.sent_at)

SCHEMA = Schema(name="membership", metadata=_METADATA)
