"""The judgement: which facts need an operator. Each function judges one kind of fact."""

from collections.abc import Iterator, Sequence

from host.domain.ids import EpochMs
from host.domain.wording import count, moment, plural, size, some, span
from host.observe.judgement.facts import Facts, NodeFacts
from host.observe.judgement.findings import Finding, Severity
from host.observe.judgement.pain import (
    FAILED_SHARE_CRITICAL,
    HIT_FRESH_MS,
    failed_share,
    fails_much,
    hit_sentence,
    quota_phrase,
)

DOWN_MS = 10_000
LAG_MS = 10_000
LAG_CRITICAL_MS = 60_000
ASIDE_MS = 60_000
DISK_FREE_MIN = 0.1
DISK_FREE_CRITICAL = 0.03
NODES_MAX = 50
"""Nodes that are named one by one, the worst first."""
_WELL = frozenset({"ready", "joined"})
_PAUSED = "paused"
_DAMAGED = "damaged"
_CERTIFICATE = "certificate-expires"
_DAY_MS = 86_400_000


def judged(facts: Facts) -> Sequence[Finding]:
    """What needs an operator: what has stopped first, then what began last."""
    found = [
        *_problems(facts),
        *_workers(facts),
        *_queues(facts),
        *_set_aside(facts),
        *_dead_letters(facts),
        *_disk(facts),
        *_network_certificates(facts),
        *_nodes(facts),
    ]
    return sorted(found, key=lambda f: (f.severity is not Severity.CRITICAL, -(f.since or 0)))


def _problems(facts: Facts) -> Iterator[Finding]:
    for each in facts.problems:
        if each.stops:
            yield Finding(
                name="host-not-ready",
                severity=Severity.CRITICAL,
                named=each.check,
                title=f"The host is not ready: {each.code}",
                consequence=f"{each.message} Flows and requests wait until this is mended.",
            )
        elif each.code == _CERTIFICATE:
            yield Finding(
                name=_CERTIFICATE,
                severity=Severity.WARNING,
                named="REST",
                title="The certificate of the REST interface ends soon",
                consequence=f"{each.message} Clients refuse the host from then on.",
            )
        else:
            yield Finding(
                name="host-degraded",
                severity=Severity.CRITICAL,
                named=each.code,
                title=f"Some nodes cannot work: {each.code}",
                consequence=f"{each.message} The other nodes are not concerned.",
            )


def _workers(facts: Facts) -> Iterator[Finding]:
    for each in facts.workers:
        down = facts.now - each.since
        if each.state not in _WELL and down >= DOWN_MS:
            yield Finding(
                name="worker-down",
                severity=Severity.CRITICAL,
                named=each.name,
                title=f"Worker {each.name} is {each.state}",
                consequence=f"It does no work for {span(down)}. It was started again"
                f" {some(each.restarts, 'time')} so far; others take over its partitions.",
                since=each.since,
                figures={"restarts": each.restarts},
            )


def _queues(facts: Facts) -> Iterator[Finding]:
    for each in facts.queues:
        if each.lag_ms >= LAG_MS:
            critical = each.lag_ms >= LAG_CRITICAL_MS
            yield Finding(
                name="queue-waits",
                severity=Severity.CRITICAL if critical else Severity.WARNING,
                named=each.topic,
                title=f"Records of {each.topic} wait for {span(each.lag_ms)}",
                consequence=f"{some(each.records, 'record')} {_waits(each.records)}, so the flows"
                " that they belong to stand still.",
                since=_ago(facts, each.lag_ms),
                figures={"records": each.records, "lag_ms": each.lag_ms},
            )


def _set_aside(facts: Facts) -> Iterator[Finding]:
    for each in facts.set_aside:
        damaged = each.cause == _DAMAGED
        if each.cause == _PAUSED or not (damaged or (each.lag_ms or 0) >= ASIDE_MS):
            continue
        since = None if each.lag_ms is None else _ago(facts, each.lag_ms)
        tried = "moved to the dead letters" if damaged else "tried again by themselves"
        yield Finding(
            name="records-set-aside",
            severity=Severity.CRITICAL if damaged else Severity.WARNING,
            named=f"{each.topic}:{each.cause}",
            title=f"{some(each.keys, 'flow')} {_stands(each.keys)} still: {each.cause}",
            consequence=f"{some(each.records, 'record')} of {each.topic} could not be processed."
            f" They are {tried}.",
            since=since,
            figures={"keys": each.keys, "records": each.records},
        )


