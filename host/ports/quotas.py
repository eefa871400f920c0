"""Quotas, as applied to flows and contracts: the limits of a node, and when it may continue."""

from typing import Protocol

from host.domain.ids import EpochMs, ShortHash
from host.domain.quotas import DEFAULT_QUOTA, Quota, RunCharge


class Quotas(Protocol):
    """Quotas of all virtual nodes. Called from many threads."""

    def quota(self, node: ShortHash) -> Quota:
        """The current quota of `node`; the host's defaults for a node without overrides."""
        ...

    def may_run_at(self, node: ShortHash) -> EpochMs | None:
        """When a guest of `node` may run, if the node has exceeded its rate; None: now.

        Every returned time reserves a separate slot for the node, so that waiting guests do not all
        resume at once.
        """
        ...

    def spent(self, node: ShortHash, spent: RunCharge) -> None:
        """Charge a run that has ended."""
        ...

    def hit(self, node: ShortHash, code: str) -> None:
        """Count a hit outside of a run, such as a refused start."""
        ...


class Unmetered:
    """`Quotas` for a standalone engine: the defaults apply, and nothing is counted."""

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
