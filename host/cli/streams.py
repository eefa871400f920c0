"""The standard streams of a command: closed ones, narrow encodings, readers that have gone."""

import os
import sys
from io import TextIOWrapper

_STANDARD = 3
"""Descriptors 0, 1 and 2."""


def prepare_streams() -> None:
    """Have all three streams, and print any text.

    A descriptor that was closed is opened on the null device: the next file that the command opens,
    such as a database, would get its number, and what is printed would be written into it.
    Characters that the terminal's encoding lacks are printed as escapes.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < _STANDARD:
        pass
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, "r", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_output() -> None:
    """Write what was printed.

    Raises:
        OSError: it cannot be written; the interpreter would tell of it in its own words.
    """
    sys.stdout.flush()


def abandon_output() -> None:
    """Drop what was printed and cannot be written, so that the interpreter's end is silent."""
    if isinstance(sys.stdout, TextIOWrapper):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, sys.stdout.fileno())
        except OSError:  # a stream without a descriptor, as in tests
            pass
        finally:
            os.close(null)
