"""Whatever is raised in a call of the engine's own, on the way of a message, or in an account.

As test_flow_anything_fails.py, for one node's flow that makes every call of the engine's own, and
for the responder that answers it.
"""

import pytest

from host.domain.flow import FlowStatusName
from host.flow.core.config import CORDA_DEFAULTS
from host.flow.core.messages import DEAD_LETTER_TOPIC, OUT_TOPIC
from host.flow.engine.engine_calls import EngineCalls
from host.flow.engine.local_delivery import LocalDelivery
from sandbox.host_api import HOST_API
from tests.flow.queues import ALICES
from tests.flow.traps import OUTAGES, POISON, Made, trapped_engine_calls

ENGINE_CALLS = (
    "flow.now",
    "flow.random",
    "flow.sleep",
    "flow.context",
    "flow.sub-flow",
    "sessions.open",
    "sessions.send",
    "sessions.receive",
    "sessions.info",
    "sessions.close",
    "external-messaging.send",
)
CONVERSATION = (
    *(f"{when} {call}" for when in ("before", "after") for call in ENGINE_CALLS),
    "router to alice",
    "router to bob",
    "acceptance by alice",
    "acceptance by bob",
    "take flow.mapper.session.out",
    "commit flow.mapper.session.out",
    "get session",
    "audit room",
    "audit record",
    "get balance",
    "find node",
)


def test_every_call_of_the_engines_own_is_tried() -> None:
    served = {(i, f) for i, names in HOST_API.items() for f in names}
    engine = EngineCalls(None, None, None)  # type: ignore[arg-type]  # only looks them up
    assert {f"{i}.{f}" for i, f in served if engine.find(i, f) is not None} == set(ENGINE_CALLS)


@pytest.mark.parametrize("failure", [OUTAGES[0], OUTAGES[4], POISON[0], POISON[2]], ids=repr)
@pytest.mark.parametrize("place", CONVERSATION)
def test_a_failure_in_a_conversation_delays_no_other_node_and_passes(
    place: str, failure: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made()
    trapped_engine_calls(made.trap, monkeypatch)
    if OUT_TOPIC in place:  # what a step does not deliver itself
        monkeypatch.setattr(LocalDelivery, "_delivery", lambda *_: None)
    made.start_alice("converse")
    made.trap.set(place, failure, times=2)
    for _ in range(3):
        made.bob_completes_at_once()
    for _ in range(6):
        made.drive(lambda: made.network.later(16_000))
    assert made.trap.sprung > 0, "the place was never passed"
    assert (made.alice().status, made.alice().result) == (FlowStatusName.COMPLETED, "done")
    responders = [s for s in made.network.bobs() if s.result == "answered"]
    assert len(responders) == 1
    assert len(made.network.store.newest(f"ext.{ALICES}.c.receive", 9)) == 1
    assert list(made.network.store.newest(DEAD_LETTER_TOPIC, 9)) == []
    assert made.network.store.scan("aside/") == []
    assert made.network.store.scan("flow/") == []


@pytest.mark.parametrize("failure", POISON, ids=repr)
@pytest.mark.parametrize(
    "place",
    [
        "before flow.now",
        "after sessions.send",
        "before external-messaging.send",
        "router to bob",
        "audit room",
        "audit record",
        "get balance",
        "find node",
        "get session",
    ],
)
def test_what_fails_for_ever_in_a_conversation_ends_the_flow(
    place: str, failure: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made()
    trapped_engine_calls(made.trap, monkeypatch)
    made.start_alice("converse")
    made.trap.set(place, failure, times=1_000)
    made.bob_completes_at_once()
    # Who cannot be told, since no message to it is read, learns it by its session's timeout.
    for millis in (*[16_000] * 12, CORDA_DEFAULTS.session_timeout_ms, *[16_000] * 12):
        made.network.later(millis)
        if made.alice().status.is_final:
            break
    made.bob_completes_at_once()
    for _ in range(6):
        made.network.later(16_000)
    status = made.alice()
    assert status.status is FlowStatusName.FAILED
    assert status.error.type in ("platform-failure", "session-error", "FLOW_FAILED"), status
    assert made.network.store.scan("aside/") == []
