"""What is known of the host at this moment, for those who look: facts, findings, last hour's flows.

Nothing is collected while nobody asks, and each source is asked at most so often, however many look
at it. Thread-safe.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, ShortHash
from host.domain.vnode import OperationalStatus, VirtualNode
from host.domain.wording import COUNTED_MAX
from host.flow.records.dead_letters import DeadLetter
from host.nodes.quotas.service import RecentHit
from host.observe.judgement import (
    DeadLetterFacts,
    Facts,
    Finding,
    HitFacts,
    NodeFacts,
    Pain,
    judged,
    pain_of,
)
from host.observe.judgement.minutes import LastHour
from host.observe.judgement.pain import HIT_FRESH_MS
from host.ports.clock import Clock
from host.ports.glances import FlowGlance, Glances

FRESH_MS = 4_000
"""How old facts may be: those who look ask again each 5 seconds."""
_LETTERS_FRESH_MS = 15_000
_LETTERS_MAX = 100
_DAY_MS = 86_400_000


class NodesSeen(Protocol):
    """The registry of virtual nodes, as far as it is looked at."""

    @property
    def revision(self) -> int: ...

    def all(self) -> Sequence[VirtualNode]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNode:
    """A node with what lists need of all nodes: its hash and its name, also without capitals.

    `place` orders nodes by their creation, the latest last.
    """

    node: VirtualNode
    short_hash: ShortHash
    name: str
    folded: str
    place: str

    def matches(self, folded: str) -> bool:
        """Whether `folded`, a text without capitals, is in its name, or its hash begins so."""
        return folded in self.folded or self.short_hash.casefold().startswith(folded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the board shows.

    Attributes:
        facts: of the host, of its queues, and of the nodes that have some trouble.
        findings: what needs an operator, the worst first.
        pains: of the nodes that hurt.
        nodes: how many there are.
        statuses: client-started flows by status, counted up to 10,001.
        ended, failed: in each of the last 60 minutes, the oldest first.
        dead_letters: how many are kept, counted up to 100.
    """

    facts: Facts
    findings: Sequence[Finding]
    pains: Mapping[ShortHash, Pain]
    nodes: int
    statuses: Mapping[FlowStatusName, int]
    ended: Sequence[int]
    failed: Sequence[int]
    dead_letters: int

    @property
    def now(self) -> EpochMs:
        return self.facts.now


