"""Open flows of a virtual node whose CPI is to be changed: rehearsed, moved, ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from host.domain.ids import Checksum, FlowId, ShortHash
from host.domain.packages import CpiRecord
from host.domain.vnode import VirtualNode


class Verdict(StrEnum):
    """What a rehearsal of an open flow with other code has found."""

    SAME = "same"
    """The code makes the calls that are recorded, and waits where the flow waits."""
    DIVERGES = "diverges"
    """It makes another call: with the code, the flow would fail when it goes on."""
    UNKNOWN = "unknown"
    """It cannot be told: the flow has ended meanwhile, or its record is too large or damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """One open flow.

    Attributes:
        flow_id: of the flow.
        request_id: its client request id, or the session id of a responder.
        flow_class: of the flow.
        cpi_checksum: of the CPI that it runs.
        verdict: of the rehearsal.
        step: number of the first call that differs.
        expected: the recorded call.
        found: the call that the other code makes, or why it makes none.
        file: of the line that makes it, if the code tells lines.
        line: its number.
    """

    flow_id: FlowId
    request_id: str
    flow_class: str
    cpi_checksum: Checksum
    verdict: Verdict
    step: int | None = None
    expected: str | None = None
    found: str | None = None
    file: str | None = None
    line: int | None = None


class NodeFlows(Protocol):
    """The open flows of virtual nodes. Thread-safe."""

    def open_count(self, node: ShortHash) -> int:
        """How many flows of a node are open, with responders, without those of the platform.

        Raises:
            StorageError: the store cannot be read.
        """
        ...

    def rehearse(self, node: VirtualNode, cpi: CpiRecord) -> Iterator[Rehearsed]:
        """Run the code of `cpi` against the record of each open flow, up to now.

        Nothing of the flows changes, and nothing is called but the code.

        Raises:
            HostError: the code of `cpi` cannot be used, or the store cannot be read.
        """
        ...

    def move(self, node: ShortHash, flows: Sequence[FlowId], cpi: CpiRecord) -> int:
        """Have flows of a paused node go on with the code of `cpi`; returns how many were moved.

        Flows that have ended, or run it already, are left as they are: the call may be repeated.

        Raises:
            StorageError: the store cannot be used; some may have been moved.
        """
        ...

    def end(self, node: ShortHash, flows: Sequence[FlowId], reason: str) -> None:
        """End flows, at their next step.

        Raises:
            StorageError: the store cannot be written.
        """
        ...
