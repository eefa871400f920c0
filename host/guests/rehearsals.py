"""Rehearsals: open flows of a node, replayed up to now with the code of another CPI."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from host.domain.errors import HostError
from host.domain.ids import Checksum, FlowId, ShortHash
from host.domain.packages import CpiRecord
from host.domain.refused import cut
from host.domain.vnode import VirtualNode
from host.flow.engine.node_flows import OpenFlowRecords
from host.guests.limits import limits_of, limits_of_quota
from host.guests.replay.answers import Divergence
from host.guests.replay.code import CpiCode, FlowNotInCodeError, GuestOf
from host.guests.replay.run import Place, replay
from host.ports.glances import FlowGlance
from host.ports.node_flows import Rehearsed, Verdict
from host.ports.quotas import Quotas
from sandbox.limits import MIB, Limits
from sandbox.runtime import Sandbox

_LOG_BYTES_MAX = 64 * MIB
"""Lines tell the origin of each call; they are not kept."""
_TEXT_CHARACTERS_MAX = 200
_TRACE_FACTOR = 4
"""What telling it may cost, in the fuel and calls of a run."""


class FlowRehearsals:
    """`host.ports.node_flows.NodeFlows` over the flow store and the sandbox. Thread-safe.

    Args:
        records: the open flows.
        sandbox: makes the code that tells lines.
        guest_of: gives guests in the process in which guests run.
        read: reads a stored CPI file.
        quotas: of the nodes, which bound each replay.
        allowed: the capabilities that the host grants.
    """

    def __init__(
        self,
        *,
        records: OpenFlowRecords,
        sandbox: Sandbox,
        guest_of: GuestOf,
        read: Callable[[Checksum], bytes],
        quotas: Quotas,
        allowed: Callable[[], Collection[str]],
    ) -> None:
        self._records = records
        self._sandbox = sandbox
        self._guest_of = guest_of
        self._read = read
        self._quotas = quotas
        self._allowed = allowed

    def open_count(self, node: ShortHash) -> int:
        return sum(1 for _ in self._records.open(node))

    def rehearse(self, node: VirtualNode, cpi: CpiRecord) -> Iterator[Rehearsed]:
        code: CpiCode | None = None
        for glance in self._records.open(node.holding.short_hash):
            if code is None:
                data = self._read(cpi.file_checksum)
                label = f"{cpi.identity.name} {cpi.identity.version}"
                code = CpiCode(data, label, self._sandbox, guest_of=self._guest_of)
            found = self._of(glance, cpi, code)
            if found is not None:
                yield shortened(found)

    def move(self, node: ShortHash, flows: Sequence[FlowId], cpi: CpiRecord) -> int:
        return sum(self._records.move(node, flow_id, cpi.file_checksum) for flow_id in flows)

    def end(self, node: ShortHash, flows: Sequence[FlowId], reason: str) -> None:
        self._records.end(node, flows, reason)

    def _of(self, glance: FlowGlance, cpi: CpiRecord, code: CpiCode) -> Rehearsed | None:
        """The rehearsal of a flow; None if it has ended."""
        assert glance.flow_id is not None  # noqa: S101  # of open flows
        blank = Rehearsed(
            flow_id=glance.flow_id,
            request_id=glance.request_id,
            flow_class=glance.flow_class,
            cpi_checksum=Checksum(""),
            verdict=Verdict.UNKNOWN,
        )
        try:
            checkpoint = self._records.checkpoint(glance.flow_id)
            if checkpoint is None:
                return None
            blank = replace(blank, cpi_checksum=Checksum(checkpoint.cpi_checksum))
            if checkpoint.cpi_checksum == cpi.file_checksum:
                return replace(blank, verdict=Verdict.SAME)
            recording = self._records.recording(glance)
            waits = None if checkpoint.waiting is None else checkpoint.waiting.digest
            done = replay(
                recording,
                code.of_flow(glance.flow_class),
                waits_digest=waits,
                limits=self._limits(glance, cpi),
                granted=cpi.capabilities_of(glance.flow_class) & frozenset(self._allowed()),
            )
        except FlowNotInCodeError as missing:
            return replace(blank, verdict=Verdict.DIVERGES, step=0, found=missing.message)
        except HostError as failed:
            return replace(blank, found=failed.message)
        return _judged(blank, done.divergence, done.places)

    def _limits(self, glance: FlowGlance, cpi: CpiRecord) -> Limits:
        cpk = cpi.flow_cpk(glance.flow_class)
        assert cpk is not None  # noqa: S101  # its code was found
        limits = limits_of(cpk, limits_of_quota(self._quotas.quota(glance.node)))
        return replace(
            limits,
            fuel_max=limits.fuel_max * _TRACE_FACTOR,
            host_calls_max=limits.host_calls_max * _TRACE_FACTOR,
            log_bytes_max=_LOG_BYTES_MAX,
        )


def shortened(found: Rehearsed) -> Rehearsed:
    """What a report of many flows has of one: code chooses how long the texts of its failures are.

    Half characters are replaced, since a report is stored as UTF-8.
    """

    def text(value: str | None) -> str | None:
        if value is None:
            return None
        return cut(value.encode("utf-8", "replace").decode(), _TEXT_CHARACTERS_MAX)

    return replace(
        found, expected=text(found.expected), found=text(found.found), file=text(found.file)
    )


def _judged(blank: Rehearsed, divergence: Divergence | None, places: Sequence[Place]) -> Rehearsed:
    if divergence is None:
        return replace(blank, verdict=Verdict.SAME)
    place = places[0] if places else None
    return replace(
        blank,
        verdict=Verdict.DIVERGES,
        step=divergence.step,
        expected=divergence.expected,
        found=divergence.actual,
        file=None if place is None else place.file,
        line=None if place is None else place.line,
    )
