"""Table of a node's entities, in its vault."""

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text

from host.db import Schema

_METADATA = MetaData()

ENTITY = Table(
    "entity",
    _METADATA,
    Column("type", String(255), primary_key=True),
    Column("key", String(1024), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""`value` is canonical JSON."""

SCHEMA = Schema(name="persistence", metadata=_METADATA)
