"""Room in the account `journal` for what a step has produced and not written yet.

That is answers of calls, and the checkpoint. Encoding a checkpoint takes time, so that its size is
measured only where an upper bound has no room.
"""

from host.domain.accounts import Account, QuotaExceededError
from host.flow.core.messages import encode
from host.flow.core.offloaded_payloads import offloaded
from host.flow.core.room import Room
from host.flow.engine.step_state import StepState

GROWTH_MAX = 128 * 1024
"""More bytes than one call, or a flow's start, can add to an encoded checkpoint: at most a session
with a context of 12,000 characters, of 6 bytes each in JSON."""


class JournalRoom:
    """Mutable, of one run of a flow, whose journal is read."""

    def __init__(self, flow: StepState, room: Room) -> None:
        self._flow = flow
        self._room = room
        self._measured = 0
        self._changes = 0 if flow.version else 1

    def changed(self) -> None:
        """A call has changed the flow's checkpoint."""
        self._changes += 1

    def forget(self) -> None:
        """The step has written its output."""
        self._measured = self._changes = 0

    def check(self, *, unwritten: int) -> None:
        """Refuse another call if the account has no room for its answer.

        Args:
            unwritten: bytes of the answers that the step has not written yet.

        Raises:
            QuotaExceededError: it has none.
            StorageError: the store cannot be read.
        """
        try:
            self._check(unwritten + self._measured + self._changes * GROWTH_MAX)
        except QuotaExceededError:
            if not self._changes:
                raise
            self._measured, self._changes = self._growth(), 0
            self._check(unwritten + self._measured)

    def _check(self, pending: int) -> None:
        self._room.check(Account.JOURNAL, pending=pending, more=1)

    def _growth(self) -> int:
        """By how many bytes the encoded checkpoint is larger than the stored one."""
        flow = self._flow
        size = len(encode(offloaded(flow.checkpoint, flow.apart).checkpoint))
        return max(0, size - flow.checkpoint_bytes)
