"""Tables of a node's entities, in its vault."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

from host.ports.database import EVERY, Schema

_METADATA = MetaData()

ENTITY = Table(
    "entity",
    _METADATA,
    Column("type", String(255), primary_key=True),
    Column("key", String(1024), primary_key=True),
    Column("value", Text, nullable=False),
    Column("sort_keys", Text, nullable=False, server_default="{}"),
    Column("updated_at", BigInteger, nullable=False),
)
"""`value` is canonical JSON; `sort_keys` has the order keys of its fields, in its own shape."""

ENTITY_SCHEMA = Table(
    "entity_schema",
    _METADATA,
    Column("type", String(255), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("applied_at", BigInteger, nullable=False),
)
"""The schema that all stored entities of a type fit."""

SCHEMA = Schema(
    name="persistence",
    metadata=_METADATA,
    version=2,
    migrations={
        1: {EVERY: ("ALTER TABLE entity ADD COLUMN sort_keys TEXT NOT NULL DEFAULT '{}'",)},
    },
    indexes_expressions=True,
)
"""Rows of version 1 get their order keys when their vault is used: the digests of entity types then
differ."""
