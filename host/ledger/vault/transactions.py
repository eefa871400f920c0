"""Transactions of a node's vault, with statuses and signatures."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from sqlalchemy import Connection, bindparam, insert, select, update

from host.database.key_lists import in_parts
from host.database.prepared import Prepared, PreparedRow
from host.domain.call_time import check_call_time
from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs
from host.domain.json import canonical_json
from host.ledger.core.components import Group, ledger_of
from host.ledger.core.model import Ledger
from host.ledger.core.signed import Signature, SignedTransaction, read_signature
from host.ledger.core.statuses import Reason, Status, may_become
from host.ledger.vault.tables import SIGNATURE, TRANSACTION

SIGNATORY, NOTARY = "s", "n"
_ROW = TRANSACTION.c
_VERIFIED = frozenset({Status.VERIFIED})

_OF_ID = _ROW.id == bindparam("of_id")
_SELECT = Prepared(select(TRANSACTION).where(_OF_ID))
_SELECT_STATE = Prepared(select(_ROW.status, _ROW.reason).where(_OF_ID))
_SELECT_SEQ = Prepared(select(_ROW.seq).where(_OF_ID))
_SELECT_GROUPS = Prepared(select(_ROW.seq, _ROW.component_groups).where(_OF_ID))
_INSERT = Prepared(insert(TRANSACTION).returning(_ROW.seq))
_INSERT_SIGNATURE = Prepared(insert(SIGNATURE))
_OF_SEQ = SIGNATURE.c.transaction_seq == bindparam("of_seq")
_SELECT_SIGNATURES = Prepared(
    select(SIGNATURE.c.signature).where(_OF_SEQ).order_by(SIGNATURE.c.position)
)
_SELECT_KEYS = Prepared(select(SIGNATURE.c.key).where(_OF_SEQ))


class Origin(StrEnum):
    """How a transaction came to this node.

    `OWN`: a flow of this node built or recorded it; `FINALITY`: a counterparty proposed it;
    `BACKCHAIN`: another transaction depends on it; `TRANSFER`: a counterparty sent it.
    """

    OWN = "own"
    FINALITY = "finality"
    BACKCHAIN = "backchain"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A transaction as the vault keeps it.

    Attributes:
        reason: why it is invalid; None for every other status.
        examined: this node has found its content right.
        recorded_at: when it became verified.
    """

    seq: int
    signed: SignedTransaction
    status: Status
    reason: Reason | None
    origin: Origin
    examined: bool
    created_at: EpochMs
    updated_at: EpochMs
    recorded_at: EpochMs | None


def find(
    connection: Connection,
    transaction_id: str,
    statuses: Collection[Status] = _VERIFIED,
    ledger: Ledger | None = None,
) -> SignedTransaction | None:
    """The transaction of this identifier, if it has one of the statuses and is of the ledger."""
    row = _SELECT.first(connection, {"of_id": transaction_id})
    if (
        row is None
        or row.status not in statuses
        or (ledger is not None and row.ledger != ledger.value)
    ):
        return None
    return _signed(connection, row)


def find_stored(connection: Connection, transaction_id: str) -> Stored | None:
    """The transaction of this identifier, whatever its status."""
    row = _SELECT.first(connection, {"of_id": transaction_id})
    if row is None:
        return None
    return Stored(
        seq=row.seq,
        signed=_signed(connection, row),
        status=Status(row.status),
        reason=None if row.reason is None else Reason(row.reason),
        origin=Origin(row.origin),
        examined=row.examined,
        created_at=EpochMs(row.created_at),
        updated_at=EpochMs(row.updated_at),
        recorded_at=None if row.recorded_at is None else EpochMs(row.recorded_at),
    )


def statuses(connection: Connection, ids: Sequence[str]) -> list[Status | None]:
    """The status of each identifier; None for a transaction that is not in the vault."""
    found: dict[str, Status] = {}
    for part in in_parts(ids):
        check_call_time()
        rows = connection.execute(select(_ROW.id, _ROW.status).where(_ROW.id.in_(part)))
        found.update({row.id: Status(row.status) for row in rows})
    return [found.get(each) for each in ids]


