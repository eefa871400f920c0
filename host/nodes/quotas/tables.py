"""Tables of quotas in the cluster's database: overrides, counters of use, hits."""

from sqlalchemy import BigInteger, Column, MetaData, String, Table

from host.ports.database import REMEMBERED, Schema

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

SCHEMA = Schema(name="quotas", metadata=_METADATA)
