"""An overview of a host: its workers, their partitions and resources, backlogs, open flows."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from host.domain.accounts import Account
from host.domain.group_members import MemberName
from host.domain.ids import EpochMs
from host.domain.workers import WorkerKind
from host.flow.core.messages import GROUP, WORK_TOPICS
from host.flow.records.aside_sums import aside_sums
from host.observe.overview import AsideLine, Overview, QueueLine, WorkerLine
from host.ports.accounts import Accounts
from host.ports.clock import Clock
from host.ports.groups import Groups
from host.ports.state import States
from host.ports.work import Backlogs
from host.runtime.rpc import RpcClient
from host.runtime.workers.report import WORKER, WorkerReport, process_use
from host.runtime.workers.run_directory import RunDirectory, WorkerRow

_ANSWER_SECONDS_MAX = 2.0
_REMEMBER_MS = 1000


class Observed(Backlogs, States, Accounts, Protocol):
    """The port of the flow store for overviews."""


class Overviews:
    """The overview for unauthenticated callers: cached for one second. Thread-safe."""

    def __init__(
        self, store: Observed, clock: Clock, workers: Callable[[], Sequence[WorkerLine]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._workers = workers
        self._lock = threading.Lock()
        self._latest: Overview | None = None

    def latest(self) -> Overview:
        """The overview.

        Raises:
            StorageError: the store cannot be read.
        """
        with self._lock:
            now = self._clock.now_ms()
            if self._latest is None or not 0 <= now - self._latest.now < _REMEMBER_MS:
                self._latest = self._look(now)
            return self._latest

    def _look(self, now: EpochMs) -> Overview:
        queues = [
            QueueLine(
                topic=backlog.topic,
                records=backlog.records,
                lag_ms=max(now - backlog.oldest_at, 0),
            )
            for backlog in self._store.backlogs(WORK_TOPICS)
        ]
        set_aside = [
            AsideLine(
                topic=each.topic,
                cause=each.cause,
                keys=each.keys,
                records=each.records,
                lag_ms=None if each.oldest_at is None else max(now - each.oldest_at, 0),
            )
            for each in aside_sums(self._store)
        ]
        return Overview(
            now=now,
            workers=self._workers(),
            queues=queues,
            set_aside=set_aside,
            open_flows=self._store.total(Account.STATUS).lasting,
        )


def worker_lines(run: RunDirectory, groups: Groups, host: str) -> Sequence[WorkerLine]:
    """The workers of a supervisor on `host`, and workers that joined."""
    owned = {
        name.worker: len(member.epochs)
        for member in groups.members(GROUP)
        if (name := MemberName.parse(member.member)) is not None and name.host == host
    }
    table = run.table()
    rows = () if table is None else table.workers
    names = {row.name for row in rows}
    strangers = [socket.stem for socket in run.sockets() if socket.stem not in names]
    joined = [_row(report) for name in strangers if (report := _ask(run, name)) is not None]
    return [_line(row, owned.get(row.name)) for row in [*rows, *joined]]


def single_line(since: EpochMs, groups: Groups) -> Sequence[WorkerLine]:
    """The only process of a host that runs combined."""
    row = WorkerRow(kind=None, name="host", phase="ready", since=since, pid=os.getpid(), restarts=0)
    return [_line(row, sum(len(m.epochs) for m in groups.members(GROUP)))]


def _line(row: WorkerRow, partitions: int | None) -> WorkerLine:
    use = None if row.pid is None else process_use(row.pid)
    return WorkerLine(
        name=row.name,
        kind=row.kind,
        state=row.phase,
        since=row.since,
        pid=row.pid,
        restarts=row.restarts,
        cpu_seconds=None if use is None else use.cpu_seconds,
        resident_bytes=None if use is None else use.resident_bytes,
        partitions=0 if partitions is None and row.kind is WorkerKind.FLOW else partitions,
    )


def _row(report: WorkerReport) -> WorkerRow:
    return WorkerRow(
        kind=report.kind,
        name=report.name,
        phase="joined" if report.state == "ready" else report.state,
        since=report.since,
        pid=report.pid,
        restarts=0,
    )


def _ask(run: RunDirectory, name: str) -> WorkerReport | None:
    """The worker's own report; None if it has ended and left its socket."""
    client = RpcClient(
        run.path, name, run.key(), patience_seconds=0, answer_seconds_max=_ANSWER_SECONDS_MAX
    )
    try:
        return client.proxy(WORKER).report()
    except Exception:  # noqa: BLE001  # a failing worker must not hide others
        return None
    finally:
        client.close()
