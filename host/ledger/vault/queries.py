"""Vault-named queries on one node's vault: statements, pages, and the indexes that they use."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from host.database.sql import JsonText, dialect_of
from host.domain.ids import EpochMs
from host.domain.packages import StateInVault
from host.ledger.core.model import StateRef
from host.ledger.query.compiler import Compiler, bound_name
from host.ledger.query.cursor import cursor_refused
from host.ledger.query.declared import VaultQuery
from host.ledger.query.parameters import Bound
from host.ledger.vault.tables import OUTPUT, POOL, TRANSACTION

VISIBLE_STATES: Mapping[str, ColumnElement[Any]] = MappingProxyType(
    {
        "custom_representation": OUTPUT.c.representation,
        "type": OUTPUT.c.type,
        "transaction_id": TRANSACTION.c.id,
        "leaf_idx": OUTPUT.c.output_index,
        "created": OUTPUT.c.created_at,
        "consumed": OUTPUT.c.consumed_at,
        "token_type": POOL.c.token_type,
        "token_issuer_hash": POOL.c.issuer_hash,
        "token_notary_x500_name": POOL.c.notary,
        "token_symbol": POOL.c.symbol,
        "token_tag": OUTPUT.c.tag,
        "token_owner_hash": OUTPUT.c.owner_hash,
        "token_amount": OUTPUT.c.amount,
        "token_priority": OUTPUT.c.priority,
    }
)
"""The columns that queries know."""

_INDEX_PREFIX = "ledger_by_"
_FROM = OUTPUT.join(TRANSACTION, TRANSACTION.c.seq == OUTPUT.c.transaction_seq).outerjoin(
    POOL, POOL.c.pool == OUTPUT.c.pool
)
Values = Mapping[str, Bound | list[Bound]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A state that a query finds: its output's number, its reference, the JSON that queries see."""

    seq: int
    ref: StateRef
    representation: str


class QueryStatements:
    """The statements of one query. Thread-safe."""

    def __init__(self, query: VaultQuery) -> None:
        compiler = Compiler(VISIBLE_STATES, query.uses)
        self._order = [(compiler.value(each), descending) for each, descending in query.order]
        conditions = []
        if query.where is not None:
            conditions.append(compiler.condition(query.where))
        if query.unconsumed_only:
            conditions.append(OUTPUT.c.consumed_at.is_(None))
        self._condition = and_(*conditions) if conditions else None

    def page(
        self,
        connection: Connection,
        values: Values,
        *,
        limit: int,
        snapshot: int,
        after: int | None = None,
        before: EpochMs | None = None,
    ) -> list[Found]:
        """States in the query's order.

        Args:
            connection: to the node's vault.
            values: of the query's parameters.
            limit: number of states at most.
            snapshot: only outputs up to this number.
            after: only what comes after the output of this number; None: from the beginning.
            before: only outputs that were recorded before this time.
        """
        statement = self._narrowed(
            select(
                OUTPUT.c.seq, TRANSACTION.c.id, OUTPUT.c.output_index, OUTPUT.c.representation
            ).select_from(_FROM),
            snapshot=snapshot,
            before=before,
        )
        if after is not None:
            statement = statement.where(self._later(connection, after))
        for key, descending in self._order:
            statement = statement.order_by(key.is_(None), key.desc() if descending else key)
        ordered = statement.order_by(OUTPUT.c.seq).limit(limit)
        # All at once: the driver takes a third of the time that it takes row by row.
        rows = connection.execute(ordered, _bound(values)).all()
        return [
            Found(seq=seq, ref=StateRef(made_by, index), representation=representation)
            for seq, made_by, index, representation in rows
        ]

    def count(
        self, connection: Connection, values: Values, *, snapshot: int, before: EpochMs | None
    ) -> int:
        """How many states there are."""
        counted = select(func.count()).select_from(_FROM)
        statement = self._narrowed(counted, snapshot=snapshot, before=before)
        found: int = connection.execute(statement, _bound(values)).scalar_one()
        return found

    def _narrowed(
        self, statement: Select[Any], *, snapshot: int, before: EpochMs | None
    ) -> Select[Any]:
        statement = statement.where(OUTPUT.c.seq <= snapshot)
        if self._condition is not None:
            statement = statement.where(self._condition)
        return statement if before is None else statement.where(OUTPUT.c.created_at < before)

    def _later(self, connection: Connection, after: int) -> ColumnElement[bool]:
        """What comes after an output: its place is read from its row."""
        if not self._order:
            return OUTPUT.c.seq > after
        keys = [key for key, _ in self._order]
        row = connection.execute(
            select(*keys).select_from(_FROM).where(OUTPUT.c.seq == after)
        ).one_or_none()
        if row is None:
            raise cursor_refused("the vault has no output any more at which the page before ended")
        later: ColumnElement[bool] = OUTPUT.c.seq > after
        for (key, descending), last in reversed(list(zip(self._order, row, strict=True))):
            if last is None:
                later = and_(key.is_(None), later)
                continue
            beyond = key < last if descending else key > last
            later = or_(key.is_(None), beyond, and_(key == last, later))
        return later


def newest(connection: Connection) -> int:
    """The greatest number of an output; 0 if there is none."""
    found: int | None = connection.execute(select(func.max(OUTPUT.c.seq))).scalar_one()
    return found or 0


def wanted_indexes(states: Iterable[StateInVault]) -> Mapping[str, Sequence[ColumnElement[Any]]]:
    """The indexes that contract packages ask for: what they index, by name.

    They begin with the fields: a query names a state's type in its paths, seldom as a column.
    """
    found: dict[str, Sequence[ColumnElement[Any]]] = {}
    for state in states:
        for fields in state.indexes:
            paths = [(state.state, *field.split(".")) for field in fields]
            text = "\n".join(".".join(path) for path in paths)
            name = _INDEX_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:24]
            found[name] = [JsonText(OUTPUT.c.representation, path) for path in paths]
    return found


def has_indexes(connection: Connection, wanted: Iterable[str]) -> bool:
    """Whether the vault has exactly these indexes."""
    return dialect_of(connection).index_names(connection, _INDEX_PREFIX) == set(wanted)


def set_indexes(connection: Connection, wanted: Mapping[str, Sequence[ColumnElement[Any]]]) -> None:
    """Make the indexes that are missing, and drop the others, in the caller's transaction."""
    dialect = dialect_of(connection)
    existing = dialect.index_names(connection, _INDEX_PREFIX)
    for name in sorted(existing - set(wanted)):
        dialect.drop_index(connection, name)
    for name in sorted(set(wanted) - existing):
        dialect.create_index(
            connection,
            name,
            [*wanted[name], OUTPUT.c.seq],
            where=OUTPUT.c.consumed_at.is_(None),
        )


def _bound(values: Values) -> dict[str, object]:
    return {bound_name(name): value for name, value in values.items()}
