"""Which of the acts that have begun are on flows, so that their outcomes are kept as long."""

from collections.abc import Collection, Sequence

import sqlalchemy as sql

from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.acts import Content
from host.nodes.audit_log.administrative.tables import ENTRIES

_BEGUN_MAX = 10_000
"""Acts without an outcome of which it is remembered whether they are on flows."""


class BegunActs:
    """The acts of this process without an outcome yet. The caller holds the log's lock."""

    def __init__(self) -> None:
        self._begun: dict[int, bool] = {}

    def remember(self, numbers: Sequence[int], contents: Sequence[Content]) -> None:
        """Keep which of the acts that have begun are on flows, for their outcomes."""
        if len(self._begun) > _BEGUN_MAX:
            self._begun.clear()
        for number, content in zip(numbers, contents, strict=True):
            if content["kind"] == acts.INTENT:
                self._begun[number] = bool(content.get("isFlow"))
            elif content["kind"] == acts.OUTCOME and isinstance(ended := content["of"], int):
                self._begun.pop(ended, None)

    def of_flows(self, connection: sql.Connection, numbers: Collection[int]) -> frozenset[int]:
        """Those of the numbers whose acts are on flows."""
        known = {number for number in numbers if self._begun.get(number)}
        others = [number for number in numbers if number not in self._begun]
        if others:  # of another process, or of this one before it was started anew
            query = sql.select(ENTRIES.c.seq).where(
                ENTRIES.c.seq.in_(others), ENTRIES.c.is_flow.is_(True)
            )
            known |= {number for (number,) in connection.execute(query)}
        return frozenset(known)
