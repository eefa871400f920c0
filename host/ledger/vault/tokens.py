"""Tokens of a vault: their pools, claims on them, and balances. Statements only.

A pool holds the unconsumed tokens of one notary, type, issuer and symbol; its total is kept, not
added up. A claim reserves tokens for one flow; it never outlives its tokens.
"""

import hashlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    insert,
    null,
    select,
    update,
)

from host.database.prepared import Prepared
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
_OUT, _CLAIM = OUTPUT.c, CLAIM.c
_TokenRow: TypeAlias = tuple[int, str, int, str, str, str, int]


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
    row = _FIND_TOKEN.first(connection, {"output": output_seq})
    assert row is not None  # noqa: S101  # the caller has found it
    _change(connection, row.pool, -amount_of(row.amount), -1)
    if row.claim is not None:
        _set_claim(connection, [output_seq], None)
        _drop_empty(connection, [row.claim])


def candidates(
    connection: Connection, pool: int, criteria: Criteria, strategy: Strategy, begin: int
) -> Generator[Candidate]:
    """Tokens that no flow has claimed, in the order in which they are taken.

    Args:
        connection: to the node's vault.
        pool: of the criteria, see `find_pool`.
        criteria: which tokens.
        strategy: RANDOM from `begin` on, around; PRIORITY by priority, those without one last.
        begin: a number as of `spread_of`.
    """
    values = {"pool": pool, "owner": criteria.owner_hash, "begin": begin}
    for free in _FREE[strategy, criteria.owner_hash is not None]:
        with closing(free.each(connection, values)) as rows:
            yield from _wanted(rows, criteria)


def claim(
    connection: Connection,
    pool: int,
    tokens: Sequence[Candidate],
    *,
    request_id: str,
    flow_id: FlowId,
    expires_at: EpochMs,
) -> int:
    """Reserve tokens of a pool for a flow; answers the claim's number."""
    number: int = _ADD_CLAIM.value(
        connection,
        {
            "request_id": request_id,
            "flow_id": flow_id,
            "pool": pool,
            "expires_at": expires_at,
        },
    )
    _set_claim(connection, [token.seq for token in tokens], number)
    return number


def release_expired(connection: Connection, pool: int, now: EpochMs) -> None:
    """End the claims of a pool whose time is over."""
    _release(connection, _EXPIRED, {"pool": pool, "now": now})


def release(connection: Connection, flow_id: FlowId) -> None:
    """End the claims of a flow that has ended."""
    _release(connection, _OF_FLOW, {"flow": flow_id})


def balance(connection: Connection, criteria: Criteria, now: EpochMs) -> tuple[Decimal, Decimal]:
    """What is available, and the total with what is claimed."""
    pool = find_pool(connection, criteria)
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
    with closing(connection.execute(_tokens(where).order_by(OUTPUT.c.seq))) as rows:
        return total_of(token.amount for token in _wanted(rows, criteria))


def _tokens(where: ColumnElement[bool]) -> Select[_TokenRow]:
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


def _free(strategy: Strategy, *, is_owned: bool) -> Sequence[Prepared]:
    """Selects tokens of `pool` that no flow has claimed; all of the first before the second.

    `is_owned`: only those of `owner`.
    """
    free = and_(_OUT.pool == bindparam("pool"), _OUT.consumed_at.is_(None), _OUT.claim.is_(None))
    if is_owned:
        free = and_(free, _OUT.owner_hash == bindparam("owner"))
    if strategy is Strategy.PRIORITY:
        order = (_OUT.priority.is_(None), _OUT.priority, _OUT.spread)
        return (Prepared(_tokens(free).order_by(*order)),)
    begin = bindparam("begin", type_=BigInteger)
    return tuple(
        Prepared(_tokens(and_(free, part)).order_by(_OUT.spread))
        for part in (_OUT.spread >= begin, _OUT.spread < begin)
    )


