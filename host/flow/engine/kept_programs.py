"""Programs that stay in memory between the steps of their flows."""

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass
from threading import Lock
from typing import TypeAlias

from host.domain.ids import FlowId
from host.domain.json import JsonValue
from host.flow.core.checkpoint import RunningProgram
from host.flow.core.program_state import ProgramRows
from host.ports.programs import Operation

KEPT_MAX = 64
"""Programs that stay in memory between steps."""

Running: TypeAlias = Generator[Operation, JsonValue, JsonValue]


@dataclass(slots=True, kw_only=True)
class LiveProgram:
    """A program in memory, after the answers of all its rows.

    `pending` is the operation that it has yielded; None once it has ended.
    """

    call: int
    rows: ProgramRows
    running: Running
    pending: Operation | None = None


class KeptPrograms:
    """Programs between steps, at most `most`, the most recently used. Thread-safe.

    They are an optimisation: a program whose rows are not exactly the stored ones is dropped.
    """

    def __init__(self, most: int = KEPT_MAX) -> None:
        self._most = most
        self._lock = Lock()
        self._kept: OrderedDict[FlowId, LiveProgram] = OrderedDict()

    def keep(self, flow_id: FlowId, program: LiveProgram) -> None:
        with self._lock:
            self._kept[flow_id] = program
            self._kept.move_to_end(flow_id)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def take(self, flow_id: FlowId, running: RunningProgram) -> LiveProgram | None:
        """The flow's program, if it has made exactly the stored operations."""
        with self._lock:
            found = self._kept.pop(flow_id, None)
        if found is None or (found.call, len(found.rows)) != (running.call, running.rows):
            return None
        return found
