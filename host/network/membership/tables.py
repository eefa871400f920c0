"""Tables of members, groups and registration requests, in the cluster's database."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from host.database.claims import claim_columns
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

GROUP_REALM = Table(
    "group_realm",
    _METADATA,
    Column("group_id", String(64), primary_key=True),
    Column("realm", String(64), nullable=False),
    Column("mgm_key", Text, nullable=False),
    info=REMEMBERED,
)
"""The realm of a group's members on this host, and the key of its MGM in canonical PEM."""

GROUP_PARAMETERS = Table(
    "group_parameters",
    _METADATA,
    Column("realm", String(64), primary_key=True),
    Column("hash", String(80), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signer_key", Text, nullable=False),
    Column("spec", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    info=REMEMBERED,
)
"""All versions: no row is deleted, since recorded transactions name them."""

Index("group_parameters_epoch", GROUP_PARAMETERS.c.realm, GROUP_PARAMETERS.c.epoch)

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
