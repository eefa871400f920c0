"""Tables of quotas in the cluster's database: overrides, counters of use, hits."""

from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, text

from host.ports.database import EVERY, REMEMBERED, Schema

_METADATA = MetaData()

OVERRIDE = Table(
    "virtual_node_quota",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
    info=REMEMBERED,
)

USAGE = Table(
    "virtual_node_usage",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("counter", String(96), primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)
"""`counter` is `runs`, `fuel`, ..., `call:<interface>.<function>` or `hit:<code>`."""
IS_HIT = text("counter >= 'hit:' AND counter < 'hit;'")
"""Selects hits; in the words of their index, which is used for it."""
_HITS = "virtual_node_usage_hits"
Index(_HITS, USAGE.c.last_at, sqlite_where=IS_HIT, postgresql_where=IS_HIT)

SCHEMA = Schema(
    name="quotas",
    metadata=_METADATA,
    version=2,
    migrations={
        1: {EVERY: (f"CREATE INDEX {_HITS} ON virtual_node_usage (last_at) WHERE {IS_HIT.text}",)}
    },
)
