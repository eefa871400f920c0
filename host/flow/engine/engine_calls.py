"""Host calls that the engine answers itself: time, sub-flows, sessions, external messages."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import msgspec

from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs
from host.domain.packages import CpiRecord
from host.flow.core import calls, requests
from host.flow.core.calls import Answer, Refused, Wait
from host.flow.core.offloaded_payloads import fetched
from host.flow.core.requests import parse
from host.flow.engine.counterparties import new_session_id, reachable
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.step_state import StepState
from host.ports.bus import NewRecord

Outcome: TypeAlias = Answer | Wait | Refused
EngineCall: TypeAlias = Callable[[str], Outcome]
"""Takes the request's JSON text.

Raises:
    CapabilityError: an error of the flow; it becomes the call's answer.
"""


class EngineCalls:
    """The engine's own host calls of one run of one flow; their outcome includes the new state."""

    def __init__(self, flow: StepState, services: FlowServices, cpi: CpiRecord) -> None:
        self._flow = flow
        self._cpi = cpi
        self._services = services
        self._handlers: Mapping[tuple[str, str], EngineCall] = {
            ("flow", "now"): self._now,
            ("flow", "random"): self._random,
            ("flow", "sleep"): self._sleep,
            ("flow", "context"): self._context,
            ("flow", "sub-flow"): self._sub_flow,
            ("sessions", "open"): self._open,
            ("sessions", "send"): self._send,
            ("sessions", "receive"): self._receive,
            ("sessions", "info"): self._info,
            ("sessions", "close"): self._close,
            ("external-messaging", "send"): self._external,
        }

    def find(self, interface: str, function: str) -> EngineCall | None:
        """The call, if the engine itself implements it."""
        return self._handlers.get((interface, function))

    def _now(self, request: str) -> Answer:
        """The time of day, or the flow's latest one if the clock was put back: it never decreases.

        All texts of instants have the same length, so that they are ordered as the instants are.
        """
        parse(request, requests.Now)
        now = f'"{instant(self._services.wall.now_ms())}"'
        latest = "" if self._flow.journal is None else self._flow.journal.latest_now
        return Answer(self._flow.checkpoint, max(now, latest))

    def _random(self, request: str) -> Answer:
        data = self._services.entropy.random_bytes(parse(request, requests.Random).bytes)
        return Answer(self._flow.checkpoint, f'"{base64.b64encode(data).decode()}"')

    def _sleep(self, request: str) -> Outcome:
        wanted = parse(request, requests.Sleep)
        now = self._services.node_time(self._flow.shift_ms)
        config = self._services.config
        return calls.sleep(self._flow.checkpoint, wanted, now, config)

    def _context(self, request: str) -> Outcome:
        return calls.context(self._flow.checkpoint, requests.parse_context(request))

    def _sub_flow(self, request: str) -> Outcome:
        match requests.parse_sub_flow(request):
            case requests.SubFlowEnter() as wanted:
                return calls.enter(self._flow.checkpoint, wanted)
            case requests.SubFlowLeave() as wanted:
                return calls.leave(self._flow.checkpoint, wanted)
            case wanted:
                return calls.fail_sub_flow(self._flow.checkpoint, wanted)

    def _open(self, request: str) -> Outcome:
        wanted = parse(request, requests.SessionOpen)
        peer = reachable(self._services, self._flow.checkpoint.holding, wanted.counterparty)
        session_id = new_session_id(self._services)
        answer = calls.open_session(
            self._flow.checkpoint,
            wanted,
            session_id=session_id,
            peer=peer,
            now=self._services.node_time(self._flow.shift_ms),
            config=self._services.config,
        )
        self._flow.opened.append(session_id)
        return answer

    def _send(self, request: str) -> Outcome:
        wanted = parse(request, requests.SessionSend)
        return calls.send_messages(self._flow.checkpoint, wanted, self._services.config)

    def _receive(self, request: str) -> Outcome:
        wanted = parse(request, requests.SessionReceive)
        checkpoint = fetched(self._flow.checkpoint, wanted.sessions, self._services.states)
        return calls.receive_messages(checkpoint, wanted)

    def _info(self, request: str) -> Outcome:
        return calls.session_info(self._flow.checkpoint, parse(request, requests.SessionInfo))

    def _close(self, request: str) -> Outcome:
        return calls.close_sessions(self._flow.checkpoint, parse(request, requests.SessionClose))

    def _external(self, request: str) -> Outcome:
        wanted = parse(request, requests.ExternalSend)
        config = self._services.config
        self._check_channel(wanted.channel)
        if not config.external_active:
            return self._unsent(wanted.channel)
        topic = config.external_topic.replace("$HOLDING_ID", self._flow.holding_id)
        topic = topic.replace("$CHANNEL_NAME", wanted.channel)
        value = msgspec.json.encode({"messageId": wanted.message_id, "message": wanted.message})
        record = NewRecord(
            topic=topic, key=self._flow.flow_id, value=value, owner=self._flow.holding_id
        )
        return Answer(self._flow.checkpoint, records=(record,))

    def _check_channel(self, channel: str) -> None:
        """Refuse a channel that no CPK of the CPI declares, like Corda, which has no route for it.

        Raises:
            CapabilityError: `external-channel-unknown`.
        """
        if not any(channel in (cpk.external_channels or ()) for cpk in self._cpi.cpks):
            raise CapabilityError(
                "external-channel-unknown",
                f"no CPK of {self._cpi.identity.name} declares channel {channel!r}",
            )

    def _unsent(self, channel: str) -> Answer:
        if self._services.config.external_inactive == "IGNORE":
            return Answer(self._flow.checkpoint)
        raise CapabilityError("external-route-inactive", f"the route of {channel!r} is not active")


def instant(now: EpochMs) -> str:
    """The text of an instant, such as `2026-11-21T05:00:00.000000Z`."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
