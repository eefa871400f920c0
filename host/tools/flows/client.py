"""Flows of a running host over its REST interface."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict
from urllib.parse import quote

from host.domain.errors import NotFoundError, UnavailableError
from host.domain.ids import HoldingIdentity
from host.domain.json import JsonObject, JsonValue
from host.domain.x500 import MemberX500Name
from host.flow.records.history_export import Recording, parse_recording
from host.tools.client.answers import shaped
from host.tools.client.host_client import HostClient
from host.tools.client.named_nodes import node_named

FINAL = frozenset({"COMPLETED", "FAILED", "KILLED"})
FLOWS_MAX = 64
"""Flows of one conversation."""
_POLL_SECONDS_FIRST = 0.05
_POLL_SECONDS_MAX = 2.0


class FlowStillRunningError(UnavailableError):
    """The flow has not ended within the given time."""

    code = "flow-still-running"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPlace:
    """A flow on a host: `node` is the short hash, `request_id` the client request id."""

    node: str
    request_id: str

    @property
    def path(self) -> str:
        return f"/flow/{self.node}/{quote(self.request_id, safe='')}"


class HostFlows:
    """Operations on the flows of one host. All methods raise the errors of `HostClient.get`."""

    def __init__(self, client: HostClient) -> None:
        self._client = client

    def node(self, text: str) -> str:
        """The short hash of a virtual node; see `node_named`."""
        return node_named(self._client, text)

    def start(self, place: FlowPlace, flow_class: str, body: JsonValue) -> JsonObject:
        """Start a flow; its status is durable when this returns."""
        start = {
            "clientRequestId": place.request_id,
            "flowClassName": flow_class,
            "requestBody": body,
        }
        return _status(self._client.post(f"/flow/{place.node}", {"startFlow": start}))

    def list(
        self,
        node: str,
        *,
        status: str | None = None,
        responders: bool = False,
        since: datetime | None = None,
    ) -> Iterator[JsonObject]:
        """Statuses of a node's flows, the latest start first, fetched lazily page by page."""
        query = {"responders": "true"} if responders else {}
        if status is not None:
            query["status"] = status
        if since is not None:
            query["since"] = since.isoformat()
        return map(_status, self._client.items(f"/flow/{node}", "flowStatusResponses", **query))

    def result(self, place: FlowPlace) -> JsonObject:
        """Status and, when the flow has ended, its result as JSON."""
        return _status(self._client.get(f"{place.path}/result"))

    def kill(self, place: FlowPlace, reason: str | None) -> JsonObject:
        """Kill a flow; returns the status before the kill."""
        query = {} if reason is None else {"reason": reason}
        return _status(self._client.post(f"{place.path}/kill", **query))

    def wait(self, place: FlowPlace, seconds_max: float) -> JsonObject:
        """The result of a flow once it has ended.

        Raises:
            FlowStillRunningError: it has not ended within `seconds_max`.
        """
        deadline = time.monotonic() + seconds_max
        for pause in _pauses():
            answer = self.result(place)
            if answer.get("flowStatus") in FINAL:
                return answer
            left = deadline - time.monotonic()
            if left <= 0:
                raise FlowStillRunningError(
                    f"flow {place.request_id!r} is {answer.get('flowStatus')} after"
                    f" {seconds_max:g} s"
                )
            time.sleep(min(pause, left))
        raise AssertionError("pauses have no end")

    def export(self, place: FlowPlace) -> bytes:
        """The export of a flow: a `Recording` as JSON text."""
        data = self._client.ask("GET", f"{place.path}/export")
        parse_recording(data, f"the export of {place.request_id}")
        return data

    def recording(self, place: FlowPlace) -> Recording:
        """The recording of a flow, with payloads."""
        return parse_recording(self.export(place), f"the export of {place.request_id}")

    def conversation(self, place: FlowPlace) -> Sequence[Recording]:
        """A flow and, recursively, the flows that its sessions started on this host.

        Flows without a stored history, and flows beyond the limit, are left out.
        """
        found: list[Recording] = []
        seen = {place}
        waiting = [place]
        while waiting and len(found) < FLOWS_MAX:
            here = waiting.pop(0)
            try:
                recording = self.recording(here)
            except NotFoundError:
                if not found:
                    raise
                continue
            found.append(recording)
            fresh = [p for p in _responders(recording) if p not in seen]
            seen.update(fresh)
            waiting += fresh
        return found


def _responders(recording: Recording) -> Iterator[FlowPlace]:
    for session in recording.sessions:
        if session.is_initiator:
            name = MemberX500Name.parse(session.peer)
            peer = HoldingIdentity(x500_name=name, group_id=recording.node.group_id)
            yield FlowPlace(node=peer.short_hash, request_id=session.peer_session)


def _pauses() -> Iterator[float]:
    pause = _POLL_SECONDS_FIRST
    while True:
        yield pause
        pause = min(pause * 1.5, _POLL_SECONDS_MAX)


class _FlowStatus(TypedDict):
    flowStatus: str


def _status(value: Any) -> JsonObject:
    """An answer about a flow, whole.

    Raises:
        ClusterAnswerError: it has no status.
    """
    shaped(value, _FlowStatus, "the flow")
    answer: JsonObject = value
    return answer
