"""Which session messages of other clusters may reach a flow."""

from typing import Any

import pytest
from msgspec.structs import replace

from host.flow.core.messages import Close, Data, Init, Party, SessionMessage
from host.flow.core.peer_messages import (
    INIT_CHARACTERS_MAX,
    SEQUENCE_MAX,
    SESSION_ID_CHARACTERS_MAX,
    VERSIONS_MAX,
    is_sound,
)

SESSION = "11111111-1111-4111-8111-111111111111"
INIT = Init(
    protocol="p",
    versions=(1, 2),
    require_close=True,
    context={"key": "value"},
    platform={"corda.originFlowId": SESSION, "corda.hops": "1"},
)
PARTY = Party(name="O=Alice, L=London, C=GB", group_id="g")
FIRST = SessionMessage(
    session_id=f"{SESSION}-INITIATED",
    sequence=1,
    source=PARTY,
    target=PARTY,
    payload=Data(payload="1", init=INIT),
)
LONG = "x" * (INIT_CHARACTERS_MAX + 1)


def test_messages_of_a_flow_engine_are_sound() -> None:
    assert is_sound(FIRST)
    assert is_sound(replace(FIRST, payload=Data(payload="1", init=replace(INIT, platform={}))))
    last = replace(FIRST, session_id=SESSION, sequence=0, payload=Close(), version=3)
    assert is_sound(last)


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": ""},
        {"session_id": "x" * (SESSION_ID_CHARACTERS_MAX + 1)},
        {"session_id": "a\0b"},
        {"session_id": f"{SESSION}\n"},
        {"session_id": "../flow/x"},
        {"sequence": -1},
        {"sequence": SEQUENCE_MAX + 1},
        {"version": -1},
        {"version": SEQUENCE_MAX + 1},
    ],
)
def test_ids_and_numbers_that_no_engine_makes_are_refused(changes: dict[str, Any]) -> None:
    assert not is_sound(replace(FIRST, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": LONG},
        {"protocol": "\0"},
        {"versions": (1,) * (VERSIONS_MAX + 1)},
        {"versions": (-1,)},
        {"versions": (SEQUENCE_MAX + 1,)},
        {"context": {"key": LONG}},
        {"context": {"a\0": "x"}},
        {"context": {f"{number:06}": "" for number in range(INIT_CHARACTERS_MAX // 6 + 1)}},
        {"platform": {"corda.x": LONG}},
        {"platform": {"corda.x": "\0"}},
        {"platform": {"corda.originFlowId": "a/b"}},
        {"platform": {"corda.originFlowId": "x" * 65}},
    ],
)
def test_inits_that_no_engine_makes_are_refused(changes: dict[str, Any]) -> None:
    init = replace(INIT, **changes)
    assert not is_sound(replace(FIRST, payload=Data(payload="1", init=init)))
