"""What needs an operator, and the host at this moment. Corda has no such resource."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from host.domain.ids import EpochMs
from host.observe.judgement import Finding
from host.rest.operation import resource
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("Attention")


@wire
class FindingInfo:
    """Something that gets worse or has stopped, and for which there is an action.

    `code` is documented, with the action; `severity` is `critical` or `warning`; `subject` says
    what `named` names. `deadline` is when it becomes worse.
    """

    code: str
    severity: str
    subject: str
    named: str
    title: str
    consequence: str
    action: str
    since: datetime | None
    deadline: datetime | None
    figures: Mapping[str, int]


@wire
class AttentionInfo:
    """The worst findings come first. `as_of` is at most 4 seconds ago."""

    as_of: datetime
    findings: list[FindingInfo]


@wire
class WorkerInfo:
    name: str
    state: str
    since: datetime
    restarts: int
    cpu_seconds: float | None
    resident_bytes: int | None
    partitions: int | None


@wire
class QueueInfo:
    topic: str
    records: int
    lag_ms: int


@wire
class SetAsideInfo:
    topic: str
    cause: str
    keys: int
    records: int
    lag_ms: int | None


@wire
class LiveInfo:
    """Numbers of the cluster.

    `flows` counts client-started flows by status up to 10,001, which means more than 10,000;
    `deadLetters` up to 100. `ended` and `failed` are flows in each of the last 60 minutes, the
    oldest first. Disk sizes are 0 if they are not known.
    """

    as_of: datetime
    findings: int
    virtual_nodes: int
    flows: Mapping[str, int]
    ended: Sequence[int]
    failed: Sequence[int]
    dead_letters: int
    workers: list[WorkerInfo]
    queues: list[QueueInfo]
    set_aside: list[SetAsideInfo]
    disk_free_bytes: int
    disk_size_bytes: int


@router.get("/attention")
def get_attention(services: Services) -> AttentionInfo:
    """Tell what needs an operator, and why."""
    seen = services.board.look()
    return AttentionInfo(as_of=instant(seen.now), findings=[_info(f) for f in seen.findings])


@router.get("/live")
def get_live(services: Services) -> LiveInfo:
    """Give the numbers of the cluster at this moment."""
    seen = services.board.look()
    facts = seen.facts
    return LiveInfo(
        as_of=instant(seen.now),
        findings=len(seen.findings),
        virtual_nodes=seen.nodes,
        flows={status.value: count for status, count in seen.statuses.items()},
        ended=list(seen.ended),
        failed=list(seen.failed),
        dead_letters=seen.dead_letters,
        workers=[
            WorkerInfo(
                name=each.name,
                state=each.state,
                since=instant(each.since),
                restarts=each.restarts,
                cpu_seconds=each.cpu_seconds,
                resident_bytes=each.resident_bytes,
                partitions=each.partitions,
            )
            for each in facts.workers
        ],
        queues=[
            QueueInfo(topic=each.topic, records=each.records, lag_ms=each.lag_ms)
            for each in facts.queues
        ],
        set_aside=[
            SetAsideInfo(
                topic=each.topic,
                cause=each.cause,
                keys=each.keys,
                records=each.records,
                lag_ms=each.lag_ms,
            )
            for each in facts.set_aside
        ],
        disk_free_bytes=facts.disk_free,
        disk_size_bytes=facts.disk_size,
    )


def _info(found: Finding) -> FindingInfo:
    kind = found.kind
    return FindingInfo(
        code=found.name,
        severity=found.severity.value,
        subject=kind.subject.value,
        named=found.named,
        title=found.title,
        consequence=found.consequence,
        action=kind.action,
        since=_instant(found.since),
        deadline=_instant(found.deadline),
        figures=found.figures,
    )


def _instant(at: EpochMs | None) -> datetime | None:
    return None if at is None else instant(at)
