"""Sessions between the flows of a simulated network."""

from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cordapp_testkit.scheduler import Scheduler
from host.ports.capability import CapabilityError

SESSION_ERROR = "session-error"


@dataclass(slots=True, kw_only=True)
class End:
    """One side of a session. `outcome` is None while the side's flow may still send."""

    session: str
    owner: str
    counterparty: str
    protocol: str
    versions: tuple[int, ...]
    require_close: bool
    initiated: bool
    context: dict[str, str]
    peer: "End | None" = None
    version: int | None = None
    inbox: deque[Any] = field(default_factory=deque)
    outcome: tuple[str, str] | None = None

    def peer_outcome(self) -> tuple[str, str] | None:
        return self.peer.outcome if self.peer else self.outcome


class Peers(Protocol):
    """Those with whom a flow may have sessions."""

    scheduler: Scheduler

    @property
    def nodes(self) -> Container[str]: ...

    def responder_of(self, protocol: str, versions: Sequence[int]) -> tuple[str, int] | None: ...

    def prepare_responder(self, flow_class: str, end: End) -> Callable[[], None]: ...


class FlowSessions:
    """The `sessions` interface of one flow."""

    def __init__(self, network: Peers, me: str, flow_id: str) -> None:
        self._network = network
        self._scheduler: Scheduler = network.scheduler
        self._me = me
        self._flow_id = flow_id
        self.ends: dict[str, End] = {}

    def adopt(self, end: End) -> None:
        """Take over the responder's end of a session."""
        self.ends[end.session] = end

    def open(
        self,
        request: dict[str, Any],
        protocol: str,
        versions: tuple[int, ...],
        context: dict[str, str],
    ) -> dict[str, str]:
        name = request["counterparty"]
        if name not in self._network.nodes:
            raise CapabilityError("counterparty-unknown", f"{name} is no member of this network")
        end = End(
            session=f"{self._flow_id}-{len(self.ends)}",
            owner=self._me,
            counterparty=name,
            protocol=protocol,
            versions=versions,
            require_close=request["requireClose"],
            initiated=True,
            context=context,
        )
        self.ends[end.session] = end
        return {"session": end.session}

    def send(self, request: dict[str, Any]) -> None:
        ends = [self._end(m["session"]) for m in request["messages"]]
        for end in ends:
            _raise_failed(end)
            if end.outcome is not None:
                raise CapabilityError(*end.outcome)
        for end, message in zip(ends, request["messages"], strict=True):
            self._connect(end)
            if end.peer is not None and end.peer.outcome is None:
                end.peer.inbox.append(message["payload"])
            elif end.outcome is None:
                end.outcome = _unread(end)

    def receive(self, request: dict[str, Any]) -> list[Any]:
        ends = [self._end(session) for session in request["sessions"]]
        for end in ends:
            self._connect(end)
        self._scheduler.wait_until(lambda: all(e.inbox or e.peer_outcome() for e in ends))
        for end in ends:
            _raise_failed(end)
            if not end.inbox:
                raise CapabilityError(*_closed(end))
        return [end.inbox.popleft() for end in ends]

    def info(self, request: dict[str, Any]) -> dict[str, Any]:
        end = self._end(request["session"])
        self._connect(end)
        _raise_failed(end)
        return {
            "counterparty": end.counterparty,
            "protocol": end.protocol,
            "protocolVersion": end.version,
        }

    def close(self, request: dict[str, Any]) -> None:
        self.close_all(frozenset(request["sessions"]))

    def close_all(self, only: frozenset[str] | None = None) -> None:
        """Close sessions; where the initiator requires it, wait for the peers to close.

        Raises:
            CapabilityError: a peer failed, or data was left unread.
        """
        ends = [self._end(s) for s in self.ends if only is None or s in only]
        for end in ends:
            if end.outcome is None:
                end.outcome = _unread(end) if end.inbox else _closed(end)
        waited = [e for e in ends if e.initiated and e.require_close and e.peer]
        self._scheduler.wait_until(lambda: all(e.peer_outcome() for e in waited))
        for end in ends:
            if end in waited or end.inbox:
                _raise_failed(end)

    def fail_all(self, error: str, only: frozenset[str] | None = None) -> None:
        """Tell the peers that this flow, or the sub-flow of these sessions, failed."""
        for end in self.ends.values():
            if end.outcome is None and (only is None or end.session in only):
                end.outcome = (SESSION_ERROR, error)

    def _end(self, session: str) -> End:
        if session not in self.ends:
            raise CapabilityError("session-unknown", f"session {session} is not this flow's")
        return self.ends[session]

    def _connect(self, end: End) -> None:
        """Start the responder's flow with the first message, as Corda does."""
        if end.peer is not None or end.outcome is not None:
            return
        found = self._network.responder_of(end.protocol, end.versions)
        if found is None:
            versions = list(end.versions)
            message = (
                f"No responder is configured for protocol {end.protocol} at versions {versions}"
            )
            end.outcome = (SESSION_ERROR, message)
            return
        flow_class, version = found
        end.version = version
        end.peer = End(
            session=f"{end.session}-responder",
            owner=end.counterparty,
            counterparty=end.owner,
            protocol=end.protocol,
            versions=end.versions,
            require_close=False,
            initiated=False,
            peer=end,
            version=version,
            context=end.context,
        )
        respond: Callable[[], None] = self._network.prepare_responder(flow_class, end.peer)
        self._scheduler.spawn(respond)


def _closed(end: End) -> tuple[str, str]:
    return ("session-closed", f"the session with {end.counterparty} is closed")


def _unread(end: End) -> tuple[str, str]:
    reason = "the session has been closed with unprocessed data"
    return (SESSION_ERROR, f"session {end.session}: {reason}")


def _raise_failed(end: End) -> None:
    for outcome in (end.peer_outcome(), end.outcome):
        if outcome is not None and outcome[0] == SESSION_ERROR:
            raise CapabilityError(*outcome)
