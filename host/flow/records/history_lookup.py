"""Finds the record of a flow: its checkpoint while it runs, later its history."""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from host.domain.refused import shown
from host.flow.core.bodies import read_body
from host.flow.core.checkpoint import decode_checkpoint
from host.flow.core.errors import FlowNotFoundError
from host.flow.core.initial_checkpoint import start_argument
from host.flow.core.journal import Entry, decode_entry
from host.flow.core.messages import flow_state_key
from host.flow.core.statuses import StoredStatus, decode_status, status_key
from host.flow.records.history import History, history_of, read_history
from host.ports.units import StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFlow:
    """A flow's history, and its journal in the store, which is empty if it was not kept."""

    history: History
    store: StateStore

    @property
    def journal_bytes(self) -> int:
        return self.store.journal_bytes(self.history.flow_id) if self._is_kept else 0

    def entries(self, first: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """The journal's entries from number `first`, read one at a time: each may be large.

        Raises:
            FlowRecordDamagedError: one cannot be read.
        """
        calls = self.history.calls if self._is_kept else 0
        end = calls if limit is None else min(calls, first + limit)
        for number in range(first, end):
            rows = self.store.journal_rows(self.history.flow_id, number, 1)
            if not rows:
                return
            yield decode_entry(rows[0], number)

    @property
    def _is_kept(self) -> bool:
        return self.history.start is not None


def find_recorded(store: StateStore, short_hash: ShortHash, request_id: str) -> RecordedFlow:
    """The record of a flow, running or ended.

    Args:
        store: of the flow engine.
        short_hash: of the virtual node.
        request_id: the client request id, or the session id of a responder.

    Raises:
        FlowNotFoundError: no such flow was started.
        NotFoundError: it has not begun, or its history is no longer kept.
        FlowRecordDamagedError: the stored data cannot be read.
    """
    status = _status(store, short_hash, request_id)
    label = f"flow {shown(request_id)} of virtual node {short_hash}"
    if status.flow_id is None:
        raise NotFoundError(
            f"{label} has no history: its status is {status.status}",
            kind="flow history",
            named=request_id,
        )
    history = _history(store, status)
    if history is None:
        raise NotFoundError(
            f"the history of {label} is not kept (any more)", kind="flow history", named=request_id
        )
    return RecordedFlow(history=history, store=store)


def _status(store: StateStore, short_hash: ShortHash, request_id: str) -> StoredStatus:
    for is_responder in (False, True):
        record = store.get(status_key(short_hash, request_id, responder=is_responder))
        if record is not None:
            return decode_status(record)
    raise FlowNotFoundError(short_hash, request_id)


def _history(store: StateStore, status: StoredStatus) -> History | None:
    if status.flow_id is not None and not status.status.is_final:
        stored = store.get(flow_state_key(status.flow_id))
        if stored is not None:
            checkpoint = decode_checkpoint(stored.value)
            start = start_argument(checkpoint, read_body(checkpoint, store))
            return history_of(checkpoint, status, (), status.updated_at, start=start)
    record = store.get(status.history) if status.history is not None else None
    if record is None:
        return None
    history = read_history(record)
    if history.flow_id != status.flow_id:
        return None  # of another flow, by now
    return replace(history, result=status.result)