def _dead_letters(facts: Facts) -> Iterator[Finding]:
    letters = facts.dead_letters
    if letters is None or not letters.count:
        return
    many = f"{letters.most} or more" if letters.count >= letters.most else count(letters.count)
    yield Finding(
        name="dead-letters",
        severity=Severity.WARNING,
        named="",
        title=f"{many} {plural(letters.count, 'record')} could not be processed",
        consequence="They were given up within the last 24 hours, the latest"
        f" {span(facts.now - letters.newest_at)} ago. Their flows fail, or miss a message.",
        since=letters.oldest_at,
        figures={"records": letters.count},
    )


def _disk(facts: Facts) -> Iterator[Finding]:
    share = facts.disk_free / facts.disk_size if facts.disk_size else 1.0
    if share < DISK_FREE_MIN:
        yield Finding(
            name="disk-low",
            severity=Severity.CRITICAL if share < DISK_FREE_CRITICAL else Severity.WARNING,
            named="",
            title=f"{size(facts.disk_free)} of the disk are free",
            consequence=f"That is {share:.1%} of {size(facts.disk_size)}. On a full disk the host"
            " refuses starts, and flows wait until there is room.".replace("%", " %", 1),
            figures={"free_bytes": facts.disk_free, "size_bytes": facts.disk_size},
        )


def _network_certificates(facts: Facts) -> Iterator[Finding]:
    end = facts.network_expiry
    if end is None or end - facts.now > 30 * _DAY_MS:
        return
    left = end - facts.now
    ended = left <= 0
    yield Finding(
        name="network-certificate-expires",
        severity=Severity.CRITICAL if ended else Severity.WARNING,
        named="",
        title="A certificate of a network setup "
        + ("has ended" if ended else f"ends in {span(left)}"),
        consequence=f"Peers refuse its gateway from {moment(end)} on. Nothing renews it.",
        deadline=None if ended else end,
    )


def _nodes(facts: Facts) -> Iterator[Finding]:
    found: list[tuple[float, Finding]] = []
    for node in facts.nodes:
        if fails_much(node):
            found.append((1 + failed_share(node), _fails(node)))
        fresh = [hit for hit in node.hits if facts.now - hit.last_at <= HIT_FRESH_MS]
        if fresh:
            hit = max(fresh, key=lambda each: each.last_at)
            finding = Finding(
                name="node-at-quota",
                severity=Severity.WARNING,
                named=node.short_hash,
                title=f"{node.name}: {quota_phrase(hit.code)}",
                consequence=hit_sentence(hit.code, hit.count, facts.now - hit.last_at)
                + " Other nodes are not slowed down by it.",
                since=None,
                figures={"hits": hit.count},
            )
            found.append((hit.last_at / max(facts.now, 1), finding))
    found.sort(key=lambda pair: pair[0], reverse=True)
    yield from (finding for _, finding in found[:NODES_MAX])


def _fails(node: NodeFacts) -> Finding:
    share = failed_share(node)
    return Finding(
        name="node-fails",
        severity=Severity.CRITICAL if share >= FAILED_SHARE_CRITICAL else Severity.WARNING,
        named=node.short_hash,
        title=f"{node.name}: {some(node.failed_hour, 'flow')} failed in the last hour",
        consequence=f"That is {share * 100:.0f} % of the {count(node.ended_hour)} that ended.",
        since=node.failing_since,
        figures={"failed": node.failed_hour, "ended": node.ended_hour},
    )


def _ago(facts: Facts, millis: int) -> EpochMs:
    return EpochMs(facts.now - millis)


def _waits(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _stands(number: int) -> str:
    return "stands" if number == 1 else "stand"
