"""Standard output and standard error of a guest: lines for the virtual node's log."""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import io
from collections.abc import Callable
from json import dumps

__tracebackhide__ = True

BYTES_MAX = 16 * 1024
"""Of the output of one run, which shares the run's limit of log bytes with the flow's own log."""
_LINE_CHARACTERS_MAX = 4_000
_CUT = "more output of this run is left out"


class Output(io.TextIOBase):
    """A stream whose lines become log lines of a running flow; elsewhere they are dropped.

    Contracts have no log, and neither has code that is imported or described.

    Args:
        level: of the log lines.
        logger: of the log lines.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, level: str, logger: str) -> None:
        self._level = level
        self._logger = logger
        self._write: Callable[[str], object] | None = None
        self._line = ""
        self._left = 0

    def begin(self, write: Callable[[str], object]) -> None:
        """Send lines to `write`, which gets requests of `log.write`, until `end`."""
        self._write, self._line, self._left = write, "", BYTES_MAX

    def end(self) -> None:
        """Send the last line, if it was not ended."""
        line, self._line = self._line, ""
        if line:
            self._send(line)
        self._write = None

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"expected a text, found {type(text).__name__}")
        if self._write is not None and self._left >= 0:
            *lines, rest = (self._line + text).split("\n")
            self._line = rest[:_LINE_CHARACTERS_MAX]
            for line in lines:
                self._send(line)
        return len(text)

    def flush(self) -> None:
        """Lines are sent when they end."""

    def _send(self, line: str) -> None:
        if self._write is None or self._left < 0:
            return
        message = line[:_LINE_CHARACTERS_MAX].encode(errors="replace").decode()
        self._left -= len(message.encode())
        if self._left < 0:
            message = _CUT
        self._write(dumps({"level": self._level, "logger": self._logger, "message": message}))


OUTPUT = Output("info", "stdout")
ERRORS = Output("warn", "stderr")
