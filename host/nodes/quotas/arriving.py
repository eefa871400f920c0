"""Quotas and counters that came with the file of a node: values that this release has."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Table

from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.quotas import Quota, QuotaInvalidError
from host.nodes.quotas.tables import OVERRIDE
from host.ports.node_contents import NodeItemInvalidError

_CLOCKS_MS = 86_400_000
"""By so much the clocks of two clusters may differ."""


def quota_check(
    now: Callable[[], EpochMs],
) -> Callable[[HoldingIdentity, Table, Mapping[str, Any]], None]:
    """What refuses a row of such a table; `now` is the host's time."""

    def check(holding: HoldingIdentity, table: Table, row: Mapping[str, Any]) -> None:
        del holding
        if table is OVERRIDE:
            try:
                Quota().with_overrides({str(row.get("name")): row.get("value") or 0})
            except QuotaInvalidError as exc:
                raise NodeItemInvalidError(
                    f"a quota in the file cannot be used: {exc.message}"
                ) from exc
            return
        # The latest hits of all nodes are shown together: none of a later day hides the others.
        first, last = row.get("first_at") or 0, row.get("last_at") or 0
        if not 0 <= first <= last <= now() + _CLOCKS_MS or (row.get("value") or 0) < 0:
            raise NodeItemInvalidError("a counter in the file is of a time to come, or negative")

    return check
