"""The text of `cordbox host status`."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

_WORKER_HEADS = ("worker", "pid", "state", "for", "restarts", "cpu", "memory", "partitions")
_QUEUE_HEADS = ("queue", "waiting", "oldest")
_ASIDE_HEADS = ("set aside", "cause", "keys", "records", "oldest")


class Worker(TypedDict):
    name: str
    pid: int | None
    state: str
    since: int
    restarts: int
    cpu_seconds: float | None
    resident_bytes: int | None
    partitions: str | int | None


class Queue(TypedDict):
    topic: str
    records: int
    lag_ms: int


class SetAside(TypedDict):
    topic: str
    cause: str
    keys: int
    records: int
    lag_ms: int | None


class Report(TypedDict):
    """A problem or a warning."""

    code: str
    message: str


class Finding(TypedDict):
    """How many things need an operator for one reason: `GET /attention` names them."""

    code: str
    severity: str
    count: int


class StatusFacts(TypedDict):
    """What `/status` and `/overview` answer, and the URL that was asked."""

    url: str
    status: str
    code: NotRequired[str]
    reasons: NotRequired[list[Report]]
    warnings: NotRequired[list[Report]]
    now: int
    workers: list[Worker]
    queues: list[Queue]
    set_aside: list[SetAside]
    open_flows: int
    findings: NotRequired[list[Finding]]


def status_lines(facts: StatusFacts) -> Sequence[str]:
    """A host's overview.

    At most one line for each worker, each queue with records, and each cause of set-aside records.
    """
    now = facts["now"]
    problem = f" ({facts['code']})" if "code" in facts else ""
    workers = [_worker(worker, now) for worker in facts["workers"]]
    queues = [
        (queue["topic"], str(queue["records"]), span(queue["lag_ms"])) for queue in facts["queues"]
    ]
    set_aside = [
        (
            line["topic"],
            line["cause"],
            str(line["keys"]),
            str(line["records"]),
            "-" if line["lag_ms"] is None else span(line["lag_ms"]),
        )
        for line in facts["set_aside"]
    ]
    waiting = (*facts["queues"], *facts["set_aside"])
    oldest = max((line["lag_ms"] or 0 for line in waiting), default=0)
    waits = f", the oldest record waits {span(oldest)}" if waiting else ", nothing waits"
    return [
        f"{facts['url']}: {facts['status']}{problem}",
        *(f"{report['code']}: {report['message']}" for report in _reports(facts)),
        *(_finding(found) for found in facts.get("findings", ())),
        *_table(_WORKER_HEADS, workers),
        *(_table(_QUEUE_HEADS, queues) if queues else ()),
        *(_table(_ASIDE_HEADS, set_aside) if set_aside else ()),
        f"{facts['open_flows']} open flows{waits}",
    ]


def _finding(found: Finding) -> str:
    times = f", {found['count']} times" if found["count"] > 1 else ""
    return f"needs you: {found['code']} ({found['severity']}{times})"


def _reports(facts: StatusFacts) -> Sequence[Report]:
    """Problems that stop the host's work, and warnings for operators."""
    return [*facts.get("reasons", ()), *facts.get("warnings", ())]


def span(millis: int) -> str:
    """A duration in at most two units, such as `2h 5m`."""
    seconds = millis // 1000
    if seconds < 1:
        return f"{millis}ms"
    for size, unit, below in ((86400, "d", 3600), (3600, "h", 60), (60, "m", 1)):
        if seconds >= size:
            rest = seconds % size // below
            small = {3600: "h", 60: "m", 1: "s"}[below]
            return f"{seconds // size}{unit} {rest}{small}"
    return f"{seconds}s"


def _worker(worker: Worker, now: int) -> tuple[str, ...]:
    return (
        worker["name"],
        _or_dash(worker["pid"]),
        worker["state"],
        span(max(now - worker["since"], 0)),
        str(worker["restarts"]),
        "-" if worker["cpu_seconds"] is None else f"{worker['cpu_seconds']:.1f}s",
        "-" if worker["resident_bytes"] is None else f"{worker['resident_bytes'] >> 20}MB",
        _or_dash(worker["partitions"]),
    )


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Sequence[str]:
    """Columns of minimum width: names left-aligned, all others right-aligned."""
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    ]
