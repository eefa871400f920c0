"""The link of one process: `host.ports.link.LinkService`, and the work of its partitions.

One lock serialises everything that is sent; what arrives is processed side by side, so that it
shares commits. No lock is held while anything waits for a peer.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from host.domain.errors import ConflictError, HostError
from host.domain.ids import HoldingIdentity
from host.flow.core.errors import FlowRecordDamagedError
from host.network.link import suites, told
from host.network.link.admission import REGISTRATIONS, REGISTRATIONS_PER_ADDRESS, InWork, Rate
from host.network.link.figures import LinkFigures, figures, of_pairs
from host.network.link.frames import (
    Frame,
    FramesUnreadableError,
    Kind,
    RefusalHint,
    Unauthenticated,
    body_bytes_max,
    decode_body,
    join,
    read_header,
    refusal,
    split,
)
from host.network.link.handshakes import HandshakeFailed, Handshakes, RateExceededError, SessionMade
from host.network.link.inbox import BusyError, Inbox
from host.network.link.limits import LimitsOf, LinkLimits
from host.network.link.members import LinkKeys, LinkMembers
from host.network.link.openings import Openings
from host.network.link.outbox import MessagesGivenUp, Outbox
from host.network.link.reports import Reports
from host.network.link.routes import NetworkRoutes
from host.network.link.sending import PeerFailed, Sender
from host.network.link.sessions import GROUP, SessionStore
from host.network.values.pair import pair_of
from host.ports.bus import WorkQueue
from host.ports.clock import Entropy, TwoClocks
from host.ports.link import GatewayReply, Post, PostResult, TlsPeer
from host.ports.public_keys import PublicKeys
from host.ports.quotas import Quotas
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import FlowStore, Unit

DUE_MAX = 500
IN_WORK_MAX = 16
"""Requests of other clusters that are processed at once."""
IN_WORK_OF_ONE_MAX = 4
"""Of one address: no cluster takes all the room of others."""
_FIRST = (Kind.INITIATOR_HELLO, Kind.INITIATOR_HANDSHAKE, Kind.UNAUTHENTICATED)

_PAUSE_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDamaged:
    """For the log: a state, or the messages of a queue, cannot be read."""

    key: str
    reason: str


LinkEvent: TypeAlias = HandshakeFailed | SessionMade | PeerFailed | MessagesGivenUp | StateDamaged
OK = 200
UNREADABLE = 400
TOO_LARGE = 413
TOO_OFTEN = 429
BUSY = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkParts:
    """What a link works with.

    Attributes:
        store: of flows, with the topic `p2p.out`.
        events: told of failures, for logs; must not block.
    """

    store: FlowStore
    members: LinkMembers
    routes: NetworkRoutes
    keys: LinkKeys
    public_keys: PublicKeys
    quotas: Quotas
    clock: TwoClocks
    entropy: Entropy
    software: str
    events: Callable[[LinkEvent], None]
    suites: tuple[int, ...] = field(default_factory=suites.supported)
    limits: LimitsOf = LinkLimits


class Link:
    """Thread-safe."""

    def __init__(self, parts: LinkParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._sending = threading.Condition()
        self._results = deque[PostResult]()
        self._registering = threading.Lock()
        self._entering = threading.Lock()
        self._in_work = InWork(IN_WORK_MAX, IN_WORK_OF_ONE_MAX)
        self._registrations = Rate(REGISTRATIONS_PER_ADDRESS, REGISTRATIONS)
        sessions = SessionStore(parts.store, parts.keys)
        self._inbox = Inbox(
            store=parts.store,
            sessions=sessions,
            members=parts.members,
            routes=parts.routes,
            quotas=parts.quotas,
            clock=parts.clock,
            heard=self._heard,
        )
        self._handshakes = Handshakes(
            store=parts.store,
            sessions=sessions,
            members=parts.members,
            keys=parts.keys,
            public_keys=parts.public_keys,
            clock=parts.clock,
            entropy=parts.entropy,
            suites=parts.suites,
            software=parts.software,
            events=parts.events,
            heard=self._heard,
            limits=parts.limits,
        )
        self._outbox = Outbox(
            store=parts.store,
            queues=parts.store,
            routes=parts.routes,
            clock=parts.clock,
            entropy=parts.entropy,
            damaged=self._damaged,
            given_up=parts.events,
        )
        self._reports = Reports(store=parts.store, clock=parts.clock)
        self._sender = Sender(
            store=parts.store,
            outbox=self._outbox,
            openings=_openings(parts, self._outbox, sessions),
            members=parts.members,
            clock=parts.clock,
            entropy=parts.entropy,
            failed=parts.events,
            limits=parts.limits,
        )

    def receive(self, frames: bytes, peer: TlsPeer) -> GatewayReply:
        """See `LinkService.receive`."""
        try:
            row = split(frames)
        except FramesUnreadableError:
            return GatewayReply(status=UNREADABLE)
        with self._entering:
            if not self._in_work.enters(peer.address):
                return GatewayReply(status=BUSY)
        try:
            answer = self._received(row, peer)
        except FramesUnreadableError:
            return GatewayReply(status=UNREADABLE)
        except RateExceededError:
            return GatewayReply(status=TOO_OFTEN)
        except (BusyError, HostError):
            return GatewayReply(status=BUSY)
        finally:
            with self._entering:
                self._in_work.leaves(peer.address)
        return GatewayReply(status=OK, body=join(answer))

    def body_limit(self, head: bytes) -> int:
        """See `LinkService.body_limit`. Of a body for a session that is not known, 4 KiB."""
        try:
            header = read_header(head)
        except FramesUnreadableError:
            return 0
        most = body_bytes_max(header.kind)
        if header.kind in _FIRST:
            return most
        try:
            is_known = self._inbox.sessions.inbound(header.session) is not None
        except HostError:
            return 0
        return most if is_known else body_bytes_max(Kind.INITIATOR_HELLO)

    def take(self, wait_ms: int, posts_max: int) -> Sequence[Post]:
        """See `LinkService.take`."""
        with self._sending:
            posts = self._posts(posts_max)
            if not posts and wait_ms > 0:
                self._sending.wait(self._wait_s(wait_ms))
                posts = self._posts(posts_max)
            return posts

    def done(self, results: Sequence[PostResult]) -> None:
        """See `LinkService.done`."""
        self._results.extend(results)
        with self._sending:
            # Also those of threads that wait meanwhile: all share commits.
            taken = [self._results.popleft() for _ in range(len(self._results))]
            if taken:
                self._owned(lambda: self._sender.done(taken))
                self._sending.notify_all()

    def figures(self) -> LinkFigures:
        """How much waits in this process, and over how many sessions it talks.

        Raises:
            StorageError: the classes of peers cannot be read.
        """
        with self._sending:
            pairs = of_pairs(self._outbox.pairs.values())
        return figures(pairs, len(self._inbox.sessions.cached), self._parts.members)

    def adopt(self, epochs: Mapping[int, int | None]) -> None:
        """Do the work of these partitions from now on; raises as `Outbox.adopt`."""
        with self._sending:
            self._outbox.adopt(epochs)
            self._sending.notify_all()

    def pause_ms(self) -> int:
        """How often due states, and work whose notification was lost, are looked for."""
        return _PAUSE_MS

    def work(self) -> bool:
        """Store messages that wait, give up and delete what is due; whether there was anything.

        Raises:
            ConflictError: a partition has another owner: its work is not done here.
            StorageError: the store cannot be used.
        """
        with self._sending:
            with self._outbox.together():
                stored = [pair for queue in self._outbox.waiting() for pair in self._stored(queue)]
            self._outbox.expire(self._parts.clock.now_ms())
            self._reports.write(self._outbox.pairs.values())
            if stored:
                self._sending.notify_all()
        return bool(stored) or self._delete_due()

    def _stored(self, queue: WorkQueue) -> Sequence[None]:
        """Store messages of a queue; what is damaged keeps only its own pair waiting."""
        try:
            self._outbox.take(queue)
        except FlowRecordDamagedError as exc:
            self._damaged(queue.topic, exc)
            return ()
        return (None,)

    def _damaged(self, key: str, error: HostError) -> None:
        self._parts.events(StateDamaged(key=key, reason=error.message))

    def _received(self, row: Sequence[Frame], peer: TlsPeer) -> Sequence[Frame]:
        """The answer to a request: all its frames are of one session, or it is a single frame."""
        first = row[0]
        if first.kind in _FIRST and len(row) == 1:
            return self._stranger(first, peer)
        if first.kind in _FIRST or any(f.header.session != first.header.session for f in row):
            raise FramesUnreadableError("frames of several sessions")
        return [self._inbox.receive(row, peer)]

    def _stranger(self, frame: Frame, peer: TlsPeer) -> Sequence[Frame]:
        if frame.kind is Kind.UNAUTHENTICATED:
            return self._registered(frame, peer)
        if frame.kind is Kind.INITIATOR_HELLO:
            return [self._handshakes.hello(frame, peer)]
        return [self._handshakes.conclude(frame, peer)]

    def _registered(self, frame: Frame, peer: TlsPeer) -> Sequence[Frame]:
        """Hand a registration to membership: nobody here can read it."""
        with self._registering:
            if not self._registrations.admits(peer.address, self._parts.clock.steady_ms()):
                raise RateExceededError
        body = decode_body(frame.body, Unauthenticated)
        mgm = self._parts.members.mgm(body.realm)
        if mgm is None or not self._parts.members.admits_client(body.realm, peer.chain):
            return [refusal(frame.header.session, RefusalHint.REFUSED)]
        record = told.arrived(None, mgm.holding, body.message_id, body.sealed)
        self._store.commit(Unit(records=(record,)))
        return []

    def _posts(self, most: int) -> list[Post]:
        found: list[Post] = []

        def posts() -> None:
            self._sender.offer_due()
            found.extend(self._sender.posts(most))

        self._owned(posts)
        return found

    def _owned(self, act: Callable[[], None]) -> None:
        """Do something with owned pairs; if a partition was lost, all are read anew."""
        try:
            act()
        except ConflictError:
            self._outbox.adopt({})

    def _wait_s(self, wait_ms: int) -> float:
        at = self._sender.next_at()
        if at is None:
            return wait_ms / 1000
        return min(max(at - self._parts.clock.steady_ms(), 1), wait_ms) / 1000

    def _heard(self, own: HoldingIdentity, peer: HoldingIdentity) -> None:
        with self._sending:
            self._sender.heard(pair_of(own, peer))

    def _delete_due(self) -> bool:
        """Delete sessions and channels whose time is over."""
        now = self._parts.clock.now_ms()
        due = self._store.due(GROUP, now, DUE_MAX, self._outbox.owned())
        for state in due:
            write = StateWrite(key=state.key, value=None, expected=state.version)
            try:
                self._store.commit(Unit(states=(write,)))
            except StateConflictError:
                continue  # it was used meanwhile
        return bool(due)


def _openings(parts: LinkParts, outbox: Outbox, sessions: SessionStore) -> Openings:
    return Openings(
        outbox=outbox,
        sessions=sessions,
        members=parts.members,
        keys=parts.keys,
        public_keys=parts.public_keys,
        clock=parts.clock,
        entropy=parts.entropy,
        suites=parts.suites,
        software=parts.software,
        events=parts.events,
        limits=parts.limits,
    )
