"""The facts of a host as a whole, from what its REST process knows."""

import os
from collections.abc import Callable
from pathlib import Path

from host.domain.errors import HostError
from host.domain.ids import EpochMs
from host.observe.judgement import Facts, ProblemFacts, QueueFacts, SetAsideFacts, WorkerFacts
from host.observe.overview import Overview, WorkerLine
from host.ports.network_health import NetworkHealthReports
from host.rest.observe import Readiness


def host_facts(
    readiness: Callable[[], Readiness],
    overview: Callable[[], Overview],
    folder: Path,
    network: NetworkHealthReports,
) -> Facts:
    """What is known of the host; what cannot be read is left out, since readiness tells of it."""
    seen = _overview(overview)
    free, whole = _disk(folder)
    return Facts(
        now=EpochMs(0) if seen is None else seen.now,
        problems=_problems(readiness()),
        workers=[] if seen is None else [_worker(line) for line in seen.workers],
        queues=[]
        if seen is None
        else [QueueFacts(topic=q.topic, records=q.records, lag_ms=q.lag_ms) for q in seen.queues],
        set_aside=[]
        if seen is None
        else [
            SetAsideFacts(
                topic=line.topic,
                cause=line.cause,
                keys=line.keys,
                records=line.records,
                lag_ms=line.lag_ms,
            )
            for line in seen.set_aside
        ],
        disk_free=free,
        disk_size=whole,
        network_expiry=_network_expiry(network),
    )


def _overview(look: Callable[[], Overview]) -> Overview | None:
    try:
        return look()
    except HostError:
        return None


def _problems(found: Readiness) -> list[ProblemFacts]:
    stopping = [
        ProblemFacts(
            check=check, code=error.code, message=_sentence(error.public_message), stops=True
        )
        for check, error in found.problems
    ]
    warnings = [
        ProblemFacts(check=code, code=code, message=_sentence(text), stops=False)
        for code, text in found.warnings.items()
    ]
    return [*stopping, *warnings]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _worker(line: WorkerLine) -> WorkerFacts:
    return WorkerFacts(
        name=line.name,
        state=line.state,
        since=line.since,
        restarts=line.restarts,
        cpu_seconds=line.cpu_seconds,
        resident_bytes=line.resident_bytes,
        partitions=line.partitions,
    )


def _disk(folder: Path) -> tuple[int, int]:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0, 0
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def _network_expiry(network: NetworkHealthReports) -> EpochMs | None:
    try:
        return network.first_expiry()
    except HostError:
        return None
