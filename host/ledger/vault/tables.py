"""Tables of a node's ledger, in its vault.

Source: corda-api `vnode-vault` (`utxo_transaction`, `utxo_transaction_signature`,
`utxo_visible_transaction_output`, `utxo_transaction_merkle_proof`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from host.database.sql import ROW_NUMBER
from host.ledger.vault.layout_1 import CONVERTED, take_over
from host.ports.database import EVERY, Schema

_METADATA = MetaData()

TRANSACTION = Table(
    "ledger_transaction",
    _METADATA,
    Column("seq", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("id", String(73), nullable=False, unique=True),
    Column("ledger", String(1), nullable=False),
    Column("status", String(1), nullable=False),
    Column("reason", String(16)),
    Column("examined", Boolean, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("privacy_salt", LargeBinary, nullable=False),
    Column("component_groups", Text, nullable=False),
    Column("parameters_hash", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger),
    Column("repairs", Integer, nullable=False),
)
"""Transactions in the order in which the node first stored them.

`ledger` is `u` (UTXO) or `c` (consensual); `status` and `reason` are those of
`host.ledger.core.statuses`, `origin` of `host.ledger.vault.transactions`. `examined`: this node has
found its content right. `recorded_at` is when it became verified. Times are epoch ms.
"""

SIGNATURE = Table(
    "ledger_signature",
    _METADATA,
    Column("transaction_seq", BigInteger, ForeignKey(TRANSACTION.c.seq), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("key_id", String(12), nullable=False),
    Column("kind", String(1), nullable=False),
    Column("signature", Text, nullable=False),
)
"""Signatures in the order in which they were added, one for each key of a transaction.

`kind` is `s` (signatory) or `n` (notary); `signature` is the JSON of guests.
"""

CONSUMPTION = Table(
    "ledger_consumption",
    _METADATA,
    Column("transaction_id", String(73), primary_key=True),
    Column("output_index", Integer, primary_key=True),
    Column("by_seq", BigInteger, ForeignKey(TRANSACTION.c.seq), nullable=False),
)
"""States that verified transactions consume, whether or not this node has the states."""

OUTPUT = Table(
    "ledger_output",
    _METADATA,
    Column("seq", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("transaction_seq", BigInteger, ForeignKey(TRANSACTION.c.seq), nullable=False),
    Column("output_index", Integer, nullable=False),
    Column("type", String(255), nullable=False),
    Column("representation", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("consumed_at", BigInteger),
    Column("pool", BigInteger),
    Column("amount", String(40)),
    Column("tag", Text),
    Column("owner_hash", Text),
    Column("priority", BigInteger),
    Column("spread", BigInteger),
    Column("claim", BigInteger),
)
"""The outputs of verified transactions that concern this node, in the order of recording.

The states themselves are in the transactions. `representation` is JSON, which queries read. From
`pool` on: of fungible states; `amount` is decimal text, `spread` a number drawn from the state's
reference. A transaction's outputs have consecutive `seq`, but for those that a rebuild added.
"""

FILTERED = Table(
    "ledger_filtered",
    _METADATA,
    Column("transaction_id", String(73), primary_key=True),
    Column("output_index", Integer, primary_key=True),
    Column("filtered", Text, nullable=False),
    Column("signatures", Text, nullable=False),
    Column("parameters_hash", String(128), nullable=False),
    Column("stored_at", BigInteger, nullable=False),
)
"""Filtered transactions by the outputs that they show, with their notary's signatures."""

PARTY = Table(
    "ledger_party",
    _METADATA,
    Column("transaction_seq", BigInteger, ForeignKey(TRANSACTION.c.seq), primary_key=True),
    Column("name", String(1024), primary_key=True),
)
"""The counterparties of a finality of this node, X.500 names."""

VERIFICATION = Table(
    "ledger_verification",
    _METADATA,
    Column("transaction_seq", BigInteger, ForeignKey(TRANSACTION.c.seq), primary_key=True),
    Column("cpk", String(73), primary_key=True),
    Column("party", String(1024), primary_key=True),
    Column("verification", Text, nullable=False),
    Column("verified_at", BigInteger, nullable=False),
)
"""Runs of contracts by this node (`party` is empty) and, as they say, by its counterparties.

`cpk` is the file checksum, `verification` the JSON of `host.ledger.core.digests`.
"""

POOL = Table(
    "ledger_pool",
    _METADATA,
    Column("pool", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("notary", Text, nullable=False),
    Column("token_type", Text, nullable=False),
    Column("issuer_hash", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("total", String(40), nullable=False),
    Column("count", BigInteger, nullable=False),
)
"""Fungible states of one notary, token type, issuer and symbol; `total` is decimal text."""

CLAIM = Table(
    "ledger_claim",
    _METADATA,
    Column("claim", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("request_id", Text, nullable=False),
    Column("flow_id", String(36), nullable=False),
    Column("pool", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""Fungible states that a flow has reserved until `expires_at`."""

REBUILD = Table(
    "ledger_rebuild",
    _METADATA,
    Column("rebuild", String(36), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("total", BigInteger, nullable=False),
    Column("transactions", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
)
"""The last rebuilds of this vault. `total`: verified transactions when it was asked for.

`transactions`, `changed` and `failed` count those that were looked at, were changed, and were left
because functions failed. Times are epoch ms.
"""

_REBUILD_TABLE = (
    (
        "CREATE TABLE ledger_rebuild (rebuild VARCHAR(36) NOT NULL, started_at BIGINT NOT NULL,"
        " updated_at BIGINT NOT NULL, ended_at BIGINT, total BIGINT NOT NULL,"
        " transactions BIGINT NOT NULL, changed BIGINT NOT NULL, failed BIGINT NOT NULL,"
        " PRIMARY KEY (rebuild))"
    ),
)
_INDEXES = (
    "CREATE UNIQUE INDEX ledger_output_place ON ledger_output (transaction_seq, output_index)",
    "CREATE INDEX ledger_output_unconsumed ON ledger_output (type, seq) WHERE consumed_at IS NULL",
    "CREATE INDEX ledger_transaction_status ON ledger_transaction (status, origin, created_at)",
)

_FREE = "consumed_at IS NULL AND claim IS NULL"
_TOKEN_INDEXES = (
    "CREATE UNIQUE INDEX ledger_pool_kind ON ledger_pool (notary, token_type, issuer_hash, symbol)",
    f"CREATE INDEX ledger_output_spread ON ledger_output (pool, spread) WHERE {_FREE}",
    f"CREATE INDEX ledger_output_priority ON ledger_output (pool, priority, spread) WHERE {_FREE}",
    "CREATE INDEX ledger_output_claim ON ledger_output (claim) WHERE claim IS NOT NULL",
    "CREATE INDEX ledger_claim_flow ON ledger_claim (flow_id)",
)
_CLAIM_INDEXES = ("CREATE INDEX ledger_claim_expiry ON ledger_claim (pool, expires_at)",)

SCHEMA = Schema(
    name="ledger",
    metadata=_METADATA,
    statements={EVERY: (*_INDEXES, *_TOKEN_INDEXES, *_CLAIM_INDEXES)},
    version=5,
    migrations={
        1: {EVERY: CONVERTED},
        2: {EVERY: _TOKEN_INDEXES},
        3: {EVERY: _CLAIM_INDEXES},
        4: {EVERY: _REBUILD_TABLE},
    },
    indexes_expressions=True,
    conversions={1: lambda connection: take_over(connection, _METADATA, _INDEXES, (REBUILD,))},
)
