"""Verifying byte accounts in PostgreSQL: one statement sees one state of all that they count."""

from collections.abc import Sequence
from typing import Any

from host.domain.accounts import Account, Discrepancy
from host.domain.ids import ShortHash
from plugins.postgres.rows import balance_of

_SIZE = "octet_length(t.key) + octet_length(t.value)"
_STATES = (
    f"SELECT t.node, t.account AS name, t.peer, {_SIZE} AS bytes, 1 AS things,"  # noqa: S608  # constants
    " CASE WHEN t.due_at IS NULL THEN 1 ELSE 0 END AS lasting FROM states t"
    " WHERE t.account IS NOT NULL"
)
# Their own sums are the values to verify.
_JOURNALS = (
    "SELECT t.node, t.account, t.peer, coalesce((SELECT sum(octet_length(value)) FROM journal j"
    " WHERE j.flow_id = t.flow_id), 0), 0, 0 FROM journals t"
)
_HELD = (
    _STATES,
    f"SELECT t.node, 'bus', t.peer, {_SIZE}, 1, 0 FROM work t WHERE t.node <> ''",  # noqa: S608  # constants
    f"SELECT t.node, 'bus', t.peer, {_SIZE}, 1, 0 FROM outbox t WHERE t.node <> ''",  # noqa: S608  # constants
    f"SELECT t.node, 'bus', NULL, {_SIZE}, 1, 0 FROM records t WHERE t.node IS NOT NULL",  # noqa: S608  # constants
    _JOURNALS,
)
RECOUNT = (
    f"WITH held AS ({' UNION ALL '.join(_HELD)}),"  # noqa: S608  # constants
    " counted AS (SELECT node, name, w.peer, sum(bytes)::bigint AS bytes,"
    " sum(things)::bigint AS things, sum(lasting)::bigint AS lasting"
    " FROM held, LATERAL (VALUES (''), (held.peer)) w (peer) WHERE w.peer IS NOT NULL"
    " GROUP BY 1, 2, 3)"
    " SELECT coalesce(k.node, c.node), coalesce(k.name, c.name), coalesce(k.peer, c.peer),"
    " coalesce(k.bytes, 0), coalesce(k.things, 0), coalesce(k.lasting, 0),"
    " coalesce(c.bytes, 0), coalesce(c.things, 0), coalesce(c.lasting, 0)"
    " FROM balances k FULL JOIN counted c USING (node, name, peer)"
    " WHERE (coalesce(k.bytes, 0), coalesce(k.things, 0), coalesce(k.lasting, 0))"
    " <> (coalesce(c.bytes, 0), coalesce(c.things, 0), coalesce(c.lasting, 0)) ORDER BY 1, 2, 3"
)
"""Accounts that differ from the sums of their items: node, name, peer, kept and counted."""
CORRECT = (
    "INSERT INTO account_changes VALUES (:n, :a, :p, :bytes::bigint, :things::bigint,"
    " :lasting::bigint)"
)
"""A correction is added, so that changes by others in the meantime stay."""
CORRECT_JOURNALS = (
    "UPDATE journals t SET bytes = coalesce((SELECT sum(octet_length(value)) FROM journal j"
    " WHERE j.flow_id = t.flow_id), 0)"
)


def discrepancy_of(row: Sequence[Any]) -> Discrepancy:
    """A row of `RECOUNT`."""
    return Discrepancy(
        node=ShortHash(row[0]),
        account=Account(row[1]),
        peer=ShortHash(row[2]) if row[2] else None,
        kept=balance_of(row[3:6]),
        counted=balance_of(row[6:9]),
    )
