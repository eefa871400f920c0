"""Trace contexts: which headers count, and ids that both sides of a session derive alike."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.adapters.memory.store import MemoryStore
from host.domain.flow import FlowStatusName
from host.flow.core import trace_context
from host.flow.core.trace_context import (
    TRACE_ABOVE,
    TRACE_PARENT,
    SpanContext,
    flow_span,
    of_flow,
    span_context,
    span_id,
)
from host.ports.tracing import RequestSpan, StepSpan
from tests.flow.network import ALICE, BOB, Network, holding
from tests.flow.scripted import Guest

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{SPAN}-01"


class Noted:
    """A tracer that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[StepSpan] = []

    def request(self, span: RequestSpan) -> None:
        raise AssertionError(span)

    def step(self, span: StepSpan) -> None:
        self.steps.append(span)

    def close(self) -> None:
        pass


def test_a_traceparent_of_version_0_is_a_span() -> None:
    assert span_context(HEADER) == SpanContext(TRACE, SPAN)
    assert span_context(f"00-{TRACE}-{SPAN}-00") == SpanContext(TRACE, SPAN)
    assert SpanContext(TRACE, SPAN).header == HEADER


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        HEADER.upper(),
        f"{HEADER}\n",
        f" {HEADER}",
        f"{HEADER}-more",
        f"01-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        "00-" + "é" * 32 + f"-{SPAN}-01",
        "x" * 100_000,
    ],
)
def test_other_headers_are_none_and_a_flow_with_one_has_no_trace(header: str | None) -> None:
    assert span_context(header) is None
    assert of_flow(header, "f") == {}
    assert flow_span({} if header is None else {TRACE_PARENT: header}) is None


@given(st.lists(st.text(max_size=5), max_size=4))
def test_ids_are_of_the_right_form_and_tell_names_apart(names: list[str]) -> None:
    assert span_context(SpanContext(TRACE, span_id(*names)).header) is not None
    assert span_id(*names) != span_id(*names, "more")


def test_an_id_is_never_that_of_no_span(monkeypatch: Any) -> None:
    class Zero:
        def hexdigest(self) -> str:
            return "0" * 64

    monkeypatch.setattr(trace_context.hashlib, "sha256", lambda _: Zero())
    assert span_id("x") == "1" * 16


def talk(guest: Guest) -> str:
    session = guest.open(BOB)
    guest.send(session, "secret payload")
    return str(guest.receive(session))


def answer(guest: Guest) -> str:
    session = guest.session
    heard = guest.receive(session)
    guest.send(session, f"{heard}!")
    return "done"


def told(trace: str | None) -> tuple[list[StepSpan], Network]:
    tracer = Noted()
    network = Network(
        MemoryStore(), {"test.Initiator": talk, "test.Responder": answer}, tracer=tracer
    )
    alice = network.nodes.nodes[holding(ALICE)]
    network.service.start(alice, network.cpi, "r1", "test.Initiator", None, trace=trace)
    network.engine.drain()
    assert network.alice().status is FlowStatusName.COMPLETED, network.alice()
    return tracer.steps, network


def test_a_request_its_flow_and_the_responder_are_one_trace() -> None:
    steps, _ = told(HEADER)
    assert {step.trace for step in steps} == {TRACE}
    mine = [step for step in steps if step.flow_class == "test.Initiator"]
    theirs = [step for step in steps if step.flow_class == "test.Responder"]
    assert {step.parent for step in mine} == {SPAN}, "the request is above the flow"
    assert {step.parent for step in theirs} == {mine[0].flow}, "the initiator above the responder"
    assert {step.holding_id for step in theirs} == {holding(BOB).short_hash}
    for flow in (mine, theirs):
        assert [step.number for step in flow] == list(range(1, len(flow) + 1))
        assert [step.ended_as for step in flow if step.ended_as] == [FlowStatusName.COMPLETED]
        assert all(step.begun <= step.ended for step in flow)


def test_a_message_has_the_same_span_where_it_is_sent_and_where_it_is_taken() -> None:
    steps, _ = told(HEADER)
    seen = [(each.is_sent, each.span) for step in steps for each in step.messages]
    sent, taken = ({span for is_sent, span in seen if is_sent is way} for way in (True, False))
    assert len(sent) >= 2
    assert taken <= sent
    assert len(seen) == len(set(seen)), "each once on each side"
    assert "secret payload" not in repr(steps)


def test_flows_without_a_trace_and_with_a_broken_one_tell_nothing() -> None:
    assert told(None)[0] == []
    assert told("00-broken")[0] == []


def test_contexts_carry_the_flows_own_span_and_the_one_above() -> None:
    own = of_flow(HEADER, "f")
    assert own[TRACE_ABOVE] == HEADER
    assert flow_span(own) == SpanContext(TRACE, span_id("flow", "f"))
