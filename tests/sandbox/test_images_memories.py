"""Memories that this host makes for an engine: found, grown, mapped over, given back."""

import os
import subprocess
import sys
import threading

import pytest
from wasmtime import Store, WasmtimeError, wat2wasm
from wasmtime import component as wc

from sandbox.engine import EngineKind, fingerprint, new_engine, profile_digest
from sandbox.errors import HostMemoryError
from sandbox.images import memories
from sandbox.traps import error_of

PAGE = 65_536
TEXT = """(component
  (core module $m
    (memory 2)
    (data (i32.const 70000) "initial")
    (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "put") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
  (core instance $i (instantiate $m))
  (func (export "get") (param "at" u32) (result u32) (canon lift (core func $i "get")))
  (func (export "put") (param "at" u32) (param "value" u32) (canon lift (core func $i "put")))
  (func (export "grow") (param "pages" u32) (result u32) (canon lift (core func $i "grow"))))"""


class Instance:
    """An instance of TEXT in a store of its own, and its memory."""

    def __init__(self, engine, component, *, size_min=0, memory_max=-1):
        self.store = Store(engine)
        self.store.set_fuel(1_000_000)
        self.store.set_epoch_deadline(1_000_000)
        self.store.set_limits(memory_size=memory_max)
        with memories.creating(size_min) as created:
            self._instance = wc.Linker(engine).instantiate(self.store, component)
        (self.memory,) = created.memories

    def call(self, name, *arguments):
        return self._instance.get_func(self.store, name)(self.store, *arguments)


@pytest.fixture(scope="module")
def engine():
    return new_engine(EngineKind.RUNTIMES)


@pytest.fixture(scope="module")
def component(engine):
    return wc.Component(engine, bytes(wat2wasm(TEXT)))


@pytest.fixture
def new(engine, component):
    made = []

    def instance(**how):
        made.append(Instance(engine, component, **how))
        return made[-1]

    yield instance
    for one in made:
        one.store.close()


def test_the_thread_that_instantiates_finds_the_memory(new):
    instance = new()
    assert instance.memory.size == 2 * PAGE
    assert bytes(instance.memory.view()[70_000:70_007]) == b"initial"
    instance.memory.view()[5] = 77
    assert instance.call("get", 5) == 77
    instance.call("put", 6, 78)
    assert instance.memory.view()[6] == 78


def test_a_closed_store_gives_its_memory_back(engine, component):
    before = memories.memory_count()
    for _ in range(3):
        instance = Instance(engine, component)
        assert memories.memory_count() == before + 1
        instance.store.close()
    assert memories.memory_count() == before


def test_a_memory_grows_in_place_up_to_the_limit_of_its_store(new):
    instance = new(memory_max=4 * PAGE)
    base = instance.memory.base
    assert instance.call("grow", 2) == 2
    assert (instance.memory.base, instance.memory.size) == (base, 4 * PAGE)
    assert not any(instance.memory.view()[2 * PAGE :])
    assert instance.call("grow", 1) == 0xFFFF_FFFF
    assert instance.call("grow", 0) == 4


def test_an_access_beyond_the_size_is_a_trap(new):
    instance = new()
    for address in (2 * PAGE, 0xFFFF_FFFF):
        with pytest.raises(WasmtimeError, match="out of bounds memory access"):
            new().call("put", address, 1)
    assert instance.call("get", 2 * PAGE - 1) == 0


def test_a_memory_beyond_its_capacity_is_refused_without_an_exception(new):
    with pytest.raises(OSError, match="memory"):
        new().memory.grow(2**33)


def test_a_memory_can_be_larger_than_declared_from_the_beginning(new):
    instance = new(size_min=5 * PAGE)
    assert instance.memory.size == 5 * PAGE
    instance.call("put", 5 * PAGE - 1, 9)
    assert instance.call("get", 5 * PAGE - 1) == 9
    assert instance.call("grow", 1) == 5


def test_a_file_is_shown_and_not_written(new, tmp_path):
    file = tmp_path / "image"
    content = os.urandom(2 * PAGE)
    file.write_bytes(content)
    instances = [new(), new()]
    with file.open("rb") as opened:
        for instance in instances:
            instance.memory.map_file(opened.fileno(), 0, 2 * PAGE)
    first, second = instances
    assert bytes(first.memory.view()) == content
    first.call("put", 0, content[0] ^ 1)
    assert first.call("get", 0) == content[0] ^ 1
    assert second.call("get", 0) == content[0]
    assert file.read_bytes() == content
    with file.open("rb") as opened, pytest.raises(ValueError, match="196608 bytes"):
        first.memory.map_file(opened.fileno(), 0, 3 * PAGE)


def test_threads_find_their_own_memories(engine, component):
    found, start = [], threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(25):
            instance = Instance(engine, component)
            instance.call("put", 0, threading.get_ident() % 251)
            found.append(instance.memory.view()[0] == threading.get_ident() % 251)
            instance.store.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 100


LACKING = f"""
import resource
from wasmtime import Store, WasmtimeError, wat2wasm
from wasmtime import component as wc
from sandbox.engine import EngineKind, new_engine
engine = new_engine(EngineKind.RUNTIMES)
component = wc.Component(engine, bytes(wat2wasm('''{TEXT}''')))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30,) * 2)
try:
    wc.Linker(engine).instantiate(Store(engine), component)
except WasmtimeError as exc:
    print(exc)
"""


def test_a_system_without_addresses_is_an_error_of_the_host():
    done = subprocess.run(
        [sys.executable, "-c", LACKING], capture_output=True, text=True, check=True
    )
    assert isinstance(error_of(done.stdout), HostMemoryError)
    assert done.stderr == ""


def test_the_kind_of_engine_changes_compiled_code_but_no_call(engine, component):
    other = new_engine()
    with pytest.raises(WasmtimeError):
        wc.Component.deserialize(other, component.serialize())
    assert fingerprint(EngineKind.RUNTIMES) != fingerprint(EngineKind.COMPONENTS) == fingerprint()
    assert profile_digest() not in {fingerprint(kind) for kind in EngineKind}
    seen = []
    for kind in (engine, other):
        store = Store(kind)
        store.set_fuel(1_000_000)
        store.set_epoch_deadline(1_000)
        own = wc.Component(kind, bytes(wat2wasm(TEXT)))
        instance = wc.Linker(kind).instantiate(store, own)
        store.set_fuel(1_000_000)
        values = [
            instance.get_func(store, name)(store, *arguments)
            for name, *arguments in (("get", 70_001), ("put", 3, 4), ("get", 3), ("grow", 9))
        ]
        seen.append((values, store.get_fuel()))
        store.close()
    assert seen[0] == seen[1]
