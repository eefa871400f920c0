"""Tokens of a vault: their pools, claims on them, and balances. Statements only.

A pool holds the unconsumed tokens of one notary, type, issuer and symbol; its total is kept, not
added up. A claim reserves tokens for one flow; it never outlives its tokens.
"""

import hashlib
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, insert, select, update

from host.domain.call_time import check_call_time
from host.domain.ids import EpochMs, FlowId
from host.ledger.core.amounts import amount_of, plain, total_of
from host.ledger.core.facts import TokenFacts
from host.ledger.core.model import StateRef
from host.ledger.core.selection import Candidate
from host.ledger.vault.tables import CLAIM, OUTPUT, POOL, TRANSACTION

COLUMNS = ("pool", "amount", "tag", "owner_hash", "priority", "spread")
"""Columns of outputs that only tokens have."""
_SPREAD_BYTES = 8
_READ_AT_ONCE = 500


class Strategy(StrEnum):
    """In which order tokens are taken. Source: corda-api `Strategy.java`."""

    RANDOM = "RANDOM"
    PRIORITY = "PRIORITY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Which tokens are meant. Source: corda-api `TokenClaimCriteria.java`.

    Attributes:
        token_type, issuer_hash, notary, symbol: the pool.
        owner_hash: of the tokens; None: any.
        has_tag: whether a tag is wanted; None: any tag, and none.
    """

    token_type: str
    issuer_hash: str
    notary: str
    symbol: str
    owner_hash: str | None = None
    has_tag: Callable[[str], bool] | None = None


def spread_of(text: str) -> int:
    """A number drawn from a text: tokens are taken in its order, so that claims meet seldom."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:_SPREAD_BYTES], "big", signed=True)


def columns_of(
    connection: Connection, transaction_id: str, index: int, token: TokenFacts
) -> dict[str, object]:
    """The columns of a token's output."""
    return {
        "pool": _pool(connection, token),
        "amount": token.amount,
        "tag": token.tag,
        "owner_hash": token.owner_hash,
        "priority": token.priority,
        "spread": spread_of(str(StateRef(transaction_id, index))),
    }


def added(connection: Connection, columns: Mapping[str, Any]) -> None:
    """A token with these columns comes into its pool: it is not consumed."""
    _change(connection, columns["pool"], amount_of(columns["amount"]), 1)


def left(connection: Connection, output_seq: int) -> None:
    """A token leaves its pool and its claim: it is consumed, or is this token no more."""
    row = connection.execute(
        select(OUTPUT.c.pool, OUTPUT.c.amount, OUTPUT.c.claim).where(OUTPUT.c.seq == output_seq)
    ).one()
    _change(connection, row.pool, -amount_of(row.amount), -1)
    if row.claim is not None:
        _set_claim(connection, [output_seq], None)
        _drop_empty(connection, [row.claim])


def candidates(
    connection: Connection, criteria: Criteria, strategy: Strategy, begin: int
) -> Generator[Candidate]:
    """Tokens that no flow has claimed, in the order in which they are taken.

    Args:
        connection: to the node's vault.
        criteria: which tokens.
        strategy: RANDOM from `begin` on, around; PRIORITY by priority, those without one last.
        begin: a number as of `spread_of`.
    """
    pool = _find_pool(connection, criteria)
    if pool is None:
        return
    free = and_(OUTPUT.c.pool == pool, OUTPUT.c.consumed_at.is_(None), OUTPUT.c.claim.is_(None))
    if criteria.owner_hash is not None:
        free = and_(free, OUTPUT.c.owner_hash == criteria.owner_hash)
    if strategy is Strategy.PRIORITY:
        order = (OUTPUT.c.priority.is_(None), OUTPUT.c.priority, OUTPUT.c.spread)
        yield from _taken(connection, _tokens(free).order_by(*order), criteria)
        return
    for part in (OUTPUT.c.spread >= begin, OUTPUT.c.spread < begin):
        statement = _tokens(and_(free, part)).order_by(OUTPUT.c.spread)
        yield from _taken(connection, statement, criteria)


def claim(
    connection: Connection,
    criteria: Criteria,
    tokens: Sequence[Candidate],
    *,
    request_id: str,
    flow_id: FlowId,
    expires_at: EpochMs,
) -> int:
    """Reserve tokens for a flow; answers the claim's number."""
    pool = _find_pool(connection, criteria)
    number: int = connection.execute(
        insert(CLAIM).returning(CLAIM.c.claim),
        {
            "request_id": request_id,
            "flow_id": flow_id,
            "pool": pool,
            "expires_at": expires_at,
        },
    ).scalar_one()
    _set_claim(connection, [token.seq for token in tokens], number)
    return number


def release_expired(connection: Connection, criteria: Criteria, now: EpochMs) -> None:
    """End the claims of a pool whose time is over."""
    pool = _find_pool(connection, criteria)
    if pool is not None:
        _release(connection, and_(CLAIM.c.pool == pool, CLAIM.c.expires_at <= now))


