"""Work that is done again and again until its command is stopped."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import click

from host.cli.ending_signals import ended_by_signals
from host.domain.errors import HostError, StorageError, UnavailableError

T = TypeVar("T")


def rounds(
    work: Callable[[], T], *, seconds: float, also: tuple[type[HostError], ...] = ()
) -> Iterator[T]:
    """What `work` returns, once in `seconds`, until SIGINT, SIGTERM or SIGHUP.

    A round that fails for a cause that passes, or by one of the errors `also`, is told on standard
    error; the next one is begun all the same.

    Raises:
        HostError: another error of `work`.
    """
    passing: tuple[type[HostError], ...] = (UnavailableError, StorageError, *also)
    with suppress(KeyboardInterrupt), ended_by_signals():
        while True:
            begun = time.monotonic()
            try:
                yield work()
            except passing as error:
                click.echo(f"error[{error.code}]: {error.message}", err=True)
                sys.stderr.flush()
            time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
