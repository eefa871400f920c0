"""Platform services for flows: one capability per WIT interface of the workflow world.

The flow engine journals every answer. After a crash between the effect and the journal's commit,
the call is repeated with the same `request_id`, by which effects must be idempotent.
"""

from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs, FlowId, HoldingIdentity
from host.domain.json import JsonObject, JsonValue
from host.domain.packages import CpiRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """The caller. `request_id` is `<flow id>-<call number>`, the same at every replay.

    `now` is the host's time at the call's first execution in this run.
    """

    holding: HoldingIdentity
    cpi: CpiRecord
    flow_id: FlowId
    request_id: str
    now: EpochMs


class Capability(Protocol):
    """One interface of the workflow world, for example `persistence`."""

    @property
    def name(self) -> str:
        """The WIT interface's name."""
        ...

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        """Perform `function` (a WIT function name of the interface).

        Raises:
            CapabilityError: returned to the guest as the call's error, and journalled.
        """
        ...
