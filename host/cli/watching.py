"""`--watch`: a command that only looks runs again and again, until Ctrl-C (exit code 130).

On a terminal each output replaces the one before; elsewhere each is a block of its own, with an
empty line behind it. A host that does not answer for a while is asked again, unless it never did.
"""

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from datetime import UTC, datetime
from functools import wraps
from io import StringIO
from typing import Any, Never, TypeVar

import click

from host.cli.values import Seconds

_F = TypeVar("_F", bound=Callable[..., Any])

wait = time.sleep
_SECONDS_DEFAULT, _SECONDS_MAX = 2.0, 3600.0
_CLEARED = "\x1b[H\x1b[2J\x1b[3J"


def watchable(function: _F) -> _F:
    """Add the options `--watch` and `--every` to a command."""

    @wraps(function)
    def command(*args: Any, watch: bool, every: float, **options: Any) -> Any:
        if watch:
            _watch(lambda: function(*args, **options), every)
        return function(*args, **options)

    every_option = click.option(
        "--every",
        type=Seconds(0.5, _SECONDS_MAX),
        default=_SECONDS_DEFAULT,
        show_default=True,
        help="Seconds between two looks of --watch.",
    )
    watch_option = click.option("--watch", is_flag=True, help="Look again until Ctrl-C.")
    return watch_option(every_option(command))  # type: ignore[return-value]


def _watch(look: Callable[[], object], seconds: float) -> Never:
    from host.domain.errors import UnavailableError
    from host.domain.printable import printable

    has_answered = False
    while True:
        try:
            text = _printed(look)
        except UnavailableError as error:
            if not has_answered:
                raise
            click.echo(printable(f"error[{error.code}]: {error.message}"), err=True)
        else:
            has_answered = True
            _draw(text, seconds)
        wait(seconds)


class _Captured(StringIO):
    """Takes what is printed, with colours if the real output has them."""

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


def _printed(look: Callable[[], object]) -> str:
    """The output of a command; its exit code has no meaning here."""
    captured = _Captured()
    with redirect_stdout(captured), suppress(SystemExit, click.exceptions.Exit):
        look()
    return captured.getvalue()


def _draw(text: str, seconds: float) -> None:
    if sys.stdout.isatty():
        head = f"{datetime.now(UTC):%H:%M:%S} UTC, every {seconds:g} s, Ctrl-C ends"
        click.echo(f"{_CLEARED}{click.style(head, dim=True)}\n\n{text}", nl=False)
    else:
        click.echo(text)
    sys.stdout.flush()
