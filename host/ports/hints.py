"""Hints: processes that use one store tell each other what they have committed, so nobody polls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from host.ports.bus import Committed


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What happened.

    Attributes:
        committed: what there is to do.
        groups: those that shared their partitions out anew.
        is_incomplete: there is more than stands here; any partition may have got records.
    """

    committed: Committed = field(default_factory=Committed)
    groups: frozenset[str] = frozenset()
    is_incomplete: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.committed or self.groups or self.is_incomplete)


class Hints(Protocol):
    """One process's end. Thread-safe.

    Any hint may be lost, or come late: who relies on hearing everything looks into the store from
    time to time. A process does not hear its own.
    """

    @property
    def has_listeners(self) -> bool:
        """Whether anybody else is known to listen."""
        ...

    def listen(self, listener: Callable[[Hint], None]) -> None:
        """Call `listener` on a thread of its own for what others tell; it must not block.

        What others told before is not heard. Hints may be joined.
        """
        ...

    def tell(self, hint: Hint) -> None:
        """Tell the others, without waiting for them."""
        ...

    def close(self) -> None:
        """Hear and tell nothing any more."""
        ...
