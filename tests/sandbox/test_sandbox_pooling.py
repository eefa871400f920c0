"""Contracts from the engine's pool run as those on demand do, and take nothing from run to run."""

import threading
from contextlib import ExitStack

import pytest
from wasmtime import WasmtimeError, wat2wasm

from sandbox import loading
from sandbox.digests import file_stem
from sandbox.errors import RunError
from sandbox.limits import MIB, Limits
from sandbox.loading import loaded_guest
from sandbox.pooling import INSTANCES_MAX, TABLE_ELEMENTS_MAX
from sandbox.runtime import Sandbox
from sandbox.world import World

SECONDS_MAX = 30
ACCEPTS = "(i32.const 80)"
DECLARATIONS = """
  (global $mark (mut i32) (i32.const 0))
  (table $table 4 200000 funcref)
  (data $data "data")
  (elem $elements func $mark)
  (elem declare func $mark)
  (func $mark)
  (func $fail (param i32) (if (local.get 0) (then unreachable)))
"""
MARKS = {
    "memory": "(call $fail (i32.load (i32.const 60000))) (i32.store (i32.const 60000) (i32.const 1))",
    "initial memory": "(call $fail (i32.ne (i32.load8_u (i32.const 32)) (i32.const 123))) (i32.store8 (i32.const 32) (i32.const 1))",
    "grown memory": "(call $fail (i32.ne (memory.size) (i32.const 1))) (drop (memory.grow (i32.const 99)))"
    " (call $fail (i32.load (i32.const 5000000))) (i32.store (i32.const 5000000) (i32.const 1))",
    "global": "(call $fail (global.get $mark)) (global.set $mark (i32.const 1))",
    "table": "(call $fail (i32.eqz (ref.is_null (table.get $table (i32.const 2))))) (table.set $table (i32.const 2) (ref.func $mark))",
    "grown table": "(call $fail (i32.ne (table.size $table) (i32.const 4)))"
    " (drop (table.grow $table (ref.func $mark) (i32.const 5000)))",
    "table grown too far": "(call $fail (i32.ne (table.grow $table (ref.null func) (i32.const 100000)) (i32.const -1)))",
    "dropped data": "(memory.init $data (i32.const 60000) (i32.const 0) (i32.const 4)) (data.drop $data)",
    "dropped elements": "(table.init $table $elements (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $elements)",
}
ENDINGS = {
    "returns": ACCEPTS,
    "traps": "unreachable",
    "is stopped": "(loop $again (br $again)) unreachable",
    "needs more memory": "(drop (memory.grow (i32.const 5000))) (i32.const 80)",
    "needs more stack": "(call $deep)",
}
DEEP = "(func $deep (result i32) (i32.add (i32.const 1) (call $deep)))"


@pytest.fixture
def admitted(sandbox, texts):
    def admit(verify, extra=""):
        text = texts.contract(verify, declarations=DECLARATIONS + DEEP).replace(
            "(core instance $main ", f"{extra} (core instance $main "
        )
        return sandbox.admit(World.CONTRACT, bytes(wat2wasm(text)))

    return admit


@pytest.fixture
def both(sandbox, admitted):
    """The guest from the pool and the one on demand."""

    def guests(verify):
        component = admitted(verify)
        pooled = sandbox.guest(World.CONTRACT, component.digest)
        assert pooled.program.engine is sandbox._pool.engine
        compiled = sandbox._aot.again(sandbox._engine, file_stem(component.digest))
        return pooled, loaded_guest(component, sandbox._engine, compiled, sandbox._ticker)

    return guests


def receipt(guest):
    try:
        return guest.call("verify", "{}", limits=Limits(fuel_max=10**6)).receipt
    except RunError as stopped:
        return stopped.receipt


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_runs_from_the_pool_are_those_on_demand(both, mark, ending):
    pooled, on_demand = both(f"{MARKS[mark]} {ENDINGS[ending]}")
    expected = receipt(on_demand)
    assert [receipt(pooled) for _ in range(3)] == [expected] * 3
    # A refused growth is the reason for whatever a contract does afterwards.
    traps = ending == "traps" and mark != "table grown too far"
    assert ("guest-trap" in expected) == traps


