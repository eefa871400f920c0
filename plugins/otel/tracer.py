"""Spans of the host as those of OpenTelemetry. None has contents of guests or bodies."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from host.domain.flow import FlowStatusName
from host.flow.core.trace_context import span_id
from host.ports.tracing import MessageSpan, RequestSpan, StepSpan

_SCOPE = InstrumentationScope("cordbox")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_CHARACTERS_MAX = 256
_LOW_BITS = 56
_CLOSE_SECONDS_MAX = 2.0
_Attributes = Mapping[str, str | int]


class Processor(Protocol):
    def on_end(self, span: ReadableSpan) -> None: ...

    def shutdown(self) -> None: ...


class OtelTracer:
    """Gives spans to a processor, which never waits. Thread-safe.

    Args:
        processor: takes them.
        service_name: of the host.
        percent: gives the part of traces that is kept.
    """

    def __init__(self, processor: Processor, service_name: str, percent: Callable[[], int]) -> None:
        self._processor = processor
        self._resource = Resource({"service.name": service_name})
        self._percent = percent

    def request(self, span: RequestSpan) -> None:
        """See `Tracer`."""
        if not self._is_kept(span.trace):
            return
        self._emit(
            f"{span.method} {span.route}",
            _context(span.trace, span.span),
            span.parent,
            begun=span.begun,
            ended=span.ended,
            kind=SpanKind.SERVER,
            is_error=span.status >= 500 or span.status == 0,
            attributes={
                "http.request.method": span.method,
                "http.route": span.route,
                "http.response.status_code": span.status,
                "cordbox.request.id": span.request_id,
            },
        )

    def step(self, span: StepSpan) -> None:
        """See `Tracer`."""
        if not self._is_kept(span.trace):
            return
        own = span_id("step", span.flow_id, str(span.number))
        common = {
            "cordbox.flow.id": span.flow_id,
            "cordbox.flow.class": span.flow_class,
            "cordbox.node": span.holding_id,
        }
        for message in span.messages:
            self._message(message, span, own, common)
        self._emit(
            "step",
            _context(span.trace, own),
            span.flow,
            begun=span.begun,
            ended=span.ended,
            attributes={**common, "cordbox.step.number": span.number},
        )
        if span.ended_as is not None:
            self._emit(
                span.flow_class,
                _context(span.trace, span.flow),
                span.parent,
                begun=min(span.flow_begun, span.begun),
                ended=span.ended,
                is_error=span.ended_as is not FlowStatusName.COMPLETED,
                attributes={
                    **common,
                    "cordbox.flow.request": span.request_id,
                    "cordbox.flow.status": span.ended_as.value,
                },
            )

    def close(self) -> None:
        """See `Tracer`."""
        # A collector that is away would keep the host for half a minute.
        last = threading.Thread(target=self._processor.shutdown, daemon=True)
        last.start()
        last.join(_CLOSE_SECONDS_MAX)

    def _message(
        self, message: MessageSpan, step: StepSpan, above: str, common: _Attributes
    ) -> None:
        """A message: the sender's span is the parent of the one of whoever takes it."""
        taken = span_id("taken", message.session_id, str(message.sequence))
        self._emit(
            f"{'send' if message.is_sent else 'receive'} {message.kind}",
            _context(step.trace, message.span if message.is_sent else taken),
            above if message.is_sent else message.span,
            begun=step.begun,
            ended=step.ended,
            kind=SpanKind.PRODUCER if message.is_sent else SpanKind.CONSUMER,
            links=() if message.is_sent else (Link(_context(step.trace, above)),),
            attributes={
                **common,
                "cordbox.session.id": message.session_id,
                "cordbox.session.sequence": message.sequence,
                "cordbox.peer": message.peer,
            },
        )

    def _is_kept(self, trace: str) -> bool:
        """By the id's last bits, which are random (W3C Trace Context 2), so that all agree."""
        low = int(trace, 16) & ((1 << _LOW_BITS) - 1)
        return low * 100 < self._percent() << _LOW_BITS

    def _emit(
        self,
        name: str,
        context: SpanContext,
        parent: str,
        *,
        begun: int,
        ended: int,
        attributes: _Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
        is_error: bool = False,
        links: Sequence[Link] = (),
    ) -> None:
        above = f"{context.trace_id:032x}"
        self._processor.on_end(
            ReadableSpan(
                name=name[:_CHARACTERS_MAX],
                context=context,
                parent=_context(above, parent) if parent else None,
                resource=self._resource,
                attributes={
                    k: v[:_CHARACTERS_MAX] if isinstance(v, str) else v
                    for k, v in attributes.items()
                },
                links=links,
                kind=kind,
                status=Status(StatusCode.ERROR if is_error else StatusCode.UNSET),
                start_time=begun,
                end_time=ended,
                instrumentation_scope=_SCOPE,
            )
        )


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(
        trace_id=int(trace, 16), span_id=int(span, 16), is_remote=False, trace_flags=_SAMPLED
    )
