"""Log records of the standard module `logging`, on their way to the virtual node's log."""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

from collections.abc import Callable
from json import dumps

__tracebackhide__ = True

_MESSAGE_CHARACTERS_MAX = 16_000


class Records:
    """Sends records while a flow runs. Elsewhere they are dropped.

    Contracts have no log, and neither has code that is imported or described.
    """

    def __init__(self) -> None:
        self._write: Callable[[str], object] | None = None

    def begin(self, write: Callable[[str], object]) -> None:
        """Send records to `write`, which gets requests of `log.write`, until `end`."""
        self._write = write

    def end(self) -> None:
        """Drop records from now on."""
        self._write = None

    def send(self, level: str, logger: str, message: str) -> None:
        """Send one record; the level is one of `log.write`."""
        if self._write is not None:
            text = message[:_MESSAGE_CHARACTERS_MAX].encode(errors="replace").decode()
            self._write(dumps({"level": level, "logger": logger, "message": text}))


RECORDS = Records()
