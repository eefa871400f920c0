"""Tables of nodes that leave and arrive, in the cluster's database."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

from host.database.claims import claim_columns
from host.ports.database import REMEMBERED, Schema

_METADATA = MetaData()

LOCATION = Table(
    "node_location",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("place", String(16), nullable=False),
    Column("transfer", String(36), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("location_id", String(36)),
    Column("at", BigInteger, nullable=False),
    info=REMEMBERED,
)
"""Nodes that are not simply here. `transfer` is the export or import that brought it about; it is
empty once it is over: all was erased that a moved node left, or the node works here.

`epoch` and `location_id` are those that this copy claims, or was granted. Of a member of a static
group, which nobody grants a place, `location_id` is what its export has in common with those of the
other members; once it has moved, it names the cluster that the group was given to.
"""

TRANSFER = Table(
    "node_transfer",
    _METADATA,
    Column("request_id", String(36), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("short_hash", String(12), nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("stage", String(32), nullable=False),
    Column("recipient", Text),
    Column("identity", Text),
    Column("bytes_done", BigInteger, nullable=False),
    Column("bytes_total", BigInteger, nullable=False),
    Column("error", Text),
    Column("started_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    *claim_columns(),
)
"""Exports and imports. `identity` is what a passphrase opens (`host.adapters.files.container`)."""

SCHEMA = Schema(name="location", metadata=_METADATA)
