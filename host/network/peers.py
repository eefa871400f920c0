"""The members of a node's network as its cluster reaches them, from what the link has stored."""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice

from host.domain.errors import ConflictError, NotFoundError
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.platform import SOFTWARE_VERSION
from host.domain.x500 import MemberX500Name
from host.network.link import channel_in
from host.network.link.inbox import read_rx
from host.network.link.members import LinkMembers
from host.network.link.pings import PING_TTL_MS, ping_key, read_answer
from host.network.link.reports import read_report, report_key
from host.network.link.sessions import outbound_key
from host.network.values import p2p_out
from host.network.values.p2p_out import P2P_OUT_TOPIC, P2pOut, Subsystem
from host.network.values.pair import pair_of
from host.ports.bus import NewRecord
from host.ports.clock import Entropy, TwoClocks
from host.ports.network_peers import Endpoint, NetworkPeer, PeerRoute, PingFailedError, Pong
from host.ports.routes import Here, Hold, Link, Refused, Route, RouteCode, Routes
from host.ports.state import StateRecord
from host.ports.units import StateStore, Unit

PINGS_MAX = 4
"""Pings that wait in one process: other requests keep their threads."""
_PORTION = 250
"""Members whose states, three each, are read at once."""
_PAUSE_SECONDS = 0.02


class NetworkPeersOf:
    """The `NetworkPeers` port.

    Args:
        members: as identities of this cluster see them.
        routes: of messages to members.
        store: of links.
        clock: of pings.
        entropy: for their ids.
        pause: called between two looks for an answer.
    """

    def __init__(
        self,
        *,
        members: LinkMembers,
        routes: Routes,
        store: StateStore,
        clock: TwoClocks,
        entropy: Entropy,
        pause: Callable[[], None] = lambda: time.sleep(_PAUSE_SECONDS),
    ) -> None:
        self._members = members
        self._routes = routes
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._pause = pause
        self._pings = threading.BoundedSemaphore(PINGS_MAX)

    def peers(
        self, viewer: HoldingIdentity, names: Sequence[MemberX500Name]
    ) -> Sequence[NetworkPeer]:
        """See `NetworkPeers.peers`."""
        found: list[NetworkPeer] = []
        rest = iter(names)
        while portion := list(islice(rest, _PORTION)):
            targets = [HoldingIdentity(x500_name=n, group_id=viewer.group_id) for n in portion]
            keys = {key for target in targets for key in _keys(viewer, target)}
            states = self._store.get_many(keys)
            for target in targets:
                own = [states.get(key) for key in _keys(viewer, target)]
                found.append(self._peer(viewer, target, *own))
        return found

    def ping(self, viewer: HoldingIdentity, name: MemberX500Name) -> Pong:
        """See `NetworkPeers.ping`."""
        target = HoldingIdentity(x500_name=name, group_id=viewer.group_id)
        match self._routes.route(viewer, target):
            case Here():
                version, _ = self._members.list_version(target)
                return Pong(milliseconds=0, list_version=version, software=_SOFTWARE)
            case Refused(RouteCode.UNKNOWN, message):
                raise NotFoundError(f"{message}.", kind="member", named=str(name))
            case Refused(_, message):
                raise ConflictError(message)
            case _:
                pass
        if not self._pings.acquire(blocking=False):
            raise PingFailedError(f"{PINGS_MAX} pings are under way: try again")
        try:
            return self._answered(target, self._ask(viewer, target))
        finally:
            self._pings.release()

    def _peer(
        self,
        viewer: HoldingIdentity,
        target: HoldingIdentity,
        reported: StateRecord | None,
        outbound: StateRecord | None,
        received: StateRecord | None,
    ) -> NetworkPeer:
        route = self._routes.route(viewer, target)
        report = None if reported is None else read_report(reported.value)
        peer = self._members.peer(viewer, target.x500_name)
        failures = {} if report is None else report.failures
        return NetworkPeer(
            name=target.x500_name,
            route=_ROUTES[type(route)],
            reason=route.message if isinstance(route, Refused) else "",
            endpoints=tuple(
                Endpoint(url=url, failures=failures.get(url, 0))
                for url in (() if peer is None else peer.urls)
            ),
            outbound=int(outbound is not None),
            inbound=0 if received is None else len(read_rx(received.value).sessions),
            expires_at=None if outbound is None else outbound.due_at,
            queued=0 if report is None else report.queued,
            queued_bytes=0 if report is None else report.queued_bytes,
            oldest_at=None if report is None else report.oldest_at,
            next_at=None if report is None else report.next_at,
            credit=None if report is None else report.credit,
            error="" if report is None else report.error,
            as_of=None if report is None else report.at,
        )

    def _ask(self, viewer: HoldingIdentity, target: HoldingIdentity) -> str:
        """Ask the owner of the pair for a ping; returns its id."""
        ping_id = self._entropy.random_bytes(16).hex()
        asked = P2pOut(
            group_id=viewer.group_id,
            source=str(viewer.x500_name),
            target=str(target.x500_name),
            subsystem=Subsystem.PING,
            ttl_ms=PING_TTL_MS,
            message_id=ping_id,
            payload=b"",
        )
        record = NewRecord(
            topic=P2P_OUT_TOPIC,
            key=pair_of(viewer, target),
            value=p2p_out.encode(asked),
            node=viewer.short_hash,
        )
        self._store.commit(Unit(records=(record,)))
        return ping_id

    def _answered(self, target: HoldingIdentity, ping_id: str) -> Pong:
        """Wait for the answer to a ping."""
        until = EpochMs(self._clock.steady_ms() + PING_TTL_MS)
        while (stored := self._store.get(ping_key(ping_id))) is None:
            if self._clock.steady_ms() >= until:
                raise PingFailedError(
                    f"{target.x500_name} did not answer in {PING_TTL_MS // 1000} s"
                )
            self._pause()
        answer = read_answer(stored.value)
        if answer.milliseconds is None:
            raise PingFailedError(f"{target.x500_name} did not answer: {answer.failure}")
        return Pong(
            milliseconds=answer.milliseconds,
            list_version=answer.list_version,
            software=answer.software,
        )


_SOFTWARE = f"cordbox {SOFTWARE_VERSION}"
_ROUTES: dict[type[Route], PeerRoute] = {
    Here: PeerRoute.HERE,
    Link: PeerRoute.LINK,
    Hold: PeerRoute.HOLD,
    Refused: PeerRoute.REFUSED,
}


def _keys(viewer: HoldingIdentity, target: HoldingIdentity) -> tuple[str, str, str]:
    """Keys of the states of a pair: its report, its outbound session, what arrives from there."""
    pair = pair_of(viewer, target)
    inbound = channel_in.state_key(pair_of(target, viewer))
    return report_key(pair), outbound_key(pair), inbound
