"""Queries over the keys of a tenant, as SQL."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, false, select

from host.database.prepared import Prepared, Values
from host.keys.rotation import wrapping_key_alias
from host.keys.tables import SIGNING_KEY
from host.ports.keys import KeyOrder, KeyQuery

_COLUMNS = SIGNING_KEY.c
_GENERATION_DIGITS_MAX = 9
_ORDERS: Mapping[KeyOrder, ColumnElement[Any]] = {
    KeyOrder.CREATED: _COLUMNS.created_at,
    KeyOrder.CATEGORY: _COLUMNS.category,
    KeyOrder.SCHEME: _COLUMNS.scheme,
    KeyOrder.ALIAS: _COLUMNS.alias,
    KeyOrder.MASTER_KEY_ALIAS: _COLUMNS.wrapping_generation,
    KeyOrder.ID: _COLUMNS.key_id,
}
_IDS_MAX = 8


def prepared_of(tenant: str, query: KeyQuery) -> tuple[Prepared, Values] | None:
    """A prepared statement and its values, of queries by ids and one category that hosts make."""
    given = KeyQuery(ids=query.ids, category=query.category, limit=query.limit)
    if given != query or len(query.ids) > _IDS_MAX:
        return None
    ids = {f"id_{number}": each for number, each in enumerate(query.ids)}
    category = {} if query.category is None else {"of_category": query.category}
    values = {"of_tenant": tenant, "most": query.limit, **ids, **category}
    return _prepared(len(ids), is_of_category=bool(category)), values


@lru_cache(maxsize=2 * (_IDS_MAX + 1))
def _prepared(ids: int, *, is_of_category: bool) -> Prepared:
    statement = select(SIGNING_KEY).where(_COLUMNS.tenant == bindparam("of_tenant"))
    if ids:
        named: list[ColumnElement[str]] = [bindparam(f"id_{number}") for number in range(ids)]
        statement = statement.where(_COLUMNS.key_id.in_(named))
    if is_of_category:
        statement = statement.where(_COLUMNS.category == bindparam("of_category"))
    order = (_COLUMNS.created_at, _COLUMNS.key_id)
    return Prepared(statement.order_by(*order).limit(bindparam("most")))


def statement_of(tenant: str, query: KeyQuery) -> Select[Any]:
    """The statement that selects the keys of `tenant` that match `query`."""
    statement = select(SIGNING_KEY).where(_COLUMNS.tenant == tenant)
    if query.ids:
        statement = statement.where(_COLUMNS.key_id.in_(query.ids))
    for column, wanted in (
        (_COLUMNS.category, query.category),
        (_COLUMNS.scheme, query.scheme),
        (_COLUMNS.alias, query.alias),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if query.master_key_alias is not None:
        statement = statement.where(_wrapped_under(tenant, query.master_key_alias))
    if query.created_from is not None:
        statement = statement.where(_COLUMNS.created_at >= query.created_from)
    if query.created_to is not None:
        statement = statement.where(_COLUMNS.created_at <= query.created_to)
    by = _ORDERS[query.order]
    # Equal values are ordered by id, so that pages neither repeat nor skip rows.
    order = (by.desc() if query.is_descending else by, _COLUMNS.key_id)
    return statement.order_by(*order).offset(query.skip).limit(query.limit)


def _wrapped_under(tenant: str, alias: str) -> ColumnElement[bool]:
    """Whether a key is wrapped under the wrapping key of this alias."""
    digits = alias.rpartition("-")[2]
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _GENERATION_DIGITS_MAX):
        return false()
    generation = int(digits)
    is_one = wrapping_key_alias(tenant, generation) == alias
    return _COLUMNS.wrapping_generation == generation if is_one else false()
