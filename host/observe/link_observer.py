"""Events of links between clusters as log lines and metrics."""

from collections import OrderedDict

import structlog
from prometheus_client import CollectorRegistry, Counter

from host.network.link.channel_out import DeliveryCode
from host.network.link.handshake import Failure
from host.network.link.handshakes import HandshakeFailed, SessionMade
from host.network.link.outbox import MessagesGivenUp
from host.network.link.sending import PeerFailed
from host.network.link.service import LinkEvent, StateDamaged
from host.ports.clock import TwoClocks
from host.ports.routes import RouteCode

TELL_MS = 60_000
"""A failure of one peer is logged at most this often; each is counted."""
_PEERS_MAX = 1024
_CODES = frozenset({*DeliveryCode, *RouteCode})

_log = structlog.get_logger("cordbox.link")


class LinkObserver:
    """Called by threads of the link. What strangers cause is bounded in memory and in the log."""

    def __init__(self, registry: CollectorRegistry, clock: TwoClocks) -> None:
        self._clock = clock
        self._told: OrderedDict[str, int] = OrderedDict()
        self._handshakes = Counter(
            "cordbox_link_handshakes_failed",
            "Handshakes of other clusters that failed here, by reason.",
            ("reason",),
            registry=registry,
        )
        self._made = Counter(
            "cordbox_link_handshakes",
            "Handshakes that made a session, by who began: initiator is this host.",
            ("side",),
            registry=registry,
        )
        self._given_up = Counter(
            "cordbox_link_messages_given_up",
            "Messages to other clusters that were not delivered, by the code that senders get.",
            ("code",),
            registry=registry,
        )
        self._peers = Counter(
            "cordbox_link_requests_failed",
            "Requests to other clusters without a useful answer.",
            registry=registry,
        )

        for failure in Failure:
            self._handshakes.labels(failure.value)
        for side in ("initiator", "responder"):
            self._made.labels(side)
        for code in (*sorted(_CODES), "refused"):
            self._given_up.labels(code)

    def __call__(self, event: LinkEvent) -> None:
        match event:
            case HandshakeFailed():
                self._handshakes.labels(event.failure.value).inc()
                if self._tells(f"address {event.address}"):
                    _log.warning(
                        "link-handshake-failed",
                        address=event.address,
                        reason=event.failure.value,
                        detail=event.detail,
                    )
            case SessionMade():
                self._made.labels("initiator" if event.is_initiator else "responder").inc()
            case MessagesGivenUp():
                # A peer chooses the code of what it refuses; labels are bounded.
                told = event.code if event.code in _CODES else "refused"
                self._given_up.labels(told).inc(event.count)
            case PeerFailed():
                self._peers.inc()
                if self._tells(f"pair {event.pair}"):
                    _log.warning("peer-failed", pair=event.pair, url=event.url, reason=event.reason)
            case StateDamaged():
                if self._tells(f"state {event.key}"):
                    _log.error("link-state-damaged", key=event.key, reason=event.reason)

    def failed(self, error: BaseException) -> None:
        """The link's own work failed; it is tried again."""
        if self._tells(f"work {type(error).__name__}"):
            _log.error("link-work-failed", reason=str(error) or type(error).__name__)

    def _tells(self, whose: str) -> bool:
        now = self._clock.steady_ms()
        told = self._told.get(whose)
        if told is not None and now - told < TELL_MS:
            return False
        self._told[whose] = now
        self._told.move_to_end(whose)
        while len(self._told) > _PEERS_MAX:
            self._told.popitem(last=False)
        return True
