"""Glances: summaries of flows for lists, stored beside the statuses and much smaller.

A glance belongs to the state of its flow's status: it is written and deleted with that state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs, FlowId, ShortHash

MINUTE_MS = 60_000
LAST_CHARACTER = "\U0010ffff"
"""Sorts after every character of a request id."""
GLANCES_MAX = 1001
"""Rows of one query: a page, and one more that shows whether there is a next page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlanceWrite:
    """The writer's data about the flow of a status. `at` is when the status was reached.

    `origin` of a responder is the client-started flow from which it descends; the first status of a
    flow sets it.
    """

    node: ShortHash
    request_id: str
    flow_id: FlowId | None
    flow_class: str
    status: str
    is_responder: bool
    is_final: bool
    at: EpochMs
    origin: FlowId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowGlance:
    """One flow in a list. `key` is the key of its status; `ended_at` is None while it runs."""

    key: str
    node: ShortHash
    request_id: str
    flow_id: FlowId | None
    flow_class: str
    status: str
    is_responder: bool
    started_at: EpochMs
    updated_at: EpochMs
    ended_at: EpochMs | None

    @property
    def place(self) -> "GlancePlace":
        return GlancePlace(started_at=self.started_at, key=self.key)


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class GlancePlace:
    """A flow's position in the order of lists: by start time, then by key."""

    started_at: EpochMs
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GlanceQuery:
    """Selects flows for a list.

    Attributes:
        node: only flows of this virtual node; None for those of all.
        status: only flows in this status; None for all.
        responders: also flows that counterparties started.
        before: only flows before this place (exclusive).
        until: only flows started at or before this time.
        since: only flows started at or after this time.
        origin: only responders that descend from this flow; needs `node`.
    """

    node: ShortHash | None = None
    status: str | None = None
    responders: bool = False
    before: GlancePlace | None = None
    until: EpochMs | None = None
    since: EpochMs | None = None
    origin: FlowId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many flows of a node ended in one status within one minute: responders, or all others.

    `minute` is the start of the minute.
    """

    node: ShortHash
    status: str
    minute: EpochMs
    count: int
    is_responder: bool = False


class Glances(Protocol):
    """Reading side of the glances."""

    def glances(self, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]:
        """Flows, latest start first; at most `limit` and `GLANCES_MAX`."""
        ...

    def requested(self, prefix: str, limit: int) -> Sequence[FlowGlance]:
        """Client-started flows whose request id begins with `prefix`, in its order."""
        ...

    def status_count(self, status: str, most: int) -> int:
        """Client-started flows in a status, counted up to `most`."""
        ...

    def ended(self, since: EpochMs) -> Sequence[Ended]:
        """Flows that ended at `since` or later, by node, status, minute, and who started them."""
        ...
