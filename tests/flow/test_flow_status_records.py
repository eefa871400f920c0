"""Statuses of client-started flows as records of `flow.status`, and the schemas of what leaves."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from host.adapters.memory.store import MemoryStore
from host.flow.core.config import FlowConfig
from host.flow.core.status_records import RESULT_BYTES_MAX
from tests.flow.network import ALICE, Network, alone, holding
from tests.flow.scripted import Guest

SCHEMAS = Path(__file__).parents[2] / "docs" / "reference" / "schemas"
TOLD = FlowConfig(publishes_statuses=True)


def sent(network: Network, prefix: str) -> list[tuple[str, Any]]:
    """Keys and values of the topic that begins with `prefix`, the oldest first."""
    (topic,) = network.store.topics(prefix)
    return [(r.key, json.loads(r.value)) for r in reversed(network.store.newest(topic, 99))]


def checked(value: Any, name: str) -> None:
    jsonschema.validate(value, json.loads((SCHEMAS / f"{name}.schema.json").read_text()))


def test_each_status_of_a_client_s_flow_leaves_once() -> None:
    network = alone(lambda _guest: "done", config=TOLD)
    status = network.run()

    found = sent(network, "flow.status")

    short_hash = holding(ALICE).short_hash
    assert {key for key, _ in found} == {f"{short_hash}/{status.client_request_id}"}
    assert [value["flowStatus"] for _, value in found] == ["COMPLETED"], (
        "it ended in its first step"
    )
    assert found[-1][1]["flowResult"] == "done"
    assert found[-1][1]["flowId"] == status.flow_id
    for _, value in found:
        checked(value, "flow-status")


def test_a_large_result_is_left_out_and_a_failure_is_told() -> None:
    large = alone(lambda _guest: "x" * (RESULT_BYTES_MAX + 1), config=TOLD)
    large.run()
    last = sent(large, "flow.status")[-1][1]
    assert (last["flowResult"], last["flowResultBytes"]) == (None, RESULT_BYTES_MAX + 1)

    def fails(_guest: Guest) -> str:
        raise ValueError("no")

    failing = alone(fails, config=TOLD)
    status = failing.run()
    assert status.error is not None
    told = sent(failing, "flow.status")[-1][1]
    checked(told, "flow-status")
    assert told["flowError"]["message"] == status.error.message


def test_nothing_is_written_without_a_relay() -> None:
    network = alone(lambda _guest: "done")
    network.run()
    assert isinstance(network.store, MemoryStore)
    assert network.store.topics("flow.status") == []


def test_an_external_message_is_as_its_schema_says() -> None:
    def sends(guest: Guest) -> str:
        guest.call("external-messaging", "send", channel="trades", messageId="m1", message="{}")
        return ""

    network = alone(sends)
    network.run()
    for _, value in sent(network, "ext."):
        checked(value, "external-message")
        assert value == {"messageId": "m1", "message": "{}"}
