"""Hints: processes that share a store notify each other of commits, which avoids polling."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from host.ports.bus import Committed


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One notification.

    Attributes:
        committed: the new work.
        groups: groups that were rebalanced.
        is_incomplete: not everything is listed; any partition may have new records.
    """

    committed: Committed = field(default_factory=Committed)
    groups: frozenset[str] = frozenset()
    is_incomplete: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.committed or self.groups or self.is_incomplete)


class Hints(Protocol):
    """The endpoint of one process. Thread-safe.

    Hints may be lost or late: a receiver that must not miss work also scans the store from time to
    time. A process does not receive its own hints.
    """

    @property
    def has_listeners(self) -> bool:
        """Whether any other process is known to listen."""
        ...

    def listen(self, listener: Callable[[Hint], None]) -> None:
        """Call `listener`, on a separate thread, for hints of other processes; it must not block.

        Earlier hints are not delivered. Several hints may be merged into one.
        """
        ...

    def tell(self, hint: Hint) -> None:
        """Send a hint to the other processes, without waiting for them."""
        ...

    def close(self) -> None:
        """Stop sending and receiving hints."""
        ...
