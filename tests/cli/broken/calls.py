"""Calls of the command line in this process, with streams as a terminal's user has them."""

import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from host import cli

SECONDS_MAX = 600
_CODES = {cli.EXIT_REFUSED, cli.EXIT_USAGE, cli.EXIT_TRY_AGAIN, 0}
_ERROR = re.compile(r"error\[[a-z0-9]+(?:-[a-z0-9]+)*\]: .", re.DOTALL)
_JSON = re.compile(r'\{"error": \{"code": "[a-z0-9]+(-[a-z0-9]+)*"')
_FORBIDDEN = (
    "Traceback (most recent",
    "Warning:",
    "Exception ignored",
    "internal-error",
    "command-failed",
)


class HangsError(BaseException):
    """A call took too long; no handler of the product catches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a call ended; `failure` is the traceback of what left the command line."""

    words: Sequence[str]
    code: int | None
    out: str
    err: str
    failure: str = ""

    def faults(self) -> list[str]:
        """What a user should not see; empty if the call ended as it should."""
        said = self.out + self.err
        found = [f"shows {word!r}" for word in _FORBIDDEN if word in said]
        if self.failure:
            found.append(self.failure)
        elif self.code not in _CODES:
            found.append(f"exit code {self.code}")
        elif self.code == cli.EXIT_REFUSED and not self._names_a_code():
            found.append(f"no code in: {said[:500]!r}")
        elif self.code == cli.EXIT_USAGE and not self.err.strip() and not self._names_a_code():
            found.append("wrong usage without a word")
        return found

    def _names_a_code(self) -> bool:
        return bool(_ERROR.search(self.err) or _JSON.search(self.out)) or self._reports()

    def _reports(self) -> bool:
        """Whether the command reports findings, which end with 1 as well."""
        return bool(self.out.strip())


def call(words: Sequence[str]) -> Ended:
    """Call the command line; a call that hangs is a failure."""
    out, err = _stream("strict"), _stream("backslashreplace")
    code: int | None = None
    failure = ""
    with (
        mock.patch.multiple(sys, stdout=out, stderr=err, stdin=_closed_input()),
        _limited_time(),
        _kept_process(),
    ):
        try:
            cli.main(words)
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        except HangsError:
            failure = f"hangs for {SECONDS_MAX} s: {traceback.format_exc()[-3000:]}"
        except BaseException:  # noqa: BLE001  # what leaves the command line is a finding
            failure = traceback.format_exc()[-3000:]
    return Ended(words=words, code=code, out=_text(out), err=_text(err), failure=failure)


def _stream(errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, write_through=True)


def _closed_input() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    data: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return data.decode("utf-8", errors="replace")


@contextmanager
def _limited_time() -> Iterator[None]:
    def hang(*_: object) -> None:
        raise HangsError

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(SECONDS_MAX)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _kept_process() -> Iterator[None]:
    """Undoes what a command changes in its process."""
    folder, environment = Path.cwd(), dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            signal.signal(number, handler)
