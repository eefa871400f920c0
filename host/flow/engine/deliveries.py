"""The writes that deliver an event to a flow: the mapping of its session or start, the event."""

from dataclasses import dataclass

from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, ShortHash
from host.flow.core.mapper import Mapped, encode_state
from host.flow.core.messages import (
    EVENT_TOPIC,
    FlowEvent,
    Respond,
    SessionMessage,
    due_place,
    encode,
)
from host.ports.bus import NewRecord
from host.ports.state import StateWrite


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event for a flow of `node`.

    Attributes:
        key: the state key of the session or start that is mapped to the flow.
        value: the event, encoded, if its sender has done so.
    """

    key: str
    mapped: Mapped
    node: ShortHash
    value: bytes | None = None

    def mapping(self, *, expected: int, due: EpochMs) -> StateWrite | None:
        """The write of a new mapping, which is deleted at `due`; None if it is known already."""
        if self.mapped.created is None:
            return None
        return StateWrite(
            key=self.key,
            value=encode_state(self.mapped.created),
            expected=expected,
            due_at=due,
            place=due_place(self.key),
            charge=Charge(node=self.node, account=Account.BUS, peer=_sender(self.mapped.event)),
        )

    def event(self) -> NewRecord | None:
        """The record for the flow; None if there is no event, only a mapping."""
        event = self.mapped.event
        if event is None:
            return None
        is_encoded = self.value is not None and isinstance(event, SessionMessage)
        return NewRecord(
            topic=EVENT_TOPIC,
            key=self.mapped.flow_id,
            value=self.value if is_encoded and self.value is not None else encode(event),
            node=self.node,
            peer=_sender(event),
        )


def _sender(event: FlowEvent | None) -> ShortHash | None:
    """The node that caused an event, if any."""
    message = event.message if isinstance(event, Respond) else event
    return message.source.node() or None if isinstance(message, SessionMessage) else None
