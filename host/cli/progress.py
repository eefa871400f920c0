"""Progress of what takes time, on standard error, where no program reads it as output."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_CLEARED = "\r\033[K"


def show_progress(step: str) -> None:
    """Announce a step that may take seconds."""
    click.echo(f"{step} ...", err=True)


def no_progress(step: str) -> None:
    """Announce nothing: the output is for a program."""


@contextmanager
def waiting(step: str, output: str) -> Iterator[None]:
    """Tell on a terminal how long the block has taken, once that is a second; else nothing.

    Args:
        step: what is done.
        output: the command's form of output; for `json` nothing is told.
    """
    if output == "json" or not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    teller = threading.Thread(target=tell_seconds, args=(step, ended.wait, _write), daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def tell_seconds(step: str, wait: Callable[[float], bool], write: Callable[[str], None]) -> None:
    """Write each second how long a step has taken, and nothing is left of it at the end.

    Args:
        step: what is done.
        wait: waits for the step's end, at most so many seconds; true if it has ended.
        write: to the terminal.
    """
    seconds = 0
    while not wait(1.0):
        seconds += 1
        write(f"\r{step} ... {seconds} s")
    if seconds:
        write(_CLEARED)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
