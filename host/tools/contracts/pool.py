"""Many verifications at a time, each in a fresh sandbox, spread over processes.

It uses processes, not threads: every verification maps and unmaps memory, for which the kernel
locks the whole process, so that two threads verified fewer transactions than one (215 against 294 a
second on two cores, measured).
"""

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path

from host.domain.errors import UnavailableError
from host.domain.packages import CpiRecord
from host.tools.contracts.inputs import Given
from host.tools.contracts.verification import Case, CpiContracts
from sandbox.limits import Limits
from sandbox.runtime import Sandbox

_INLINE_MAX = 64
"""For up to this many transactions, starting processes takes longer than verifying."""

_BATCH = 8
_BATCHES_AHEAD = 3
"""Batches per process that are read ahead, so that no process waits for input."""

_inside: list[CpiContracts] = []
"""The contracts of a worker process; one element after its start."""


class WorkerLostError(UnavailableError):
    """A process that verifies transactions ended unexpectedly, for example out of memory."""

    code = "verification-worker-lost"


def verify_all(
    contracts: CpiContracts, given: Iterable[Given], *, jobs: int, cache_dir: Path
) -> Iterator[Case]:
    """Verdicts in the order of the input.

    Input is read only a few batches ahead of the verdicts, so memory stays bounded.

    Args:
        contracts: of the CPI; its code is compiled.
        given: the transactions.
        jobs: processes; 1 verifies in this one.
        cache_dir: the sandbox's, where the processes find the compiled code.

    Raises:
        WorkerLostError: a process died.
    """
    rest = iter(given)
    first = list(islice(rest, _INLINE_MAX + 1))
    if jobs == 1 or len(first) <= _INLINE_MAX:
        yield from map(contracts.case, chain(first, rest))
        return
    try:
        yield from _in_processes(contracts, chain(first, rest), jobs, cache_dir)
    except BrokenProcessPool as lost:
        raise WorkerLostError("a process that verified transactions died") from lost


def _in_processes(
    contracts: CpiContracts, given: Iterator[Given], jobs: int, cache_dir: Path
) -> Iterator[Case]:
    waiting: deque[Future[list[Case]]] = deque()
    executor = ProcessPoolExecutor(
        jobs,
        mp_context=get_context("spawn"),  # a fork would copy the engine's threads' locks
        initializer=_start,
        initargs=(contracts.record, contracts.cpi, contracts.limits, cache_dir),
    )
    try:
        while batch := list(islice(given, _BATCH)):
            waiting.append(executor.submit(_verify, batch))
            if len(waiting) >= jobs * _BATCHES_AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start(record: CpiRecord, cpi: bytes, limits: Limits | None, cache_dir: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the parent's to handle
    sandbox = Sandbox(cache_dir=cache_dir)
    _inside.append(CpiContracts(record, cpi=cpi, sandbox=sandbox, limits=limits))


def _verify(batch: list[Given]) -> list[Case]:
    return [_inside[0].case(given) for given in batch]
