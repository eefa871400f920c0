"""Requests to other clusters: what is posted for a pair next, and what its answer changes.

A pair has one request on its way: a message of a handshake, a registration, or up to 63 messages.
A peer that did not answer gets one probe at a time, not the whole queue.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from host.domain.errors import ConflictError, HostError, StorageError
from host.domain.ids import EpochMs
from host.network.link import peers
from host.network.link.channel_out import DeliveryCode, acknowledged
from host.network.link.fair import FairQueue
from host.network.link.frames import (
    NO_SESSION,
    Ack,
    Frame,
    FramesUnreadableError,
    Kind,
    Refusal,
    RefusalHint,
    Unauthenticated,
    decode_body,
    join,
    plain,
    split,
)
from host.network.link.handshakes import tell_if_behind
from host.network.link.limits import LimitsOf
from host.network.link.members import LinkIdentity, LinkMembers, LinkPeer
from host.network.link.openings import Openings
from host.network.link.outbox import CHANNEL_BYTES, Outbox
from host.network.link.outgoing import Flight, Pair, flow_numbers, payloads
from host.network.link.pings import PingAnswer
from host.network.link.protection import FrameForgedError
from host.network.link.protection import acknowledged as authenticated
from host.network.link.requests import messages, probe
from host.network.link.sessions import Session
from host.ports.clock import Entropy, TwoClocks
from host.ports.link import Post, PostResult, TlsIdentity
from host.ports.units import StateStore

HANDSHAKE_DEADLINE_MS = 5_000
DATA_DEADLINE_MS = 20_000
HINT_MS = 10_000
_GRACE_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFailed:
    """For the log: a request was not answered as it should be."""

    pair: str
    url: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Sender:
    """Not thread-safe: the service serialises it."""

    store: StateStore
    outbox: Outbox
    openings: Openings
    members: LinkMembers
    clock: TwoClocks
    entropy: Entropy
    failed: Callable[[PeerFailed], None]
    limits: LimitsOf
    queue: FairQueue = field(default_factory=FairQueue)
    _flights: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Pair and URL of each request on its way, by its id."""
    _posts: int = 0

    def offer_due(self) -> None:
        """Put the pairs in the queue that may send now."""
        now = self.clock.steady_ms()
        for pair in self.outbox.pairs.values():
            if pair.flight is not None and pair.flight.until <= now:
                self._lost(pair, "no answer in time")
            if pair.pings:
                _forget_pings(pair, now)
            # A pair in the queue is judged once: a crowd of pairs would be judged for each request.
            may = pair.is_wanted and pair.flight is None and pair.name not in self.queue
            if may and self._may_at(pair) <= now and not self._waits(pair):
                self.queue.offer(pair.node, pair.name)

    def next_at(self) -> int | None:
        """The monotonic time of the next `offer_due` that has something to do."""
        times = [
            pair.flight.until if pair.flight is not None else self._may_at(pair)
            for pair in self.outbox.pairs.values()
            if pair.flight is not None or (pair.is_wanted and not self._waits(pair))
        ]
        return min(times, default=None)

    def posts(self, most: int) -> list[Post]:
        """Requests to send now, fair to nodes; raises as `Outbox.settle`."""
        found: list[Post] = []
        while len(found) < most and (taken := self.queue.take()) is not None:
            node, name = taken
            pair = self.outbox.pairs.get(name)
            if pair is None or pair.flight is not None or not pair.is_wanted:
                continue
            post = self._contained(pair)
            if post is not None:
                self.queue.sent(node, len(post.body))
                found.append(post)
        return found

    def done(self, results: Sequence[PostResult]) -> None:
        """Process answers; raises as `Outbox.settle`. Answers that came too late are dropped."""
        with self.outbox.together(lambda pair, exc: self._tried(pair, "", exc.message)):
            for result in results:
                self._done(result)

    def _done(self, result: PostResult) -> None:
        name, url = self._flights.pop(result.post_id, ("", ""))
        pair = self.outbox.pairs.get(name)
        if pair is None or pair.flight is None or pair.flight.post_id != result.post_id:
            return
        flight, pair.flight = pair.flight, None
        try:
            self._process(pair, flight, result, url)
        except ConflictError:
            raise
        except HostError as exc:  # the store or the key store is not there: tried again later
            self._tried(pair, url, exc.message)

    def _process(self, pair: Pair, flight: Flight, result: PostResult, url: str) -> None:
        if result.status != 200:  # HTTP
            reason = result.failure or f"HTTP status {result.status}"
            self._tried(pair, url, reason)
            return
        try:
            frames = split(result.body) if result.body else []
        except FramesUnreadableError as exc:
            self._tried(pair, url, str(exc))
            return
        hint = _hint(frames)
        if hint is not None:
            self._refused(pair, url, hint)
        elif flight.sealed is not None:
            pair.peer = peers.heard(pair.peer)
            self.outbox.settle(pair, pair.head, done=[flight.sealed])
        elif flight.last is not None and pair.session is not None:
            self._answered(pair, pair.session, flight, frames, url)
        elif len(frames) == 1:
            failed = self.openings.answered(pair, frames[0])
            if failed is not None:
                self._tried(pair, url, failed)
        else:
            self._tried(pair, url, "no frame of a handshake")

    def heard(self, pair_name: str) -> None:
        """A valid frame of a pair's target has arrived: it is tried at once."""
        pair = self.outbox.pairs.get(pair_name)
        if pair is not None:
            pair.peer = peers.heard(pair.peer)

    def _contained(self, pair: Pair) -> Post | None:
        """The next request of a pair; what fails for one pair does not stop others."""
        try:
            return self._post(pair)
        except ConflictError:
            raise
        except HostError as exc:
            self._tried(pair, "", exc.message)
            return None

    def _waits(self, pair: Pair) -> bool:
        """Whether a pair sends nothing since its source leaves this cluster, or arrives."""
        routes = self.outbox.routes
        if not routes.holds(pair.source):
            return False
        is_frozen = routes.is_frozen(pair.source.short_hash)
        has_flows_alone = flow_numbers(pair.pending) == pair.pending.keys() and not pair.pings
        return is_frozen or has_flows_alone

    def _may_at(self, pair: Pair) -> int:
        at = pair.peer.next_at
        held = pair.head.hold_until - self.clock.now_ms()
        if held > 0 and not pair.pings and flow_numbers(pair.pending) == pair.pending.keys():
            at = max(at, EpochMs(self.clock.steady_ms() + held))
        return at

    def _post(self, pair: Pair) -> Post | None:
        """The next request of a pair; None if there is none now."""
        own = self.members.identity(pair.source)
        peer = self.members.peer(pair.source, pair.target.x500_name)
        if own is None or peer is None or not (own.keys and peer.keys and peer.urls):
            self._tried(pair, "", "the member, its keys or its endpoints are unknown")
            return None
        sealed = next((n for n, each in pair.pending.items() if each.sealed_for_mgm), None)
        if sealed is not None and not pair.pings:
            return self._registration(pair, own, peer, sealed)
        session = self.openings.session(pair, own, peer)
        if session is None:
            body = self.openings.message(pair, own, peer)
            return self._posted(pair, own, peer, body, deadline_ms=HANDSHAKE_DEADLINE_MS)
        return self._data(pair, session, own, peer)

    def _registration(
        self, pair: Pair, own: LinkIdentity, peer: LinkPeer, number: int
    ) -> Post | None:
        found = payloads(self.store, pair.name, [number])
        if not found:
            self._postpone(pair)
            return None
        ((_, message),) = found
        body = Unauthenticated(
            realm=own.realm, message_id=message.message_id, sealed=message.payload
        )
        frame = plain(Kind.UNAUTHENTICATED, NO_SESSION, body)
        return self._posted(
            pair, own, peer, frame.encode(), deadline_ms=DATA_DEADLINE_MS, sealed=number
        )

    def _data(self, pair: Pair, session: Session, own: LinkIdentity, peer: LinkPeer) -> Post | None:
        """A request with messages, or a probe if the peer takes none or did not answer."""
        large = {n: each for n, each in pair.pending.items() if each.size > session.max_message}
        if large:
            self.outbox.settle(pair, pair.head, failed=dict.fromkeys(large, DeliveryCode.TOO_LARGE))
        is_ping = bool(pair.pings)
        frames = (
            []
            if pair.peer.failures or is_ping
            else messages(
                self.store,
                pair,
                session,
                self.clock.now_ms(),
                self.limits().unacknowledged_max,
                flows_wait=self.outbox.routes.holds(pair.source),
            )
        )
        if not frames:
            if not pair.is_wanted:
                return None
            if not pair.peer.failures and not is_ping:
                self._postpone(pair)
            frames = [probe(pair, session)]
        if pair.unanswered_since is None:
            pair.unanswered_since = self.clock.steady_ms()
        return self._posted(
            pair,
            own,
            peer,
            join(frames),
            deadline_ms=DATA_DEADLINE_MS,
            last=frames[-1],
            is_ping=is_ping,
        )

    def _posted(
        self,
        pair: Pair,
        own: LinkIdentity,
        peer: LinkPeer,
        body: bytes,
        *,
        deadline_ms: int,
        last: Frame | None = None,
        sealed: int | None = None,
        is_ping: bool = False,
    ) -> Post:
        self._posts += 1
        url = peers.url_of(pair.peer, peer.urls)
        tls = TlsIdentity(
            tls_tenant=own.tls_tenant, tls_alias=own.tls_alias, trust_roots=own.tls_roots
        )
        post = Post(
            post_id=f"{pair.name}/{self._posts}",
            pair=pair.name,
            realm=own.realm.hex(),
            node=pair.node,
            peer=str(pair.target.x500_name),
            url=url,
            tls=tls,
            body=body,
            deadline_ms=deadline_ms,
        )
        now = self.clock.steady_ms()
        pair.flight = Flight(
            post_id=post.post_id,
            sent_at=now,
            until=now + deadline_ms + _GRACE_MS,
            last=None if last is None else last.header,
            sealed=sealed,
            is_ping=is_ping,
        )
        self._flights[post.post_id] = (pair.name, url)
        return post

    def _answered(
        self, pair: Pair, session: Session, flight: Flight, frames: Sequence[Frame], url: str
    ) -> None:
        if len(frames) != 1 or flight.last is None:
            self._tried(pair, url, "no acknowledgement")
            return
        try:
            ack = authenticated(session.keys, flight.last, frames[0])
        except (FrameForgedError, FramesUnreadableError) as exc:
            self._tried(pair, url, str(exc))
            return
        pair.unanswered_since = None
        is_probe = pair.peer.failures > 0 or flight.is_ping
        if flight.is_ping:
            self.outbox.answer_pings(
                pair,
                PingAnswer(
                    milliseconds=self.clock.steady_ms() - flight.sent_at,
                    list_version=ack.list_version,
                    software=session.peer_software,
                ),
            )
        pair.peer = peers.heard(pair.peer)
        self._credit(pair, ack)
        fresh = self.entropy.random_bytes(CHANNEL_BYTES)
        now = self.clock.now_ms()
        settled = acknowledged(pair.head, pair.pending, ack, now, fresh)
        if not (settled.taken or settled.refused or settled.is_void or is_probe):
            self._postpone(pair)
        self.outbox.settle(pair, settled.head, done=settled.taken, failed=settled.refused)
        tell_if_behind(self.members, pair.source, ack.list_version, ack.head_hash)

    def _credit(self, pair: Pair, ack: Ack) -> None:
        pair.credit_messages = max(0, ack.credit_messages)
        pair.credit_bytes = max(0, ack.credit_bytes)
        if pair.credit_messages == 0 or pair.credit_bytes == 0:
            self._postpone(pair)

    def _postpone(self, pair: Pair) -> None:
        """Wait, because the peer takes nothing now."""
        until = EpochMs(self.clock.steady_ms() + self.limits().ask_ms)
        pair.peer = peers.postponed(pair.peer, until)

    def _refused(self, pair: Pair, url: str, hint: str) -> None:
        """The peer's gateway refuses. That is a hint, which is believed once in ten seconds."""
        now = self.clock.steady_ms()
        is_fresh = pair.hint_believed_at is None or now - pair.hint_believed_at >= HINT_MS
        if pair.session is None:
            pair.drop_session()
            pair.keys_tried += 1
        elif hint == RefusalHint.UNKNOWN_SESSION and is_fresh:
            pair.hint_believed_at = now
            pair.drop_session()
            return
        self._tried(pair, url, f"refused: {hint}")

    def _lost(self, pair: Pair, reason: str) -> None:
        assert pair.flight is not None  # noqa: S101  # of the caller
        _, url = self._flights.pop(pair.flight.post_id, ("", ""))
        pair.flight = None
        self._tried(pair, url, reason)

    def _tried(self, pair: Pair, url: str, reason: str) -> None:
        """A request failed: the next one follows later, to another endpoint."""
        if pair.session is None:
            pair.handshake = pair.next_frame = None
        jitter = int.from_bytes(self.entropy.random_bytes(2), "big") / 32_768 - 1
        now = EpochMs(self.clock.steady_ms())
        pair.peer = peers.failed(pair.peer, now, jitter, self.limits(), url=url, reason=reason)
        if pair.pings:
            text = f"{url}: {reason}" if url else reason
            with suppress(StorageError):  # nobody can be told
                self.outbox.answer_pings(pair, PingAnswer(failure=text))
        self.failed(PeerFailed(pair=pair.name, url=url, reason=reason))


def _forget_pings(pair: Pair, now: int) -> None:
    for each in [ping for ping, until in pair.pings.items() if until <= now]:
        del pair.pings[each]


def _hint(frames: Sequence[Frame]) -> str | None:
    """The code of a refusal, if that is the answer."""
    if len(frames) != 1 or frames[0].kind is not Kind.REFUSAL:
        return None
    try:
        return decode_body(frames[0].body, Refusal).code
    except FramesUnreadableError:
        return RefusalHint.REFUSED
