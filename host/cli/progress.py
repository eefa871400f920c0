"""Progress of what takes time, on standard error, where no program reads it as output.

Steps that are known beforehand are lines, on terminals and elsewhere: whoever reads the log of a
build wants them. Seconds that pass are told on terminals alone, and nothing is left of them.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import click

_CLEARED = "\r\033[K"
_READING = frozenset({"buffer", "read", "readline", "readlines"})


def show_progress(step: str) -> None:
    """Announce a step that may take seconds."""
    click.echo(f"{step} ...", err=True)


def no_progress(step: str) -> None:
    """Announce nothing: the output is for a program."""


@contextmanager
def waiting(step: str, output: str) -> Iterator[None]:
    """Tell on a terminal how long the block has printed nothing, once that is a second.

    Nothing is told any more once it reads standard input: somebody types there.

    Args:
        step: what is done.
        output: the command's form of output; for `json` nothing is told.
    """
    if output == "json" or not sys.stderr.isatty():
        yield
        return
    terminal = sys.stderr

    def write(text: str) -> None:
        terminal.write(text)
        terminal.flush()

    silence, ended = Silence(step, time.monotonic, write), threading.Event()

    def tell() -> None:
        while not ended.wait(1.0):
            silence.tell()

    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = cast("TextIO", _Input(sys.stdin, silence))
    sys.stdout = cast("TextIO", _Output(sys.stdout, silence))
    sys.stderr = cast("TextIO", _Output(sys.stderr, silence))
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
        silence.end()
        sys.stdin, sys.stdout, sys.stderr = before


class Silence:
    """Knows since when a command has printed nothing, and tells so. Thread-safe.

    Args:
        step: what the command does.
        clock: seconds from some beginning.
        write: to the terminal.
    """

    def __init__(self, step: str, clock: Callable[[], float], write: Callable[[str], None]) -> None:
        self._step, self._clock, self._write = step, clock, write
        self._lock = threading.Lock()
        self._since = clock()
        self._is_told = False
        self._may_tell = True

    def tell(self) -> None:
        """Tell, if it is a second and more; but not behind a line that was begun: a question."""
        with self._lock:
            seconds = int(self._clock() - self._since)
            if seconds and self._may_tell:
                self._is_told = True
                self._write(f"\r{self._step} ... {seconds} s")

    def print(self, stream: TextIO, text: str) -> int:
        """Write what the command prints; what was told is taken away before."""
        with self._lock:
            if text:
                self._clear()
                self._may_tell = text.endswith("\n")
                self._since = self._clock()
            return stream.write(text)

    def end(self) -> None:
        """Tell nothing any more."""
        with self._lock:
            self._clear()
            self._may_tell = False

    def _clear(self) -> None:
        if self._is_told:
            self._write(_CLEARED)
            self._is_told = False


class _Output:
    """A stream of which each text is known to a silence; all else is the stream's."""

    def __init__(self, stream: TextIO, silence: Silence) -> None:
        self._stream, self._silence = stream, silence

    def write(self, text: str) -> int:
        return self._silence.print(self._stream, text)

    def __getattr__(self, name: str) -> object:
        if name == "buffer":
            self._silence.end()
        return getattr(self._stream, name)


class _Input:
    """Standard input, whose reading ends a silence."""

    def __init__(self, stream: TextIO, silence: Silence) -> None:
        self._stream, self._silence = stream, silence

    def __iter__(self) -> Iterator[str]:
        self._silence.end()
        return iter(self._stream)

    def __getattr__(self, name: str) -> object:
        if name in _READING:
            self._silence.end()
        return getattr(self._stream, name)
