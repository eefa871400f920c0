"""The log of the host process: one line per event on stderr, for people or for machines.

Events carry identifiers, counts and durations, never payloads and never secrets. Tracebacks are
printed without local variables for the same reason. If the log cannot be written, for example to a
full disk, lines are lost and the host continues.
"""

import io
import logging
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logging(
    *, level: str, form: str, stream: TextIO | None = None, worker: str | None = None
) -> None:
    """Send structlog's and the standard library's records to `stream` (stderr).

    Args:
        level: least level that is logged: debug, info, warning or error.
        form: `console`, `json`, or `auto`: console on a terminal, else json.
        stream: the output stream.
        worker: name of this worker process; every line has it, and the process id.
    """
    output = cast("TextIO", _Unfailing(stream or sys.stderr))
    console = form == "console" or (form == "auto" and output.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        *([] if worker is None else [_stamp(worker)]),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(
            colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))


class _Unfailing(io.TextIOBase):
    """Wraps a stream; write errors are dropped and do not reach callers of the log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def _stamp(worker: str) -> Processor:
    pid = os.getpid()

    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["worker"] = worker
        event["pid"] = pid
        return event

    return stamp