def state_of(connection: Connection, transaction_id: str) -> tuple[Status, Reason | None] | None:
    """The status, and why it is invalid; None for a transaction that is not in the vault."""
    row = _SELECT_STATE.first(connection, {"of_id": transaction_id})
    if row is None:
        return None
    return Status(row.status), None if row.reason is None else Reason(row.reason)


def seq_of(connection: Connection, transaction_id: str) -> int:
    """The sequence number of a transaction of any status.

    Raises:
        NotFoundError: the vault does not have the transaction.
    """
    seq = _SELECT_SEQ.value(connection, {"of_id": transaction_id})
    if seq is None:
        raise _unknown(transaction_id)
    return int(seq)


def recorded_at(connection: Connection, transaction_id: str) -> EpochMs | None:
    """When the verified transaction of this identifier was recorded."""
    at = connection.execute(
        select(_ROW.recorded_at).where(
            _ROW.id == transaction_id, _ROW.status == Status.VERIFIED.value
        )
    ).scalar_one_or_none()
    return None if at is None else EpochMs(at)


def outline(connection: Connection, transaction_id: str) -> tuple[Status, EpochMs] | None:
    """The status, and when it was recorded or, of one that is not verified, first stored."""
    row = connection.execute(
        select(_ROW.status, _ROW.recorded_at, _ROW.created_at).where(_ROW.id == transaction_id)
    ).one_or_none()
    if row is None:
        return None
    at = row.created_at if row.recorded_at is None else row.recorded_at
    return Status(row.status), EpochMs(at)


def list_page(
    connection: Connection,
    *,
    limit: int,
    beyond: int | None,
    newest_first: bool,
    statuses: Collection[Status] = _VERIFIED,  # the column's word
) -> list[tuple[int, str]]:
    """Sequence number and identifier of transactions, in the order in which they were stored.

    Args:
        connection: to the node's vault.
        limit: number of transactions at most.
        beyond: only those that come after this sequence number in the order asked for.
        newest_first: the reverse order.
        statuses: only transactions with one of these.
    """
    query = select(_ROW.seq, _ROW.id).where(_ROW.status.in_(statuses))
    if beyond is not None:
        query = query.where(_ROW.seq < beyond if newest_first else _ROW.seq > beyond)
    rows = connection.execute(
        query.order_by(_ROW.seq.desc() if newest_first else _ROW.seq).limit(limit)
    )
    return [(row.seq, row.id) for row in rows]


def keep(
    connection: Connection,
    signed: SignedTransaction,
    *,
    status: Status,
    origin: Origin,
    now: EpochMs,
    reason: Reason | None = None,
    examined: bool = False,
) -> Status:
    """Store a draft, an unverified or an invalid transaction, or change the status of a stored one.

    A status that may not follow the stored one changes nothing. New signatures, by key, are added;
    the caller has checked them.

    Args:
        connection: its open transaction is on the node's vault.
        signed: the transaction.
        status: D, U or I; `host.ledger.vault.finish` makes transactions verified.
        origin: how it came; that of a stored transaction stays.
        now: the time.
        reason: why it is invalid.
        examined: this node has found its content right; once true it stays.

    Returns:
        The status that is stored afterwards.

    Raises:
        ValueError: a status that this function does not store.
    """
    if status is Status.VERIFIED or (status is Status.INVALID) is not (reason is not None):
        raise ValueError(f"cannot store status {status} for reason {reason}")
    stored = state_of(connection, signed.id)
    if stored is None:
        insert_row(
            connection,
            signed,
            status=status,
            reason=reason,
            origin=origin,
            examined=examined,
            now=now,
        )
        return status
    current = stored[0]
    if current is not status and may_become(*stored, status):
        change(connection, signed.id, now=now, status=status.value, reason=reason)
        current = status
    if examined:
        change(connection, signed.id, now=now, examined=True)
    add_signatures(connection, signed.id, signed.signatures, now=now)
    return current


