"""Quotas as flows and contracts meet them: what a node may use, and when it may go on."""

from typing import Protocol

from host.domain.ids import EpochMs, ShortHash
from host.domain.quotas import DEFAULT_QUOTA, Quota, RunCharge


class Quotas(Protocol):
    """Quotas of all virtual nodes. Called from many threads."""

    def quota(self, node: ShortHash) -> Quota:
        """What `node` may use now; the host's defaults for a node without overrides."""
        ...

    def may_run_at(self, node: ShortHash) -> EpochMs | None:
        """When a guest of `node` may run, if not now: the node is beyond its rate.

        Every answer books a place of its own in the node's queue, so that waiting guests do not
        all come back at once.
        """
        ...

    def spent(self, node: ShortHash, spent: RunCharge) -> None:
        """Charge a run that has ended."""
        ...

    def hit(self, node: ShortHash, code: str) -> None:
        """Count a hit that no run ended with, such as a refused start."""
        ...


class Unmetered:
    """`Quotas` of an engine that stands alone: the defaults, and nothing is counted."""

    def quota(self, node: ShortHash) -> Quota:
        del node
        return DEFAULT_QUOTA

    def may_run_at(self, node: ShortHash) -> EpochMs | None:
        del node
        return None

    def spent(self, node: ShortHash, spent: RunCharge) -> None:
        """Forget it."""

    def hit(self, node: ShortHash, code: str) -> None:
        """Forget it."""
