"""Clients' use cases of flows: start one, query its status."""

import json
import re
from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from host.domain.accounts import Account, QuotaExceededError, hit_of
from host.domain.errors import NotAllowedError
from host.domain.flow import FlowStatus, FlowStatusName
from host.domain.guest_text import GuestTextError, checked_json
from host.domain.ids import ShortHash
from host.domain.json import JsonValue
from host.domain.json_schema import checked_schema
from host.domain.packages import CpiRecord, FlowDeclaration
from host.domain.refused import shown
from host.domain.vnode import OperationalStatus, VirtualNode
from host.flow.core.bodies import INLINE_BYTES_MAX, body_write
from host.flow.core.checkpoint import Checkpoint, decode_checkpoint
from host.flow.core.endings import Endings
from host.flow.core.errors import (
    ClientRequestIdInvalidError,
    FlowAlreadyStartedError,
    FlowEndedError,
    FlowInputInvalidError,
    FlowNotFoundError,
    FlowStatusUnknownError,
)
from host.flow.core.messages import (
    EVENT_TOPIC,
    START_TOPIC,
    KillFlow,
    Party,
    StartFlow,
    encode,
    flow_state_key,
    start_key,
)
from host.flow.core.room import NodeBalances, Room
from host.flow.core.shift import SHIFT_KEY, stored_flow_time
from host.flow.core.status_records import status_records
from host.flow.core.statuses import (
    StoredStatus,
    UnreadStatus,
    decode_status,
    made_room,
    read_status,
    read_unread,
    status_key,
    status_of,
    write_status,
)
from host.flow.engine.flow_ids import new_flow_id
from host.flow.engine.startable import check_not_paused, startable_flow
from host.flow.records.dead_letters import DeadLetters
from host.flow.records.history_lookup import RecordedFlow, find_recorded
from host.flow.records.open_flows import OpenFlows
from host.ports.bus import NewRecord
from host.ports.clock import Clock, Entropy
from host.ports.glances import FlowGlance, GlanceQuery
from host.ports.quotas import Quotas, Unmetered
from host.ports.state import StateConflictError, StateWrite
from host.ports.topics import Logs
from host.ports.units import StateStore, Unit

_CLIENT_REQUEST_ID = re.compile(r"(?!\.{1,2}\Z)[-._A-Za-z0-9]{1,242}")
BODY_BYTES_MAX = 4 * 1024 * 1024
KILL_REASON = "Flow was killed by an operator."
_KILL_REASON_CHARACTERS_MAX = 1000


class ClientStore(StateStore, Logs, Protocol):
    """The store of clients' use cases: flows, and dead letters."""