_FREE = {
    (strategy, is_owned): _free(strategy, is_owned=is_owned)
    for strategy in Strategy
    for is_owned in (False, True)
}
_FIND_POOL = Prepared(
    select(POOL.c.pool).where(
        *(
            column == bindparam(f"of_{column.name}")
            for column in (POOL.c.notary, POOL.c.token_type, POOL.c.issuer_hash, POOL.c.symbol)
        )
    )
)
_FIND_TOKEN = Prepared(
    select(_OUT.pool, _OUT.amount, _OUT.claim).where(_OUT.seq == bindparam("output"))
)
_OF_POOL = POOL.c.pool == bindparam("of_pool")
_FIND_TOTAL = Prepared(select(POOL.c.total).where(_OF_POOL))
_SET_TOTAL = Prepared(
    update(POOL)
    .where(_OF_POOL)
    .values(total=bindparam("total"), count=POOL.c.count + bindparam("more"))
)
_ADD_CLAIM = Prepared(insert(CLAIM).returning(_CLAIM.claim))
_SET_CLAIM = Prepared(
    update(OUTPUT).where(_OUT.seq == bindparam("output")).values(claim=bindparam("number"))
)
_EXPIRED = Prepared(
    select(_CLAIM.claim).where(
        _CLAIM.pool == bindparam("pool"), _CLAIM.expires_at <= bindparam("now")
    )
)
_OF_FLOW = Prepared(select(_CLAIM.claim).where(_CLAIM.flow_id == bindparam("flow")))
_END_CLAIM = Prepared(delete(CLAIM).where(_CLAIM.claim == bindparam("ended")))
_FREE_TOKENS = Prepared(update(OUTPUT).where(_OUT.claim == bindparam("ended")).values(claim=null()))


def _wanted(rows: Iterable[Any], criteria: Criteria) -> Iterator[Candidate]:
    """Tokens whose tags are wanted, of rows of `_tokens`."""
    wanted = criteria.has_tag
    for row in rows:
        check_call_time()
        if wanted is None or (row.tag is not None and wanted(row.tag)):
            yield Candidate(
                seq=row.seq,
                ref=StateRef(row.id, row.output_index),
                amount=amount_of(row.amount),
                tag=row.tag,
                owner_hash=row.owner_hash,
                priority=row.priority,
            )


def _pool(connection: Connection, token: TokenFacts) -> int:
    """The pool of a token, made if it is the first."""
    criteria = Criteria(
        token_type=token.token_type,
        issuer_hash=token.issuer_hash,
        notary=token.notary,
        symbol=token.symbol,
    )
    known = find_pool(connection, criteria)
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


def find_pool(connection: Connection, criteria: Criteria) -> int | None:
    """The pool of some criteria; None if the vault never had a token of it."""
    found: int | None = _FIND_POOL.value(
        connection,
        {
            "of_notary": criteria.notary,
            "of_token_type": criteria.token_type,
            "of_issuer_hash": criteria.issuer_hash,
            "of_symbol": criteria.symbol,
        },
    )
    return found


def _change(connection: Connection, pool: int, amount: Decimal, count: int) -> None:
    before = _FIND_TOTAL.value(connection, {"of_pool": pool})
    total = plain(total_of([Decimal(before), amount]))
    _SET_TOTAL.run(connection, {"of_pool": pool, "total": total, "more": count})


def _set_claim(connection: Connection, outputs: Sequence[int], number: int | None) -> None:
    if outputs:
        _SET_CLAIM.run(connection, [{"output": seq, "number": number} for seq in outputs])


def _release(connection: Connection, claims: Prepared, values: Mapping[str, object]) -> None:
    ended = [{"ended": row.claim} for row in claims.all(connection, values)]
    _FREE_TOKENS.run(connection, ended)
    _END_CLAIM.run(connection, ended)


def _drop_empty(connection: Connection, claims: Collection[int]) -> None:
    held = select(OUTPUT.c.claim).where(OUTPUT.c.claim.in_(claims))
    connection.execute(delete(CLAIM).where(CLAIM.c.claim.in_(claims), CLAIM.c.claim.not_in(held)))