class Board:
    """Collects facts when somebody looks.

    Args:
        clock: the host's time.
        host: the facts of the host as a whole; `nodes` and `dead_letters` are filled in here.
        nodes: the virtual nodes.
        flows: the flows of all nodes.
        dead_letters: the latest records that were given up, at most so many.
        hits: the quotas that were hit since a time.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        host: Callable[[], Facts],
        nodes: NodesSeen,
        flows: Glances,
        dead_letters: Callable[[int], Sequence[DeadLetter]],
        hits: Callable[[EpochMs], Sequence[RecentHit]],
    ) -> None:
        self._clock = clock
        self._host = host
        self._nodes = nodes
        self._flows = flows
        self._dead = dead_letters
        self._hits = hits
        self._lock = threading.Lock()
        self._hour = LastHour()
        self._known: dict[ShortHash, KnownNode] = {}
        self._ordered: Sequence[KnownNode] = ()
        self._off: frozenset[ShortHash] = frozenset()
        self._revision: int | None = None
        self._letters: tuple[EpochMs, Sequence[DeadLetter]] | None = None
        self._seen: Seen | None = None

    def look(self) -> Seen:
        """What is seen now, at most `FRESH_MS` old.

        Raises:
            StorageError: a database cannot be read.
        """
        with self._lock:
            now = self._clock.now_ms()
            if self._seen is None or not 0 <= now - self._seen.now < FRESH_MS:
                self._seen = self._look(now)
            return self._seen

    def nodes(self) -> Mapping[ShortHash, KnownNode]:
        """All virtual nodes, the latest first; read again when one was changed."""
        with self._lock:
            return self._all_nodes()

    def nodes_before(self, place: str | None) -> Iterator[KnownNode]:
        """Virtual nodes made before the one at `place`, or all, the latest first."""
        with self._lock:
            self._all_nodes()
            ordered = self._ordered
        start = 0
        if place is not None:
            start = bisect_left(ordered, 1, key=lambda known: int(known.place < place))
        return islice(ordered, start, None)

    def requested(self, prefix: str, limit: int) -> Sequence[FlowGlance]:
        """Client-started flows of all nodes whose request id begins with `prefix`."""
        return self._flows.requested(prefix, limit)

    def _all_nodes(self) -> Mapping[ShortHash, KnownNode]:
        revision = self._nodes.revision
        if revision != self._revision:
            found = [self._known_as(node) for node in self._nodes.all()]
            self._ordered = sorted(found, key=lambda known: known.place, reverse=True)
            self._known = {known.short_hash: known for known in self._ordered}
            self._off = frozenset(
                known.short_hash
                for known in found
                if known.node.flow_status is not OperationalStatus.ACTIVE
            )
            self._revision = revision
        return self._known

    def _known_as(self, node: VirtualNode) -> KnownNode:
        """A node of the registry; what was known of it if it has not changed."""
        before = self._known.get(node.holding.short_hash)
        return before if before is not None and before.node == node else _known(node)

    def _look(self, now: EpochMs) -> Seen:
        nodes = self._all_nodes()
        since = self._hour.due_from(now)
        self._hour.add(self._flows.ended(since), since, now)
        troubled = self._troubled(nodes, now)
        letters = self._dead_letters(now)
        facts = replace(
            self._host(), now=now, nodes=troubled, dead_letters=_recent_letters(letters, now)
        )
        ended, failed = self._hour.series(now)
        return Seen(
            facts=facts,
            findings=judged(facts),
            pains={node.short_hash: pain_of(node, now) for node in troubled},
            nodes=len(nodes),
            statuses={
                status: self._flows.status_count(status.value, COUNTED_MAX + 1)
                for status in FlowStatusName
            },
            ended=ended,
            failed=failed,
            dead_letters=len(letters),
        )

    def _troubled(self, nodes: Mapping[ShortHash, KnownNode], now: EpochMs) -> Sequence[NodeFacts]:
        hits: dict[ShortHash, list[HitFacts]] = {}
        for hit in self._hits(EpochMs(now - HIT_FRESH_MS)):
            found = HitFacts(code=hit.code, count=hit.count, last_at=hit.last_at)
            hits.setdefault(hit.node, []).append(found)
        hours = self._hour.nodes()
        off = self._off
        troubled = []
        for short_hash in sorted(off | hits.keys() | hours.keys()):
            node, hour = nodes.get(short_hash), hours.get(short_hash)
            if node is not None:
                troubled.append(
                    NodeFacts(
                        short_hash=short_hash,
                        name=node.name,
                        is_active=short_hash not in off,
                        ended_hour=0 if hour is None else hour.ended,
                        failed_hour=0 if hour is None else hour.failed,
                        failing_since=None if hour is None else hour.failing_since,
                        hits=hits.get(short_hash, ()),
                    )
                )
        return troubled

    def _dead_letters(self, now: EpochMs) -> Sequence[DeadLetter]:
        # Each is a record of its own, which may be large.
        if self._letters is None or not 0 <= now - self._letters[0] < _LETTERS_FRESH_MS:
            self._letters = now, self._dead(_LETTERS_MAX)
        return self._letters[1]


def _known(node: VirtualNode) -> KnownNode:
    name, short_hash = str(node.holding.x500_name), node.holding.short_hash
    return KnownNode(
        node=node,
        short_hash=short_hash,
        name=name,
        folded=name.casefold(),
        place=f"{node.created_at:015d}-{short_hash}",
    )


def _recent_letters(letters: Sequence[DeadLetter], now: EpochMs) -> DeadLetterFacts | None:
    times = [each.given_up_at for each in letters if now - each.given_up_at <= _DAY_MS]
    if not times:
        return None
    return DeadLetterFacts(
        count=len(times), most=_LETTERS_MAX, newest_at=max(times), oldest_at=min(times)
    )
