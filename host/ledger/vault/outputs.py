"""Outputs of verified transactions, and what consumed them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from sqlalchemy import Connection, bindparam, func, select

from host.database.prepared import Prepared
from host.domain.call_time import check_call_time
from host.domain.ids import EpochMs
from host.ledger.core.components import Group, read_output
from host.ledger.core.model import Ledger, State, StateAndRef, StateRef
from host.ledger.core.statuses import Status
from host.ledger.errors import StateConsumedError, StateNotFoundError, StatesTooLargeError
from host.ledger.vault import filtered
from host.ledger.vault.tables import CONSUMPTION, FILTERED, OUTPUT, TRANSACTION

STATES_BYTES_MAX = 1024 * 1024
_SELECT_GROUPS = Prepared(
    select(TRANSACTION.c.component_groups).where(
        TRANSACTION.c.id == bindparam("of_id"),
        TRANSACTION.c.status == bindparam("status"),
        TRANSACTION.c.ledger == bindparam("ledger"),
    )
)
_UTXO = {"status": Status.VERIFIED.value, "ledger": Ledger.UTXO.value}
_SELECT_CONSUMER = Prepared(
    select(TRANSACTION.c.id)
    .join(CONSUMPTION, TRANSACTION.c.seq == CONSUMPTION.c.by_seq)
    .where(
        CONSUMPTION.c.transaction_id == bindparam("of_id"),
        CONSUMPTION.c.output_index == bindparam("of_index"),
    )
)
_SELECT_VISIBLE = Prepared(
    select(OUTPUT.c.output_index)
    .join(TRANSACTION, TRANSACTION.c.seq == OUTPUT.c.transaction_seq)
    .where(TRANSACTION.c.id == bindparam("of_id"))
    .order_by(OUTPUT.c.output_index)
)
_SELECT_PARAMETERS = tuple(
    Prepared(select(table.c.parameters_hash).where(column == bindparam("of_id")))
    for table, column in ((TRANSACTION, TRANSACTION.c.id), (FILTERED, FILTERED.c.transaction_id))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list of states.

    Attributes:
        states: at most as many as asked for, of about `STATES_BYTES_MAX` bytes together.
        last: the number of the last one's output; the next page comes after it.
        more: there are more.
    """

    states: list[StateAndRef]
    last: int
    more: bool


def find(
    connection: Connection,
    refs: Sequence[StateRef],
    judged: Mapping[str, Sequence[Sequence[str]]] = MappingProxyType({}),
) -> list[StateAndRef]:
    """Outputs of verified transactions or of stored filtered ones, consumed or not.

    Args:
        connection: to the node's vault.
        refs: of the outputs.
        judged: component groups, by id, of transactions that the caller is about to make verified.

    Raises:
        StateNotFoundError: one is not in this vault.
        StatesTooLargeError: together they exceed `STATES_BYTES_MAX`.
    """
    wanted: dict[str, list[int]] = {}
    for ref in refs:
        wanted.setdefault(ref.transaction_id, []).append(ref.index)
    found: dict[StateRef, State] = {}
    size = 0
    for transaction_id, indexes in wanted.items():
        check_call_time()
        groups = judged.get(transaction_id)
        states = (
            _states_in(connection, transaction_id, indexes)
            if groups is None
            else _states_of(groups, indexes)
        )
        for index, state, length in states:
            size += length
            if size > STATES_BYTES_MAX:
                raise StatesTooLargeError(
                    f"the {len(refs)} states asked for exceed {STATES_BYTES_MAX} bytes"
                )
            found[StateRef(transaction_id, index)] = state
    for ref in refs:
        if ref not in found:
            raise StateNotFoundError(f"state {ref} is not in this node's vault")
    return [StateAndRef(ref=ref, state=found[ref]) for ref in refs]


def check_unconsumed(connection: Connection, refs: Sequence[StateRef], *, by: str) -> None:
    """Check that no verified transaction but `by` consumes one of `refs`.

    Raises:
        StateConsumedError: one is consumed; the message names the transaction.
    """
    consumed = consumers(connection, refs)
    for ref in refs:
        if consumed.get(ref, by) != by:
            raise StateConsumedError(f"state {ref} was consumed by transaction {consumed[ref]}")


def consumers(connection: Connection, refs: Sequence[StateRef]) -> Mapping[StateRef, str]:
    """The verified transactions that consume states; those that are unconsumed are left out."""
    found: dict[StateRef, str] = {}
    for ref in refs:
        check_call_time()
        place = {"of_id": ref.transaction_id, "of_index": ref.index}
        consumer = _SELECT_CONSUMER.value(connection, place)
        if consumer is not None:
            found[ref] = consumer
    return found


def consuming(connection: Connection, transaction_id: str, *, limit: int) -> list[str]:
    """The verified transactions that consume states of one, each once, by its lowest state."""
    rows = connection.execute(
        select(TRANSACTION.c.id, func.min(CONSUMPTION.c.output_index))
        .join(TRANSACTION, TRANSACTION.c.seq == CONSUMPTION.c.by_seq)
        .where(CONSUMPTION.c.transaction_id == transaction_id)
        .group_by(TRANSACTION.c.id)
        .order_by(func.min(CONSUMPTION.c.output_index))
        .limit(limit)
    )
    return [row[0] for row in rows]


