"""Takes over a vault of version 1: signatures with their transaction, all outputs with their state.

Rows are taken as they are. A transaction whose components cannot be read stays unreadable, and is
refused where it is asked for.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, MetaData, Table, bindparam, insert, text

from host.domain.json import canonical_json
from host.ledger.core.components import Group

_PAGE = 50
"""Transactions that are in memory at once."""

CONVERTED = (
    "DROP INDEX ledger_unconsumed",
    "ALTER TABLE ledger_output RENAME TO ledger_output_1",
    "ALTER TABLE ledger_transaction RENAME TO ledger_transaction_1",
)
"""What precedes `take_over`: the tables of version 1 make room for those of today."""

_TRANSACTIONS = text(
    "SELECT seq, id, status, privacy_salt, component_groups, signatures, recorded_at"
    " FROM ledger_transaction_1 WHERE seq > :after ORDER BY seq LIMIT :limit"
)
_OUTPUTS = text(
    "SELECT o.transaction_id, o.output_index, o.type, o.state, o.seq AS transaction_seq,"
    " t.recorded_at AS created_at, c.recorded_at AS consumed_at"
    " FROM ledger_output_1 o JOIN ledger_transaction_1 t ON t.id = o.transaction_id"
    " LEFT JOIN ledger_transaction_1 c ON c.id = o.consumed_by"
    " WHERE o.visible AND o.seq IN :seqs ORDER BY o.seq, o.output_index"
).bindparams(bindparam("seqs", expanding=True))
_CONSUMED = text(
    "INSERT INTO ledger_consumption (transaction_id, output_index, by_seq)"
    " SELECT o.transaction_id, o.output_index, c.seq"
    " FROM ledger_output_1 o JOIN ledger_transaction_1 c ON c.id = o.consumed_by"
)
_DROPPED = ("DROP TABLE ledger_output_1", "DROP TABLE ledger_transaction_1")


class _Signature(msgspec.Struct, frozen=True):
    by: str
    key: str
    signature: bytes
    timestamp: str
    spec: str
    properties: tuple[tuple[str, str], ...]


def take_over(
    connection: Connection, metadata: MetaData, indexes: Sequence[str], later: Sequence[Table]
) -> None:
    """Create the tables of version 2, and fill them from those of version 1, which it drops.

    Args:
        connection: its open transaction migrates the vault.
        metadata: the tables of today.
        indexes: statements of version 2.
        later: tables that a later migration creates.
    """
    tables = [table for table in metadata.sorted_tables if table not in later]
    metadata.create_all(connection, tables=tables)
    for statement in indexes:
        connection.execute(text(statement))
    after = -1
    while rows := connection.execute(_TRANSACTIONS, {"after": after, "limit": _PAGE}).all():
        for row in rows:
            _take_transaction(connection, metadata, row)
        _take_outputs(connection, metadata, [row.seq for row in rows])
        after = rows[-1].seq
    connection.execute(_CONSUMED)
    for statement in _DROPPED:
        connection.execute(text(statement))


def _take_transaction(connection: Connection, metadata: MetaData, row: Any) -> None:
    notary_key, parameters_hash = _named(row.component_groups)
    connection.execute(
        insert(metadata.tables["ledger_transaction"]),
        {
            "seq": row.seq,
            "id": row.id,
            "ledger": "u",
            "status": row.status,
            "reason": None,
            "examined": True,
            "origin": "own",
            "privacy_salt": row.privacy_salt,
            "component_groups": row.component_groups,
            "parameters_hash": parameters_hash,
            "created_at": row.recorded_at,
            "updated_at": row.recorded_at,
            "recorded_at": row.recorded_at,
            "repairs": 0,
        },
    )
    signatures = msgspec.json.decode(row.signatures, type=tuple[_Signature, ...])
    if signatures:
        connection.execute(
            insert(metadata.tables["ledger_signature"]),
            [
                {
                    "transaction_seq": row.seq,
                    "position": position,
                    "key": signature.key,
                    "key_id": signature.by,
                    "kind": "n" if signature.key == notary_key else "s",
                    "signature": _signature_text(signature),
                }
                for position, signature in enumerate(signatures)
            ],
        )


def _take_outputs(connection: Connection, metadata: MetaData, seqs: Sequence[int]) -> None:
    rows = [
        {
            "transaction_seq": row.transaction_seq,
            "output_index": row.output_index,
            "type": row.type,
            "representation": canonical_json(
                {row.type: json.loads(row.state)[1]["value"]}
            ).decode(),
            "created_at": row.created_at,
            "consumed_at": row.consumed_at,
        }
        for row in connection.execute(_OUTPUTS, {"seqs": seqs})
    ]
    if rows:
        connection.execute(insert(metadata.tables["ledger_output"]), rows)


def _named(component_groups: str) -> tuple[str | None, str]:
    """The notary's key and the hash of the group parameters that a transaction names."""
    try:
        groups = json.loads(component_groups)
        found = json.loads(groups[Group.METADATA][0]).get("membershipGroupParametersHash", "")
        notary = groups[Group.NOTARY]
        key = json.loads(notary[1]) if notary else None
    except (ValueError, TypeError, LookupError, AttributeError):
        return None, ""
    return key if isinstance(key, str) else None, found if isinstance(found, str) else ""


def _signature_text(signature: _Signature) -> str:
    return canonical_json(
        {
            "by": signature.by,
            "key": signature.key,
            "signature": base64.b64encode(signature.signature).decode(),
            "metadata": {
                "timestamp": signature.timestamp,
                "signatureSpec": signature.spec,
                "properties": dict(signature.properties),
            },
        }
    ).decode()