def insert_row(
    connection: Connection,
    signed: SignedTransaction,
    *,
    status: Status,
    origin: Origin,
    now: EpochMs,
    reason: Reason | None = None,
    examined: bool = False,
) -> int:
    """Store a transaction that is not in the vault, with its signatures.

    Returns:
        Its sequence number.
    """
    metadata = json.loads(signed.groups[Group.METADATA][0])
    seq = _INSERT.value(
        connection,
        {
            "id": signed.id,
            "ledger": ledger_of(signed.groups).value,
            "status": status.value,
            "reason": reason,
            "examined": examined,
            "origin": origin.value,
            "privacy_salt": signed.privacy_salt,
            "component_groups": json.dumps(signed.groups),
            "parameters_hash": metadata.get("membershipGroupParametersHash", ""),
            "created_at": now,
            "updated_at": now,
            "recorded_at": now if status is Status.VERIFIED else None,
            "repairs": 0,
        },
    )
    notary_key = _notary_key(signed.groups)
    _insert_signatures(connection, seq, signed.signatures, notary_key, first=0)
    return int(seq)


def change(connection: Connection, transaction_id: str, *, now: EpochMs, **values: object) -> None:
    """Change columns of a stored transaction."""
    new = {"updated_at": now, **values}
    _change(tuple(new)).run(connection, {"of_id": transaction_id, **new})


@cache
def _change(columns: tuple[str, ...]) -> Prepared:
    """Sets columns of the callers, who know few sets of them."""
    return Prepared(
        update(TRANSACTION).where(_OF_ID).values({name: bindparam(name) for name in columns})
    )


def add_signatures(
    connection: Connection, transaction_id: str, signatures: Sequence[Signature], *, now: EpochMs
) -> None:
    """Add the signatures of keys that have none yet; the caller has checked them.

    Raises:
        NotFoundError: the vault does not have the transaction.
    """
    row = _SELECT_GROUPS.first(connection, {"of_id": transaction_id})
    if row is None:
        raise _unknown(transaction_id)
    stored = _SELECT_KEYS.all(connection, {"of_seq": row.seq})
    known = {each.key for each in stored}
    added = [each for each in signatures if each.key not in known]
    if added:
        notary_key = _notary_key(json.loads(row.component_groups))
        _insert_signatures(connection, row.seq, added, notary_key, first=len(stored))
        change(connection, transaction_id, now=now)


def _insert_signatures(
    connection: Connection,
    seq: int,
    signatures: Sequence[Signature],
    notary_key: str | None,
    *,
    first: int,
) -> None:
    if not signatures:
        return
    _INSERT_SIGNATURE.run(
        connection,
        [
            {
                "transaction_seq": seq,
                "position": first + number,
                "key": signature.key,
                "key_id": signature.by,
                "kind": NOTARY if signature.key == notary_key else SIGNATORY,
                "signature": canonical_json(signature.to_json()).decode(),
            }
            for number, signature in enumerate(signatures)
        ],
    )


def _unknown(transaction_id: str) -> NotFoundError:
    return NotFoundError(
        f"transaction {transaction_id} is not in this node's vault",
        kind="transaction",
        named=transaction_id,
    )


def _signed(connection: Connection, row: PreparedRow) -> SignedTransaction:
    return SignedTransaction(
        id=row.id,
        privacy_salt=row.privacy_salt,
        groups=tuple(tuple(group) for group in json.loads(row.component_groups)),
        signatures=_signatures(connection, row.seq),
    )


def _signatures(connection: Connection, seq: int) -> tuple[Signature, ...]:
    rows = _SELECT_SIGNATURES.all(connection, {"of_seq": seq})
    return tuple(read_signature(json.loads(row.signature)) for row in rows)


def _notary_key(groups: Sequence[Sequence[str]]) -> str | None:
    if ledger_of(groups) is Ledger.CONSENSUAL:
        return None
    leaves = groups[Group.NOTARY]
    if not leaves:
        return None
    key = json.loads(leaves[1])
    return key if isinstance(key, str) else None
