"""Trace contexts of flows and session messages (W3C Trace Context). Pure.

A flow that a traced request starts has a context property, which its sessions carry to their
responders as they carry all properties of the platform. Ids of spans follow from the ids of flows
and messages: a step that is repeated names the same spans, and both sides of a session name the
same message, without a field for it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

TRACE_PARENT = "corda.traceParent"
"""Context property: the flow's own span, in the form of the header `traceparent`."""
TRACE_ABOVE = "corda.traceAbove"
"""Context property: the span above it, of the request or of the flow that opened the session."""
OF_TRACE = frozenset({TRACE_PARENT, TRACE_ABOVE})
_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span, by its trace's id and its own, in hexadecimal."""

    trace: str
    span: str

    @property
    def header(self) -> str:
        """As `traceparent` has it. Whether a trace is kept is decided by its id on each host."""
        return f"00-{self.trace}-{self.span}-01"


def span_context(header: str | None) -> SpanContext | None:
    """The span that a `traceparent` names; None if there is none, or it has another form."""
    found = _FORM.fullmatch(header or "")
    if found is None or found[1] == _NO_TRACE or found[2] == _NO_SPAN:
        return None
    return SpanContext(found[1], found[2])


def of_flow(parent: str | None, flow_id: str) -> dict[str, str]:
    """The context properties of a flow whose start, or whose initiator, names `parent`."""
    found = span_context(parent)
    if found is None:
        return {}
    own = SpanContext(found.trace, span_id("flow", flow_id))
    return {TRACE_PARENT: own.header, TRACE_ABOVE: found.header}


def flow_span(properties: Mapping[str, str]) -> SpanContext | None:
    """The span of a flow with these context properties."""
    return span_context(properties.get(TRACE_PARENT))


def span_id(*names: str) -> str:
    """The id of the span that these names tell from all others of its trace."""
    found = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    return found if found != _NO_SPAN else "1" * 16
