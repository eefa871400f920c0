"""Glances: what lists of flows show, beside the statuses and much smaller than they are.

A glance belongs to the state of its flow's status: it is written with that state, and goes with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs, FlowId, ShortHash

GLANCES_MAX = 1001
"""One answer: a page, and one more that tells whether there is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlanceWrite:
    """What the writer of a status knows of its flow. `at` is when the status was reached.

    `origin` is the flow that a client started, of a responder that follows from it; the first
    status of a flow sets it.
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
    """One flow in a list. `key` is that of its status; `ended_at` is None while it runs."""

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
    """Where a flow stands in the order of lists: by start, then by key."""

    started_at: EpochMs
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GlanceQuery:
    """Which flows of a node a list wants.

    Attributes:
        status: only flows in this status; None for all.
        responders: also flows that counterparties started.
        before: only flows that stand before this place, which is not included.
        until: only flows that started at this time or earlier.
        origin: only responders that follow from this flow.
    """

    node: ShortHash
    status: str | None = None
    responders: bool = False
    before: GlancePlace | None = None
    until: EpochMs | None = None
    origin: FlowId | None = None


class Glances(Protocol):
    """Reading side of the glances."""

    def glances(self, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]:
        """Flows, the latest start first; at most `limit` and `GLANCES_MAX`."""
        ...