class FlowService:
    """Use cases of the flow REST resource and the command line."""

    def __init__(
        self,
        *,
        units: ClientStore,
        clock: Clock,
        entropy: Entropy,
        quotas: Quotas | None = None,
        publishes_statuses: bool = False,
    ) -> None:
        """Serve clients of a store.

        Args:
            units: the store.
            clock: time of day.
            entropy: randomness of flow ids.
            quotas: of the nodes; by default nothing is limited.
            publishes_statuses: see `FlowConfig`.
        """
        self._publishes = publishes_statuses
        self._store = units
        self._clock = clock
        self._entropy = entropy
        self._quotas = quotas or Unmetered()
        self._open = OpenFlows(units, self._quotas)
        self._endings = Endings(units)
        self.dead_letters = DeadLetters(units)

    def start(
        self,
        vnode: VirtualNode,
        cpi: CpiRecord,
        client_request_id: str,
        flow_class: str,
        request_body: JsonValue,
        *,
        trace: str | None = None,
    ) -> FlowStatus:
        """Accept a flow. When this returns, the start is durable.

        `trace` is the span of the request, in the form of `traceparent`.

        Raises:
            NodePausedError, NotAllowedError: the virtual node is paused, or starts no flows.
            ClientRequestIdInvalidError: the id's form.
            FlowAlreadyStartedError: the id was used on this virtual node.
            FlowNotStartableError: the CPI has no such client-startable flow.
            FlowInputInvalidError: the body does not match the flow's input schema.
            FlowsTooManyError: the node has as many flows open as its quota allows.
            QuotaExceededError: the node has no room on the bus, or for a status.
            StorageError: the store cannot be written.
        """
        holding = vnode.holding.short_hash
        check_not_paused(vnode)
        if vnode.flow_start_status is OperationalStatus.INACTIVE:
            raise NotAllowedError(
                f"Flow start capabilities of virtual node {holding} are not operational."
            )
        if not _CLIENT_REQUEST_ID.fullmatch(client_request_id):
            raise ClientRequestIdInvalidError(
                f"client request id {shown(client_request_id)} is not 1 to 242 characters of"
                " letters, digits, '.', '_' and '-', and neither '.' nor '..', which clients"
                " remove from paths"
            )
        before = self._store.get(status_key(holding, client_request_id))
        if before is not None:
            raise FlowAlreadyStartedError.of(holding, client_request_id)
        flow = startable_flow(vnode, cpi, flow_class)
        body = _checked_body(flow, request_body)
        with self._open.place(holding) as balances:
            start = StartFlow(
                client_request_id=client_request_id,
                holding=Party.of(vnode.holding),
                cpi_checksum=cpi.file_checksum,
                flow_class=flow.name,
                body=body,
                requested_at=self._clock.now_ms(),
                trace=trace,
            )
            return self._accept(start, balances)

    def open_count(self, short_hash: ShortHash) -> int:
        """The number of the virtual node's running flows, including responders."""
        return self._open.count(short_hash)

    def status(self, short_hash: ShortHash, client_request_id: str) -> FlowStatus:
        """The latest status of a client-started flow.

        Raises:
            FlowNotFoundError: no such flow was started.
        """
        record = self._store.get(status_key(short_hash, client_request_id))
        if record is None:
            raise FlowNotFoundError(short_hash, client_request_id)
        return read_status(record)

    def unread(self, short_hash: ShortHash, client_request_id: str) -> UnreadStatus:
        """As `status`, with the result as it is stored."""
        record = self._store.get(status_key(short_hash, client_request_id))
        if record is None:
            raise FlowNotFoundError(short_hash, client_request_id)
        return read_unread(record)

    def kill(
        self, short_hash: ShortHash, client_request_id: str, reason: str = KILL_REASON
    ) -> FlowStatus:
        """End a flow in status KILLED; its open sessions fail at their peers.

        When this returns, the request is durable; the flow ends at its next step, and so do its
        descendants on its node, even if the flow itself has ended. A responder is named by its
        session id.

        Args:
            short_hash: of the virtual node.
            client_request_id: as the flow was started, or a responder's session id.
            reason: the message of the flow's error, cut to 1000 characters.

        Returns:
            The status before the flow was killed.

        Raises:
            FlowNotFoundError: no such flow was started.
            FlowEndedError: the flow has ended already, and has no descendants on its node.
            StorageError: the store cannot be written.
        """
        stored = self._any_status(short_hash, client_request_id)
        status = status_of(stored)
        if status.status.is_final:
            if self._end_descendants(status):
                return status
            raise FlowEndedError(
                f"flow {shown(client_request_id)} of virtual node {short_hash} has ended already:"
                f" {status.status}"
            )
        kill = encode(KillFlow(reason=reason[:_KILL_REASON_CHARACTERS_MAX]))
        flow_id = stored.flow_id or stored.assigned
        if flow_id is None:  # an earlier release accepted it: the mapper maps it first
            key = start_key(client_request_id, short_hash)
            record = NewRecord(topic=START_TOPIC, key=key, value=kill, node=short_hash)
        else:
            record = NewRecord(topic=EVENT_TOPIC, key=flow_id, value=kill, node=short_hash)
        self._store.commit(Unit(records=(record,)))
        self._end_descendants(status)
        return status

    def end_all(self, short_hash: ShortHash) -> int:
        """End every running flow of a virtual node; returns their number.

        Raises:
            StorageError: the store cannot be written.
        """
        return self._endings.end_all(short_hash)

    def _end_descendants(self, status: FlowStatus) -> bool:
        """End a flow's descendants on its own node; returns whether there were any."""
        node, flow_id = status.holding_short_hash, status.flow_id
        now = stored_flow_time(self._store.get(SHIFT_KEY), self._clock.now_ms())
        key = status_key(node, status.client_request_id)
        if flow_id is None or self._store.get(key) is None:
            return False  # it has not begun, or is a responder
        if not status.status.is_final:
            self._endings.mark(node, flow_id, now)
        return self._endings.end_descendants(node, flow_id, now) > 0

    def recorded(self, short_hash: ShortHash, request_id: str) -> RecordedFlow:
        """The flow's history with its journal; see `find_recorded`."""
        return find_recorded(self._store, short_hash, request_id)

    def _any_status(self, short_hash: ShortHash, request_id: str) -> StoredStatus:
        """The status of a client-started flow or of a responder."""
        own = status_key(short_hash, request_id)
        responders = status_key(short_hash, request_id, responder=True)
        found = self._store.get_many((own, responders))
        record = found.get(own) or found.get(responders)
        if record is None:
            raise FlowNotFoundError(short_hash, request_id)
        return decode_status(record)

    def page(self, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]:
        """Flows of a virtual node, latest start first, at most `limit`.

        The client request id of a responder is its session id.

        Raises:
            FlowStatusUnknownError: the query's status is unknown.
        """
        _check_status_name(query.status)
        return self._store.glances(query, limit)

    def glanced(self, glance: FlowGlance) -> FlowStatus | None:
        """The full status of a flow in a list; None if it is no longer stored.

        Raises:
            FlowRecordDamagedError: it cannot be read.
        """
        record = self._store.get(glance.key)
        return None if record is None else read_status(record)

    def glanced_unread(self, glance: FlowGlance) -> UnreadStatus | None:
        """As `glanced`, with the result as it is stored."""
        record = self._store.get(glance.key)
        return None if record is None else read_unread(record)

    def stands(
        self, short_hash: ShortHash, request_id: str
    ) -> tuple[FlowStatus, Checkpoint | None]:
        """A flow's status and, while it runs, its checkpoint; a responder by its session id.

        Raises:
            FlowNotFoundError: no such flow was started.
            FlowRecordDamagedError: the checkpoint cannot be read.
        """
        status = status_of(self._any_status(short_hash, request_id))
        if status.status.is_final or status.flow_id is None:
            return status, None
        record = self._store.get(flow_state_key(status.flow_id))
        return status, None if record is None else decode_checkpoint(record.value)

    def _accept(self, start: StartFlow, balances: NodeBalances) -> FlowStatus:
        """Store the start: its status, and the first event of the flow, whose id is assigned here.

        The mapper would only add a commit: status and event are of one store.
        """
        holding, client_request_id = start.holding.node(), start.client_request_id
        flow_id, data = new_flow_id(self._entropy), (start.body or "").encode()
        is_apart = len(data) > INLINE_BYTES_MAX
        if is_apart:
            start = replace(start, body=None, body_bytes=len(data))
        stored = StoredStatus(
            holding=holding,
            request_id=client_request_id,
            flow_id=None,
            flow_class=start.flow_class,
            status=FlowStatusName.START_REQUESTED,
            assigned=flow_id,
            updated_at=start.requested_at,
        )
        write = write_status(None, stored)
        record = NewRecord(topic=EVENT_TOPIC, key=flow_id, value=encode(start), node=holding)
        room = Room(balances=balances, node=holding, quota=self._quotas.quota(holding))
        gone = self._made_room(room, write, record, start.body_bytes)
        states = [*gone, *((write,) if write else ())]
        if is_apart:
            states.append(body_write(holding, client_request_id, data))
        try:
            published = status_records(states, is_wanted=self._publishes)
            self._store.commit(Unit(states=tuple(states), records=(record, *published)))
        except StateConflictError as exc:
            raise FlowAlreadyStartedError.of(holding, client_request_id) from exc
        return status_of(stored)

    def _made_room(
        self, room: Room, status: StateWrite | None, record: NewRecord, body_bytes: int
    ) -> tuple[StateWrite, ...]:
        """Statuses to delete so that the status of a start fits.

        Raises:
            QuotaExceededError: the node has no room for the start on the bus, for its body, or for
                its status.
        """
        gone: tuple[StateWrite, ...] = ()
        try:
            room.check(Account.BUS, pending=0, more=record.size)
            if body_bytes:
                room.check(Account.JOURNAL, pending=0, more=body_bytes)
            if status is not None:
                gone = made_room(
                    self._store,
                    status,
                    node=room.node,
                    balances=room.balances,
                    bytes_max=room.quota.statuses_bytes_max,
                )
                if not gone:
                    room.check(Account.STATUS, pending=0, more=len(status.value or b""))
        except QuotaExceededError as exc:
            self._quotas.hit(room.node, hit_of(exc.details["account"]))
            raise
        return gone


def _checked_body(flow: FlowDeclaration, body: JsonValue) -> str | None:
    """The body as JSON text, validated against the flow's input schema."""
    try:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size = len(text.encode())
    except (ValueError, RecursionError) as exc:
        raise FlowInputInvalidError(f"the request body is no JSON: {exc}", path="$") from exc
    if size > BODY_BYTES_MAX:
        raise FlowInputInvalidError(
            f"the request body has {size} bytes, at most {BODY_BYTES_MAX} are taken", path="$"
        )
    try:
        checked_json(text)  # guests receive only texts that they could write
    except GuestTextError as exc:
        raise FlowInputInvalidError(f"the request body: {exc.message}", path="$") from exc
    if flow.input_schema is not None:
        misfit = checked_schema(flow.input_schema).misfit(body, size=size)
        if misfit is not None:
            raise FlowInputInvalidError(
                f"the request body of {flow.name} is wrong at {misfit.path}:"
                f" {misfit.message[:500]}",
                path=misfit.path,
            )
    return None if body is None else text


def _check_status_name(text: str | None) -> None:
    if text is None or text in FlowStatusName.__members__:
        return
    raise FlowStatusUnknownError(f"status {shown(text)} is none of {', '.join(FlowStatusName)}")
