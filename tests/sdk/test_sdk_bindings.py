"""The typed bindings: components of both worlds called, and hosted, with types."""

import inspect
import json
from pathlib import Path
from typing import get_type_hints

import pytest

from cordapp_testkit import FlowFailedError, messages
from cordapp_testkit.bindings import (
    ContractComponent,
    WorkflowComponent,
    WorkflowHost,
    method_name,
)
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import prepare_cordapp
from host.tools.cordapps.project import load_project
from sandbox.errors import CapabilityNotGrantedError, WorldMismatchError
from sandbox.host_api import HOST_API
from sandbox.runtime import Sandbox
from sandbox.wat import assemble
from sandbox.world import World

SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
TRANSACTIONS = SAMPLES / "iou" / "receipts" / "transactions.jsonl"
ALICE = "O=Alice, L=London, C=GB"
CALLS_THE_CLOCK = """(component
  (import "cordbox:guest/flow@1.0.0" (instance $flow
    (export "random" (func (param "request" string) (result (result string (error string)))))))
  (core module $libc
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (global.get $top))
      (global.set $top (i32.and (i32.add (i32.add (global.get $top) (local.get 3)) (i32.const 7)) (i32.const -8)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $random (canon lower (func $flow "random") (memory (core memory $libc "memory"))
    (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "random" (func $random (param i32 i32 i32)))
    (data (i32.const 32) "{}")
    (func (export "describe") (result i32)
      (i32.store (i32.const 48) (i32.const 32)) (i32.store (i32.const 52) (i32.const 2)) (i32.const 48))
    (func (export "run") (param i32 i32) (result i32)
      (call $random (i32.const 32) (i32.const 2) (i32.const 64)) (i32.const 64)))
  (core instance $main (instantiate $main (with "libc" (instance $libc))
    (with "host" (instance (export "random" (func $random))))))
  (func (export "run") (param "start" string) (result (result string (error string)))
    (canon lift (core func $main "run") (memory (core memory $libc "memory"))
      (realloc (core func $libc "realloc"))))
  (func (export "describe") (result string)
    (canon lift (core func $main "describe") (memory (core memory $libc "memory")))))"""
"""A workflow that asks for random bytes with the request `{}` and answers what it got."""


def start(flow: str, body: object) -> messages.Start:
    return {"flowId": "f", "flowClass": flow, "me": ALICE, "requestBody": body, "session": None}


def guest_of(sample: str, world: World):
    sandbox = Sandbox(cache_dir=default_cache_dir())
    prepared = prepare_cordapp(load_project(SAMPLES / sample), sandbox, lambda _: None)
    (digest,) = (
        cpk.code.descriptor.code_digest
        for cpk in prepared.cpks
        if cpk.code.descriptor.world == world.value
    )
    return sandbox.guest(world, digest)


def test_the_methods_are_the_functions_of_the_wit():
    expected = {method_name(i, f) for i, functions in HOST_API.items() for f in functions}
    methods = dict(inspect.getmembers(WorkflowHost, inspect.isfunction))
    assert set(methods) == expected
    assert all(
        {"request", "return"} <= get_type_hints(method).keys() for method in methods.values()
    )


@pytest.mark.slow
def test_a_flow_is_run_by_a_typed_host():
    lines: list[messages.LogWrite] = []

    class Host(WorkflowHost):
        def log_write(self, request: messages.LogWrite) -> None:
            lines.append(request)

    workflow = WorkflowComponent(guest_of("hello", World.WORKFLOW))
    result = workflow.run(start("hello_flows.Hello", {"name": "you"}), Host())
    assert json.loads(result) == {"greeting": f"Hello you, this is {ALICE}"}
    assert [line["message"] for line in lines] == ["greeting you"]
    assert workflow.describe()["flows"][0]["name"] == "hello_flows.Hello"
    with pytest.raises(FlowFailedError, match="name"):
        workflow.run(start("hello_flows.Hello", {}), Host())


@pytest.mark.slow
def test_a_contract_answers_its_failures():
    contract = ContractComponent(guest_of("iou", World.CONTRACT))
    transactions = [json.loads(line) for line in TRANSACTIONS.read_text().splitlines()]
    answers = [contract.verify(transaction) for transaction in transactions]
    refused = [failures[0]["message"] for failures in answers if failures]
    assert len(refused) == 8
    assert "Borrower and lender must both sign an IOU" in refused


@pytest.fixture
def workflow(tmp_path):
    file = tmp_path / "workflow.wasm"
    file.write_bytes(assemble(CALLS_THE_CLOCK))
    return WorkflowComponent.open(file, cache_dir=tmp_path / "cache")


def test_a_request_of_another_shape_is_refused_before_the_host_sees_it(workflow):
    class Host(WorkflowHost):
        def flow_random(self, request: messages.FlowRandom) -> str:
            raise AssertionError("the call must not arrive")

    with pytest.raises(FlowFailedError, match=r"request-invalid.*missing required field `bytes`"):
        workflow.run(start("a.B", None), Host())


def test_a_component_of_another_world_is_refused(tmp_path):
    file = tmp_path / "workflow.wasm"
    file.write_bytes(assemble(CALLS_THE_CLOCK))
    with pytest.raises(WorldMismatchError):
        ContractComponent.open(file, cache_dir=tmp_path / "cache")


def test_an_interface_that_is_not_granted_is_refused():
    class Host(WorkflowHost):
        def ledger_query(self, request: messages.LedgerQuery) -> messages.Json:
            raise AssertionError("the call must not arrive")

    workflow = WorkflowComponent(guest_of("iou", World.WORKFLOW))
    with pytest.raises(CapabilityNotGrantedError):
        workflow.run(start("iou_flows.ListIous", {}), Host(), granted=frozenset())