def test_a_slot_takes_nothing_from_one_contract_to_another(sandbox, admitted):
    """More contracts than slots, so that each slot serves several."""
    guests = []
    for number in range(INSTANCES_MAX + 8):
        component = admitted(f"(drop (i32.const {number})) {MARKS['grown memory']} {ACCEPTS}")
        guests.append(sandbox.guest(World.CONTRACT, component.digest))
    for _ in range(2):
        assert ["guest-trap" in receipt(guest) for guest in guests] == [False] * len(guests)


@pytest.mark.parametrize(
    "module",
    [
        "(memory 1) (memory 1) (memory 1)",
        " ".join(["(table 1 funcref)"] * 5),
        f"(table {TABLE_ELEMENTS_MAX + 1} funcref)",
    ],
)
def test_a_contract_that_does_not_fit_runs_on_demand(sandbox, admitted, module):
    extra = f"(core module $big {module}) (core instance (instantiate $big))"
    guest = sandbox.guest(World.CONTRACT, admitted(ACCEPTS, extra).digest)
    assert guest.program.engine is sandbox._engine
    assert ("memory-limit" in receipt(guest)) == ("100001" in module)


def test_a_host_without_addresses_for_a_pool_runs_contracts_on_demand(
    cache_dir, admitted, monkeypatch
):
    def refuses(_kind):
        raise WasmtimeError("mmap failed to reserve bytes")

    digest = admitted(ACCEPTS).digest
    monkeypatch.setattr(loading, "new_engine", refuses)
    sandbox = Sandbox(cache_dir=cache_dir)
    guest = sandbox.guest(World.CONTRACT, digest)
    assert guest.program.engine is sandbox._engine
    assert '"kind":"ok"' in receipt(guest)


class Asked:
    """Places of a pool; `asked` is set when a run asks for one."""

    def __init__(self, places):
        self.asked, self._places = threading.Event(), places

    def __enter__(self):
        self.asked.set()
        self._places.__enter__()

    def __exit__(self, *_):
        self._places.__exit__()


def test_a_run_beyond_the_pool_waits_for_a_place(sandbox, admitted, monkeypatch):
    guest = sandbox.guest(World.CONTRACT, admitted(ACCEPTS).digest)
    assert guest._places is sandbox._pool.places
    places, receipts = Asked(guest._places), []
    monkeypatch.setattr(guest, "_places", places)
    waiting = threading.Thread(target=lambda: receipts.append(receipt(guest)))
    with ExitStack() as held:
        for _ in range(INSTANCES_MAX):
            held.enter_context(sandbox._pool.places)
        waiting.start()
        assert places.asked.wait(SECONDS_MAX)
        assert receipts == []
    waiting.join(SECONDS_MAX)
    assert receipts == [receipt(guest)]


def test_a_run_that_is_stopped_gives_its_place_back(sandbox, admitted):
    guest = sandbox.guest(World.CONTRACT, admitted("unreachable").digest)
    endings = {receipt(guest) for _ in range(2 * INSTANCES_MAX)}
    assert len(endings) == 1
    assert "guest-trap" in endings.pop()


def test_a_contract_has_as_many_table_elements_as_a_pool_and_no_more(both):
    """Larger limits allow no more, so that a contract finds the same in the pool and outside."""
    body = "(call $fail (i32.eq (table.grow $table (ref.null func) (i32.const {})) (i32.const -1)))"
    limits = Limits(table_elements_max=10 * TABLE_ELEMENTS_MAX, memory_bytes_max=64 * MIB)
    for grown, is_refused in ((TABLE_ELEMENTS_MAX - 4, False), (TABLE_ELEMENTS_MAX - 3, True)):
        for guest in both(f"{body.format(grown)} {ACCEPTS}"):
            try:
                guest.call("verify", "{}", limits=limits)
            except RunError:
                assert is_refused
            else:
                assert not is_refused
