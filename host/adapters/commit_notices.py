"""Listeners of a store's commits in one process, and the hints that processes send each other."""

from collections.abc import Callable

from host.ports.bus import CommitListener, Committed
from host.ports.groups import RebalanceListener
from host.ports.hints import Hint, Hints


class CommitNotices:
    """Tells of the commits and rebalances of one store, whichever process made them.

    Args:
        hints: sends and receives those of other processes, if there are any; closed with this.
        everything: what may be new, after a hint that does not say it.
    """

    def __init__(self, hints: Hints | None, everything: Callable[[Hint], Committed]) -> None:
        self._hints = hints
        self._everything = everything
        self._listeners: list[CommitListener] = []
        self._rebalance_listeners: list[RebalanceListener] = []

    def start(self) -> None:
        """Receive hints from now on: once the store can be read."""
        if self._hints is not None:
            self._hints.listen(self._tell)

    def close(self) -> None:
        if self._hints is not None:
            self._hints.close()

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener` after each commit, on the thread that made or heard of it."""
        self._listeners.append(listener)

    def on_rebalance(self, listener: RebalanceListener) -> None:
        """Call `listener` with each group whose members or partitions have changed."""
        self._rebalance_listeners.append(listener)

    def committed(self, committed: Committed) -> None:
        """This process has committed."""
        if not committed:
            return
        self._tell_committed(committed)
        if self._hints is not None and self._hints.has_listeners:
            self._hints.tell(Hint(committed=committed))

    def rebalanced(self, group: str) -> None:
        """This process has changed the members of a group."""
        hint = Hint(groups=frozenset({group}))
        self._tell(hint)
        if self._hints is not None:
            self._hints.tell(hint)

    def _tell(self, hint: Hint) -> None:
        """Notify this process's listeners of its own or another process's commit."""
        committed = self._everything(hint) if hint.is_incomplete else hint.committed
        if committed:
            self._tell_committed(committed)
        for group in hint.groups:
            for rebalanced in self._rebalance_listeners:
                rebalanced(group)

    def _tell_committed(self, committed: Committed) -> None:
        for listener in self._listeners:
            listener(committed)
