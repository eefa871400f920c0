"""Virtual nodes as values."""

from dataclasses import dataclass, replace
from enum import StrEnum

from host.domain.ids import Checksum, EpochMs, HoldingIdentity


class OperationalStatus(StrEnum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class NodeState(StrEnum):
    """What an operator sets; `PAUSED` is Cordbox's own."""

    ACTIVE = "ACTIVE"
    MAINTENANCE = "MAINTENANCE"
    """No flow starts or runs; those that ran are ended."""
    PAUSED = "PAUSED"
    """No flow starts, runs or ends: everything that arrives for them waits."""


_NEVER = EpochMs(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """When a virtual node was paused, in flow time (`host.flow.core.shift`).

    Attributes:
        since: when it was paused; None while it is not.
        ended_at: when its latest pause ended; 0 without one.
        total_ms: duration of all pauses that have ended. The node's own time is flow time less
            this: for its flows, pauses do not exist.
    """

    since: EpochMs | None = None
    ended_at: EpochMs = _NEVER
    total_ms: int = 0

    def begun(self, now: EpochMs) -> "Pauses":
        """A pause from now on, or the one that lasts."""
        return self if self.since is not None else replace(self, since=now)

    def ended(self, now: EpochMs) -> "Pauses":
        """No pause from now on; a clock that was put back makes none longer than nothing."""
        if self.since is None:
            return self
        lasted = max(0, now - self.since)
        return Pauses(since=None, ended_at=now, total_ms=self.total_ms + lasted)


NEVER_PAUSED = Pauses()


class AsyncStatus(StrEnum):
    """Status of an asynchronous operation (Corda's AsyncOperationStatus)."""

    ACCEPTED = "ACCEPTED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualNode:
    """A holding identity that runs one CPI with granted capabilities and its own storage."""

    holding: HoldingIdentity
    cpi_checksum: Checksum
    granted_capabilities: tuple[str, ...]
    flow_p2p_status: OperationalStatus = OperationalStatus.ACTIVE
    flow_start_status: OperationalStatus = OperationalStatus.ACTIVE
    flow_status: OperationalStatus = OperationalStatus.ACTIVE
    vault_db_status: OperationalStatus = OperationalStatus.ACTIVE
    pauses: Pauses = NEVER_PAUSED
    created_at: EpochMs

    @property
    def is_paused(self) -> bool:
        return self.pauses.since is not None

    @property
    def state(self) -> NodeState:
        is_active = self.flow_status is OperationalStatus.ACTIVE
        return state_of(is_paused=self.is_paused, is_active=is_active)


def state_of(*, is_paused: bool, is_active: bool) -> NodeState:
    """The state of a node, by whether it is paused, and whether its flows run otherwise."""
    if is_paused:
        return NodeState.PAUSED
    return NodeState.ACTIVE if is_active else NodeState.MAINTENANCE
