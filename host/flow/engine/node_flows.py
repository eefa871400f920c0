"""The open flows of a node, read and changed while the node is paused, or while they run."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from host.domain.accounts import Account, Charge
from host.domain.errors import HostError
from host.domain.ids import Checksum, FlowId, ShortHash
from host.flow.core.checkpoint import Checkpoint, decode_checkpoint
from host.flow.core.endings import running
from host.flow.core.messages import EVENT_TOPIC, KillFlow, encode, flow_state_key
from host.flow.core.system_flows import is_system
from host.flow.records.history_export import (
    Recording,
    check_export_size,
    recording_with_steps,
)
from host.flow.records.history_lookup import find_recorded
from host.ports.bus import NewRecord
from host.ports.directory import Packages
from host.ports.glances import FlowGlance
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import StateStore, Unit

_ATTEMPTS = 3
_AT_ONCE = 200


class OpenFlowRecords:
    """Open flows over the flow store. Thread-safe."""

    def __init__(self, store: StateStore, packages: Packages) -> None:
        self._store = store
        self._packages = packages

    def open(self, node: ShortHash) -> Iterator[FlowGlance]:
        """The flows of a node that have begun, with responders, without those of the platform."""
        for glance in running(self._store, node):
            if glance.flow_id is not None and not is_system(glance.flow_class):
                yield glance

    def checkpoint(self, flow_id: FlowId) -> Checkpoint | None:
        """The checkpoint of a flow; None if it has ended.

        Raises:
            FlowRecordDamagedError: it cannot be read.
        """
        stored = self._store.get(flow_state_key(flow_id))
        return None if stored is None else decode_checkpoint(stored.value)

    def recording(self, glance: FlowGlance) -> Recording:
        """The record of a flow, with all payloads.

        Raises:
            HostError: there is none, it is damaged, or too large.
        """
        found = find_recorded(self._store, glance.node, glance.request_id)
        cpi = self._packages.get(Checksum(found.history.cpi_checksum))
        check_export_size(found.history.flow_id, found.journal_bytes)
        return recording_with_steps(found.history, found.entries(), cpi)

    def move(self, node: ShortHash, flow_id: FlowId, checksum: Checksum) -> bool:
        """Name another CPI in the checkpoint of a flow; returns whether it did.

        Its version is compared: a step that was running when its node was paused is not lost.
        """
        for _ in range(_ATTEMPTS):
            stored = self._store.get(flow_state_key(flow_id))
            if stored is None:
                return False
            checkpoint = decode_checkpoint(stored.value)
            if checkpoint.cpi_checksum == checksum:
                return False
            write = StateWrite(
                key=stored.key,
                value=encode(replace(checkpoint, cpi_checksum=checksum)),
                expected=stored.version,
                charge=Charge(node=node, account=Account.JOURNAL),
            )
            try:
                self._store.commit(Unit(states=(write,)))
            except StateConflictError:
                continue
            return True
        raise FlowBusyError(f"flow {flow_id} of virtual node {node} is still in a step")

    def end(self, node: ShortHash, flows: Sequence[FlowId], reason: str) -> None:
        """End flows at their next step."""
        kill = encode(KillFlow(reason=reason))
        for start in range(0, len(flows), _AT_ONCE):
            records = tuple(
                NewRecord(topic=EVENT_TOPIC, key=flow_id, value=kill, node=node)
                for flow_id in flows[start : start + _AT_ONCE]
            )
            self._store.commit(Unit(records=records))


class FlowBusyError(HostError):
    """A flow was in a step for as long as it was to be given another CPI."""

    code = "flow-busy"