def parameters_hashes(connection: Connection, refs: Sequence[StateRef]) -> list[str]:
    """The distinct group parameters of the transactions that made the states."""
    found: set[str] = set()
    for transaction_id in {ref.transaction_id for ref in refs}:
        for statement in _SELECT_PARAMETERS:
            rows = statement.all(connection, {"of_id": transaction_id})
            found.update(row[0] for row in rows)
    return sorted(found)


def visible(connection: Connection, transaction_id: str) -> list[int]:
    """Indexes of the transaction's outputs that concern this node."""
    rows = _SELECT_VISIBLE.all(connection, {"of_id": transaction_id})
    return [row.output_index for row in rows]


def unconsumed(
    connection: Connection,
    state_type: str,
    *,
    limit: int,
    after: int = 0,
    until: int | None = None,
    before: EpochMs | None = None,
) -> Page:
    """A page of this node's unconsumed states of exactly this type, in the order of recording.

    Args:
        connection: to the node's vault.
        state_type: the class name of the states.
        limit: number of states at most.
        after: only outputs with a greater number.
        until: only outputs with at most this number.
        before: only outputs that were recorded before this time.
    """
    query = select(OUTPUT.c.seq).where(
        OUTPUT.c.type == state_type, OUTPUT.c.consumed_at.is_(None), OUTPUT.c.seq > after
    )
    if until is not None:
        query = query.where(OUTPUT.c.seq <= until)
    if before is not None:
        query = query.where(OUTPUT.c.created_at < before)
    rows = connection.execute(query.order_by(OUTPUT.c.seq).limit(limit + 1))
    seqs = [row.seq for row in rows]
    states: list[StateAndRef] = []
    last, size = after, 0
    for seq, state, length in each_state(connection, seqs[:limit]):
        size += length
        if states and size > STATES_BYTES_MAX:
            return Page(states=states, last=last, more=True)
        states.append(state)
        last = seq
    return Page(states=states, last=last, more=len(seqs) > limit)


def unconsumed_counts(connection: Connection) -> Mapping[str, int]:
    """How many unconsumed states of each type concern this node."""
    query = (
        select(OUTPUT.c.type, func.count())
        .where(OUTPUT.c.consumed_at.is_(None))
        .group_by(OUTPUT.c.type)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def makers(connection: Connection, state_type: str, *, limit: int) -> Sequence[str]:
    """Identifiers of transactions that made unconsumed states of a type, the latest first."""
    query = (
        select(TRANSACTION.c.id)
        .join(OUTPUT, OUTPUT.c.transaction_seq == TRANSACTION.c.seq)
        .where(OUTPUT.c.type == state_type, OUTPUT.c.consumed_at.is_(None))
        .group_by(TRANSACTION.c.id, TRANSACTION.c.seq)
        .order_by(TRANSACTION.c.seq.desc())
        .limit(limit)
    )
    return [row.id for row in connection.execute(query)]


def newest(connection: Connection) -> int:
    """The greatest number of an output that concerns this node; 0 if there is none."""
    return connection.execute(select(func.max(OUTPUT.c.seq))).scalar_one() or 0


def each_state(
    connection: Connection, seqs: Sequence[int]
) -> Iterator[tuple[int, StateAndRef, int]]:
    """Outputs by rising number, each with its state and the state's size.

    A transaction is read once for its outputs whose numbers follow each other, as those of one
    write do.
    """
    if not seqs:
        return
    rows = connection.execute(
        select(OUTPUT.c.seq, OUTPUT.c.transaction_seq, OUTPUT.c.output_index)
        .where(OUTPUT.c.seq.in_(seqs))
        .order_by(OUTPUT.c.seq)
    ).all()
    runs = [list(run) for _, run in groupby(rows, key=lambda row: row.transaction_seq)]
    first = [run[0].seq for run in runs]
    transactions = connection.execute(
        select(TRANSACTION.c.id, TRANSACTION.c.component_groups)
        .join(OUTPUT, OUTPUT.c.transaction_seq == TRANSACTION.c.seq)
        .where(OUTPUT.c.seq.in_(first))
        .order_by(OUTPUT.c.seq)
    )
    try:
        for run, row in zip(runs, transactions, strict=True):
            groups = json.loads(row.component_groups)
            for output in run:
                state, length = _state(groups, output.output_index)
                ref = StateRef(row.id, output.output_index)
                yield output.seq, StateAndRef(ref=ref, state=state), length
    finally:
        transactions.close()


def _states_in(
    connection: Connection, transaction_id: str, indexes: Sequence[int]
) -> Iterator[tuple[int, State, int]]:
    """Index, state and size of those outputs that the vault has."""
    text = _SELECT_GROUPS.value(connection, {"of_id": transaction_id, **_UTXO})
    if text is None:
        yield from filtered.states(connection, transaction_id, indexes)
        return
    yield from _states_of(json.loads(text), indexes)


def _states_of(
    groups: Sequence[Sequence[str]], indexes: Sequence[int]
) -> Iterator[tuple[int, State, int]]:
    for index in indexes:
        if index < len(groups[Group.OUTPUTS]):
            yield (index, *_state(groups, index))


def _state(groups: Sequence[Sequence[str]], index: int) -> tuple[State, int]:
    info, output = groups[Group.OUTPUTS_INFO][index], groups[Group.OUTPUTS][index]
    return read_output(json.loads(info), json.loads(output)), len(info) + len(output)
