"""Compiles the code of stored CPIs before a flow needs it."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from host.domain.errors import HostError
from host.domain.packages import CpiRecord
from host.guests.source import GuestSource
from sandbox.errors import SandboxError

Report = Callable[[CpiRecord, HostError | SandboxError], None]


def warm_up(
    library: GuestSource, stored: Iterable[CpiRecord], *, executor: Executor, report: Report
) -> None:
    """Submit one task for each CPI; the task is fast if the code is in the cache.

    Args:
        library: the source of guests.
        stored: the CPIs that the host holds.
        executor: runs the tasks; tasks that have not started may be cancelled.
        report: called for every CPI whose code is not available: its file is missing or damaged, or
            this host's tools build different code from it. Its flows would fail for the same
            reason.
    """

    def prepare(cpi: CpiRecord) -> None:
        try:
            library.prepare(cpi)
        except (HostError, SandboxError) as refused:
            report(cpi, refused)

    for cpi in stored:
        executor.submit(prepare, cpi)
