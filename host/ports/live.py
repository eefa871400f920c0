"""Values that may change while a process runs: users read them each time.

A result of `get` must not be kept for longer than one unit of work (a step, a request, a run).
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Live(Protocol[T_co]):
    """A value that may change. Thread-safe."""

    def get(self) -> T_co:
        """The current value: immutable, and the same object until it changes."""
        ...

    def on_change(self, listener: Callable[[T_co], object]) -> None:
        """Call `listener` with each new value from now on, on the thread that changes it.

        For settings that are applied once, such as the size of a pool; other users call `get`.
        `listener` must be fast, and may be called while older values are still in use.
        """
        ...


class Fixed(Generic[T]):
    """`Live` of a value that never changes."""

    def __init__(self, value: T) -> None:
        self._value = value

    def get(self) -> T:
        return self._value

    def on_change(self, listener: Callable[[T], object]) -> None:
        """Does nothing: the value never changes."""


class Derived(Generic[T]):
    """A `Live` that a function computes from other live values.

    Args:
        make: pure; called again after any of `sources` has changed.
        sources: its arguments.
    """

    def __init__(self, make: Callable[..., T], *sources: Live[Any]) -> None:
        self._make = make
        self._sources = sources
        self._made = self._of(self._values())

    def get(self) -> T:
        values, made = self._made
        for source, old in zip(self._sources, values, strict=True):  # at every step of every flow
            if source.get() is not old:
                # Two threads may compute it at the same time; the results are equal.
                self._made = self._of(self._values())
                return self._made[1]
        return made

    def on_change(self, listener: Callable[[T], object]) -> None:
        for source in self._sources:
            source.on_change(lambda _: listener(self.get()))

    def _values(self) -> Sequence[object]:
        return tuple(source.get() for source in self._sources)

    def _of(self, values: Sequence[object]) -> tuple[Sequence[object], T]:
        return values, self._make(*values)
