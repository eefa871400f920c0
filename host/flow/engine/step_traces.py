"""Tells a tracer of the steps of traced flows, after their commit."""

import time
from collections.abc import Sequence

from host.flow.core.events import FlowEnded
from host.flow.core.messages import SessionMessage
from host.flow.core.trace_context import TRACE_ABOVE, flow_span, span_context, span_id
from host.flow.engine.step_state import StepState
from host.ports.tracing import MessageSpan, StepSpan, Tracer

MESSAGES_MAX = 100
"""Messages of one step that are told of; a step with more is rare."""
_NS_PER_MS = 1_000_000


class StepTraces:
    """Makes the spans of steps. Thread-safe.

    Args:
        tracer: takes them.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def committed(self, flow: StepState, begun: int) -> None:
        """Tell of a step that was committed; of a flow without a trace, nothing.

        Args:
            flow: as it is now.
            begun: when the step began, in nanoseconds since 1970.
        """
        made = flow.checkpoint
        properties = made.stack[0].context
        span = flow_span(properties)
        if span is None:
            return
        above = span_context(properties.get(TRACE_ABOVE))
        self._tracer.step(
            StepSpan(
                trace=span.trace,
                flow=span.span,
                parent="" if above is None else above.span,
                flow_id=flow.flow_id,
                flow_class=made.flow_class,
                holding_id=flow.holding_id,
                request_id=made.request_id,
                flow_begun=made.created_at * _NS_PER_MS,
                number=flow.version,
                begun=begun,
                ended=time.time_ns(),
                messages=_messages(flow.traced or ()),
                ended_as=next(
                    (each.status for each in flow.events if isinstance(each, FlowEnded)), None
                ),
            )
        )


def _messages(seen: Sequence[tuple[bool, SessionMessage]]) -> tuple[MessageSpan, ...]:
    return tuple(
        MessageSpan(
            span=span_id("message", message.session_id, str(message.sequence)),
            is_sent=is_sent,
            kind=str(message.payload.__struct_config__.tag),
            session_id=message.session_id,
            sequence=message.sequence,
            peer=(message.target if is_sent else message.source).node(),
        )
        for is_sent, message in seen[:MESSAGES_MAX]
    )
