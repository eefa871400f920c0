"""Tables of a node's ledger, in its vault."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from host.database.sql import ROW_NUMBER
from host.ports.database import Schema

_METADATA = MetaData()

TRANSACTION = Table(
    "ledger_transaction",
    _METADATA,
    Column("seq", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("id", String(73), nullable=False, unique=True),
    Column("status", String(1), nullable=False),
    Column("privacy_salt", LargeBinary, nullable=False),
    Column("component_groups", Text, nullable=False),
    Column("signatures", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)
"""`status` is Corda's letter; only `V` (verified) is written. `seq` is the order of recording."""

OUTPUT = Table(
    "ledger_output",
    _METADATA,
    Column("transaction_id", String(73), ForeignKey(TRANSACTION.c.id), primary_key=True),
    Column("output_index", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("type", String(255), nullable=False),
    Column("state", Text, nullable=False),
    Column("visible", Boolean, nullable=False),
    Column("consumed_by", String(73)),
)
"""`visible`: a participant's key is this node's. `consumed_by` is a transaction's id."""

Index("ledger_unconsumed", OUTPUT.c.type, OUTPUT.c.visible, OUTPUT.c.consumed_by, OUTPUT.c.seq)

SCHEMA = Schema(name="ledger", metadata=_METADATA)
