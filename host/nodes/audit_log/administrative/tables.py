"""The tables of the administrative log, in the registers."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from host.database.sql import ROW_NUMBER
from host.ports.database import Schema

_METADATA = MetaData()
ENTRIES = Table(
    "administrative_log",
    _METADATA,
    Column("seq", ROW_NUMBER, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("of_seq", BigInteger),
    Column("user", Text),
    Column("path", Text),
    Column("is_flow", Boolean, nullable=False),
    Column("entry", Text, nullable=False),
    Index("administrative_log_of", "of_seq"),
    Index("administrative_log_kind", "kind", "is_flow", "seq"),
)
"""`entry` is the complete entry in canonical JSON; the other columns repeat parts of it."""
HEAD = Table(
    "administrative_head",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("line", Text, nullable=False),
    Column("counts", Text, nullable=False),
)
"""One row: the newest entry with a MAC, and counts of refusals without an entry yet."""
SCHEMA = Schema(name="administrative-log", metadata=_METADATA)
