"""What the owner of a pair tells the operator about it: states that are written at intervals.

A pair has one while it has something to send or its peer does not answer. All changed ones are one
unit, at most once in `EVERY_MS`: sending waits for no report.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from host.domain.ids import EpochMs
from host.flow.core.versioned_codec import read_stored
from host.network.link.outgoing import Pair
from host.network.link.sessions import GROUP
from host.ports.bus import Placement
from host.ports.clock import TwoClocks
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import StateStore, Unit

EVERY_MS = 2_000
AGAIN_MS = 30_000
"""A report that still holds is written again after this time."""
KEPT_MS = 3 * AGAIN_MS
"""A report whose writer is gone is deleted after this time."""
REPORTS_MAX = 500
"""Of one unit; the others follow."""


class PairReport(Struct, frozen=True, kw_only=True):
    """What a pair's owner knew at `at`.

    Attributes:
        queued, queued_bytes: messages that the peer has not acknowledged.
        oldest_at: when the oldest of them was written.
        failures: in a row, by endpoint.
        next_at: when the peer is tried again; None: it answers.
        error: the latest failure; empty: it answers.
        credit: messages that the peer takes now.
    """

    v: int = 1
    at: EpochMs
    queued: int
    queued_bytes: int
    oldest_at: EpochMs | None
    failures: Mapping[str, int]
    next_at: EpochMs | None
    error: str
    credit: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PairReport)


def report_key(pair: str) -> str:
    return f"p2p/peer/{pair}"


def read_report(value: bytes) -> PairReport:
    """Read a stored report.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return read_stored(_decoder, value, "a report of a peer")


def report_of(pair: Pair, clock: TwoClocks) -> PairReport | None:
    """What is to be told of a pair now; None: it has nothing to send, and its peer answers."""
    if not pair.pending and not pair.peer.failures:
        return None
    now, wait = clock.now_ms(), pair.peer.next_at - clock.steady_ms()
    oldest = min((each.written_at for each in pair.pending.values()), default=0)
    return PairReport(
        at=now,
        queued=len(pair.pending),
        queued_bytes=sum(each.size for each in pair.pending.values()),
        oldest_at=EpochMs(oldest) if oldest else None,
        failures=dict(pair.peer.by_url),
        next_at=EpochMs(now + max(wait, 0)) if pair.peer.failures else None,
        error=pair.peer.error,
        credit=pair.credit_messages,
    )


@dataclass(slots=True, kw_only=True)
class Reports:
    """Not thread-safe: the service serialises it."""

    store: StateStore
    clock: TwoClocks
    _written: dict[str, PairReport] = field(default_factory=dict)
    _next_at: int = 0

    def write(self, pairs: Iterable[Pair]) -> None:
        """Store what has changed, if it is time.

        Raises:
            StorageError: the store cannot be used.
        """
        steady = self.clock.steady_ms()
        if steady < self._next_at:
            return
        self._next_at = steady + EVERY_MS
        changed = self._changed(pairs)
        keys = {report_key(name): name for name in changed}
        versions = {key: each.version for key, each in self.store.get_many(keys).items()}
        writes = [self._write(k, changed[n], versions.get(k, 0)) for k, n in keys.items()]
        needed = tuple(write for write in writes if write is not None)
        try:
            if needed:
                self.store.commit(Unit(states=needed))
        except StateConflictError:
            return  # one was deleted, or has another owner now: all are written the next time
        for name, report in changed.items():
            if report is None:
                self._written.pop(name, None)
            else:
                self._written[name] = report

    def _changed(self, pairs: Iterable[Pair]) -> dict[str, PairReport | None]:
        """New reports by pair; None for one that is deleted."""
        now = self.clock.now_ms()
        changed: dict[str, PairReport | None] = {}
        known, self._written = self._written, {}
        for pair in pairs:  # those of pairs that others own now are not this one's to delete
            report, last = report_of(pair, self.clock), known.get(pair.name)
            if last is not None:
                self._written[pair.name] = last
            is_new = report is not None and (
                last is None or _differs(report, last) or now - last.at >= AGAIN_MS
            )
            if len(changed) < REPORTS_MAX and (is_new or (report is None and last is not None)):
                changed[pair.name] = report
        return changed

    def _write(self, key: str, report: PairReport | None, version: int) -> StateWrite | None:
        if report is None:
            return StateWrite(key=key, value=None, expected=version) if version else None
        return StateWrite(
            key=key,
            value=_encoder.encode(report),
            expected=version,
            due_at=EpochMs(report.at + KEPT_MS),
            place=Placement(group=GROUP, key=key.rpartition("/")[2]),
        )


def _differs(report: PairReport, last: PairReport) -> bool:
    """Whether more than the time of it has changed: the next try moves with it while it is due."""
    return replace(report, at=last.at, next_at=last.next_at) != last
