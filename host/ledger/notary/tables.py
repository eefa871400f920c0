"""Tables of a notary's own database, of which each notary node has one.

An output costs no row until it is spent: it is known if its transaction was accepted and has so
many outputs, and unspent if no row of `consumed` names it. A transaction's key is one byte for the
algorithm of its identifier, and the digest.
Source: corda-api `vnode-uniqueness` (`uniqueness_tx_details`, `uniqueness_state_details`,
`uniqueness_rejected_txs`).
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, Text

from host.ports.database import Schema

_METADATA = MetaData()

NOTARISED = Table(
    "notarised",
    _METADATA,
    Column("tx", LargeBinary(33), primary_key=True),
    Column("outputs", Integer, nullable=False),
    Column("result", String(1), nullable=False),
    Column("error", Text),
    Column("originator", Text, nullable=False),
    Column("upper_bound", String(27)),
    Column("at", BigInteger, nullable=False),
)
"""`result` is Corda's letter, `A` or `R`; `error` is a rejection's JSON; `at` is epoch ms."""

CONSUMED = Table(
    "consumed",
    _METADATA,
    Column("tx", LargeBinary(33), primary_key=True),
    Column("output", Integer, primary_key=True),
    Column("by", LargeBinary(33), nullable=False),
)

SCHEMA = Schema(name="uniqueness", metadata=_METADATA)