def release(connection: Connection, flow_id: FlowId) -> None:
    """End the claims of a flow that has ended."""
    _release(connection, CLAIM.c.flow_id == flow_id)


def balance(connection: Connection, criteria: Criteria, now: EpochMs) -> tuple[Decimal, Decimal]:
    """What is available, and the total with what is claimed."""
    pool = _find_pool(connection, criteria)
    if pool is None:
        return Decimal(0), Decimal(0)
    there = and_(OUTPUT.c.pool == pool, OUTPUT.c.consumed_at.is_(None))
    expired = select(CLAIM.c.claim).where(CLAIM.c.expires_at <= now)
    claimed = and_(there, OUTPUT.c.claim.is_not(None), OUTPUT.c.claim.not_in(expired))
    if criteria.owner_hash is None and criteria.has_tag is None:
        whole = Decimal(
            connection.execute(select(POOL.c.total).where(POOL.c.pool == pool)).scalar_one()
        )
    else:
        whole = _sum(connection, there, criteria)
    return whole - _sum(connection, claimed, criteria), whole


def _sum(connection: Connection, where: ColumnElement[bool], criteria: Criteria) -> Decimal:
    if criteria.owner_hash is not None:
        where = and_(where, OUTPUT.c.owner_hash == criteria.owner_hash)
    found = _taken(connection, _tokens(where).order_by(OUTPUT.c.seq), criteria)
    return total_of(token.amount for token in found)


def _tokens(where: ColumnElement[bool]) -> Select[tuple[int, str, int, str, str, str, int]]:
    return (
        select(
            OUTPUT.c.seq,
            TRANSACTION.c.id,
            OUTPUT.c.output_index,
            OUTPUT.c.amount,
            OUTPUT.c.tag,
            OUTPUT.c.owner_hash,
            OUTPUT.c.priority,
        )
        .join(TRANSACTION, TRANSACTION.c.seq == OUTPUT.c.transaction_seq)
        .where(where)
    )


def _taken(
    connection: Connection,
    statement: Select[tuple[int, str, int, str, str, str, int]],
    criteria: Criteria,
) -> Iterator[Candidate]:
    rows = connection.execute(statement)
    try:
        for row in rows:
            check_call_time()
            wanted = criteria.has_tag
            if wanted is None or (row.tag is not None and wanted(row.tag)):
                yield Candidate(
                    seq=row.seq,
                    ref=StateRef(row.id, row.output_index),
                    amount=amount_of(row.amount),
                    tag=row.tag,
                    owner_hash=row.owner_hash,
                    priority=row.priority,
                )
    finally:
        rows.close()


def _pool(connection: Connection, token: TokenFacts) -> int:
    """The pool of a token, made if it is the first."""
    criteria = Criteria(
        token_type=token.token_type,
        issuer_hash=token.issuer_hash,
        notary=token.notary,
        symbol=token.symbol,
    )
    known = _find_pool(connection, criteria)
    if known is not None:
        return known
    number: int = connection.execute(
        insert(POOL).returning(POOL.c.pool),
        {
            "notary": token.notary,
            "token_type": token.token_type,
            "issuer_hash": token.issuer_hash,
            "symbol": token.symbol,
            "total": "0",
            "count": 0,
        },
    ).scalar_one()
    return number


def _find_pool(connection: Connection, criteria: Criteria) -> int | None:
    found: int | None = connection.execute(
        select(POOL.c.pool).where(
            POOL.c.notary == criteria.notary,
            POOL.c.token_type == criteria.token_type,
            POOL.c.issuer_hash == criteria.issuer_hash,
            POOL.c.symbol == criteria.symbol,
        )
    ).scalar_one_or_none()
    return found


def _change(connection: Connection, pool: int, amount: Decimal, count: int) -> None:
    before = connection.execute(select(POOL.c.total).where(POOL.c.pool == pool)).scalar_one()
    total = plain(total_of([Decimal(before), amount]))
    connection.execute(
        update(POOL).where(POOL.c.pool == pool).values(total=total, count=POOL.c.count + count)
    )


def _set_claim(connection: Connection, outputs: Sequence[int], number: int | None) -> None:
    for start in range(0, len(outputs), _READ_AT_ONCE):
        part = outputs[start : start + _READ_AT_ONCE]
        connection.execute(update(OUTPUT).where(OUTPUT.c.seq.in_(part)).values(claim=number))


def _release(connection: Connection, where: ColumnElement[bool]) -> None:
    ended = select(CLAIM.c.claim).where(where)
    connection.execute(update(OUTPUT).where(OUTPUT.c.claim.in_(ended)).values(claim=None))
    connection.execute(delete(CLAIM).where(where))


def _drop_empty(connection: Connection, claims: Collection[int]) -> None:
    held = select(OUTPUT.c.claim).where(OUTPUT.c.claim.in_(claims))
    connection.execute(delete(CLAIM).where(CLAIM.c.claim.in_(claims), CLAIM.c.claim.not_in(held)))
