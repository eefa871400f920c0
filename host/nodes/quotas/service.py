"""The quotas of all nodes: read from the registers, metered in memory, stored periodically.

Every process that runs guests has a service of its own. Each process adds what it counted since its
last `flush` to counters in the database; a crash loses what was counted since then. A node's rate
is divided evenly among the processes.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection, delete, insert, select

from host.database.sql import Upsert
from host.domain.ids import EpochMs, ShortHash
from host.domain.quotas import QUOTA_CODES, NodeUsage, Quota, QuotaCode, RunCharge
from host.nodes.quotas.counters import HIT, Counters, Increment, counters_of, usage_of
from host.nodes.quotas.pace import TokenBucket
from host.nodes.quotas.tables import IS_HIT, OVERRIDE, USAGE
from host.ports.clock import Clock
from host.ports.database import SqlDatabase
from host.ports.live import Live

FRESH_MS = 1_000
"""How long a process caches the overrides that it has read."""
_NODES_MAX = 10_000
"""Nodes whose quotas and paces are kept in memory."""
HITS_MAX = 1_000
"""Recent hits that are looked at, the latest first."""

_SELECT_OVERRIDES = select(OVERRIDE.c.name, OVERRIDE.c.value)
_SELECT_USAGE = select(USAGE.c.counter, USAGE.c.value, USAGE.c.first_at, USAGE.c.last_at)
_ADD = Upsert(table=USAGE, add=("value",), least=("first_at",), greatest=("last_at",))


@dataclass(slots=True)
class _Metered:
    """The cached state of a node in this process."""

    quota: Quota
    read_at: EpochMs
    fuel: TokenBucket
    host_calls: TokenBucket
    log: TokenBucket


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentHit:
    """A quota that a node hit `count` times in all, and lately."""

    node: ShortHash
    code: str
    count: int
    last_at: EpochMs


class QuotaService:
    """`host.ports.quotas.Quotas`, and what administrators do with quotas. Thread-safe.

    Args:
        database: the cluster's, opened with this package's `SCHEMA`.
        defaults: the host's quota of nodes without overrides.
        clock: the host's time.
        processes: how many processes run guests and share a node's rate, at least 1.
        registry: of metrics, for totals over all nodes; there is no label for the node.
    """

    def __init__(
        self,
        *,
        database: SqlDatabase,
        defaults: Live[Quota],
        clock: Clock,
        processes: int = 1,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._database = database
        self._defaults = defaults
        self._clock = clock
        self._processes = processes
        self._lock = threading.Lock()
        self._nodes: dict[ShortHash, _Metered] = {}
        self._counters = Counters()
        self._totals = _Totals(registry or CollectorRegistry())

    def quota(self, node: ShortHash) -> Quota:
        return self._metered(node).quota

    @property
    def defaults(self) -> Quota:
        """The quota of a node without overrides, with the settings in force now."""
        return self._defaults.get()

    def overrides(self, node: ShortHash) -> Mapping[str, int]:
        """The values that are set for `node` itself, by name."""
        with self._database.read() as connection:
            rows = connection.execute(_SELECT_OVERRIDES.where(OVERRIDE.c.short_hash == node))
            return {row.name: row.value for row in rows}

    def set_overrides(self, node: ShortHash, overrides: Mapping[str, int]) -> Quota:
        """Replace all overrides of `node`; other processes apply them within a second.

        Raises:
            QuotaInvalidError: an unknown name or a value out of range; nothing has changed.
        """
        quota = self._defaults.get().with_overrides(overrides)
        rows = [{"short_hash": node, "name": n, "value": v} for n, v in overrides.items()]

        def replace(connection: Connection) -> None:
            connection.execute(delete(OVERRIDE).where(OVERRIDE.c.short_hash == node))
            if rows:
                connection.execute(insert(OVERRIDE), rows)

        self._database.transact(replace)
        with self._lock:
            self._know(node, quota, self._clock.now_ms())
        return quota

    def may_run_at(self, node: ShortHash) -> EpochMs | None:
        known, now = self._metered(node), self._clock.now_ms()
        with self._lock:
            found = {
                QuotaCode.FUEL_RATE: known.fuel.wait_until(now),
                QuotaCode.HOST_CALL_RATE: known.host_calls.wait_until(now),
                QuotaCode.LOG_RATE: known.log.wait_until(now),
            }
        for hit, until in found.items():
            if until is not None:
                self.hit(node, hit.value)
        return max((t for t in found.values() if t is not None), default=None)

    def spent(self, node: ShortHash, spent: RunCharge) -> None:
        known, now = self._metered(node), self._clock.now_ms()
        with self._lock:
            known.fuel.charge(spent.usage.fuel, now)
            known.host_calls.charge(spent.host_call_ms, now)
            known.log.charge(spent.usage.log_bytes, now)
        self._counters.add(node, counters_of(spent), now)
        self._totals.add(spent)

    def hit(self, node: ShortHash, code: str) -> None:
        self._counters.add(node, {HIT + code: 1}, self._clock.now_ms())
        self._totals.hit(code)

    def usage(self, node: ShortHash) -> NodeUsage:
        """What `node` used; counts of other processes are those of their last flush."""
        self.flush()
        with self._database.read() as connection:
            rows = connection.execute(_SELECT_USAGE.where(USAGE.c.short_hash == node))
            return usage_of(
                {
                    row.counter: Increment(
                        value=row.value, first_at=row.first_at, last_at=row.last_at
                    )
                    for row in rows
                }
            )

    def recent_hits(self, since: EpochMs) -> Sequence[RecentHit]:
        """The quotas that nodes hit at `since` or later; of other processes as in `usage`."""
        query = (
            select(USAGE.c.short_hash, USAGE.c.counter, USAGE.c.value, USAGE.c.last_at)
            .where(USAGE.c.last_at >= since, IS_HIT)
            .order_by(USAGE.c.last_at.desc())
            .limit(HITS_MAX)
        )
        with self._database.read() as connection:
            return [
                RecentHit(
                    node=ShortHash(row.short_hash),
                    code=row.counter.removeprefix(HIT),
                    count=row.value,
                    last_at=EpochMs(row.last_at),
                )
                for row in connection.execute(query)
            ]

    def flush(self) -> None:
        """Add what was counted to the database, in one transaction.

        Raises:
            StorageError: it cannot be written; the counts are kept for the next flush.
        """
        taken = self._counters.take()
        if not taken:
            return
        rows = [
            {
                "short_hash": node,
                "counter": name,
                "value": grown.value,
                "first_at": grown.first_at,
                "last_at": grown.last_at,
            }
            for (node, name), grown in taken.items()
        ]
        try:
            self._database.transact(lambda connection: _ADD.run(connection, rows))
        except BaseException:
            self._counters.give_back(taken)
            raise

    def _metered(self, node: ShortHash) -> _Metered:
        """The cached node; it may be evicted as soon as another one is requested."""
        now = self._clock.now_ms()
        with self._lock:
            known = self._nodes.get(node)
            if known is not None and now - known.read_at < FRESH_MS:
                return known
        quota = self._defaults.get().with_overrides(self.overrides(node))
        with self._lock:
            return self._know(node, quota, now)

    def _know(self, node: ShortHash, quota: Quota, now: EpochMs) -> _Metered:
        fuel_rate = max(1, quota.fuel_per_second_max // self._processes)
        call_rate = max(1, quota.host_call_ms_per_second_max // self._processes)
        log_rate = max(1, quota.log_bytes_per_second_max // self._processes)
        known = self._nodes.pop(node, None)
        if known is None:
            known = _Metered(
                quota=quota,
                read_at=now,
                fuel=TokenBucket.full(fuel_rate, now),
                host_calls=TokenBucket.full(call_rate, now),
                log=TokenBucket.full(log_rate, now),
            )
            if len(self._nodes) >= _NODES_MAX:
                self._nodes.pop(next(iter(self._nodes)))
        known.quota, known.read_at = quota, now
        known.fuel.rate, known.log.rate = fuel_rate, log_rate
        known.host_calls.rate = call_rate
        self._nodes[node] = known
        return known


class _Totals:
    """Totals over all nodes as metrics. Labels have a fixed set of values."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter("cordbox_guest_runs", "Sandbox runs.", registry=registry)
        self._fuel = Counter("cordbox_guest_fuel", "Fuel of sandbox runs.", registry=registry)
        self._log = Counter(
            "cordbox_guest_log_bytes", "Bytes that guests logged.", registry=registry
        )
        self._hits = Counter(
            "cordbox_quota_hits", "Quotas that nodes hit.", ("quota",), registry=registry
        )
        for code in (*sorted(QUOTA_CODES), "other"):
            self._hits.labels(code)

    def add(self, spent: RunCharge) -> None:
        self._runs.inc()
        self._fuel.inc(spent.usage.fuel)
        self._log.inc(spent.usage.log_bytes)
        if spent.code in QUOTA_CODES:
            self.hit(str(spent.code))

    def hit(self, code: str) -> None:
        self._hits.labels(code if code in QUOTA_CODES else "other").inc()
