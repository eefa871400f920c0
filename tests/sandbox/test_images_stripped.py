"""What a runtime must not do, so that an image is the whole of its state; and what is taken out."""

import pytest
from wasmtime import Store, WasmtimeError, wat2wasm
from wasmtime import component as wc

from sandbox.engine import EngineKind, new_engine
from sandbox.errors import ComponentRefusedError
from sandbox.images import memories
from sandbox.images.stripped import initial_memory, strip_runtime

PAGE = 65_536


def runtime(
    *,
    main: str = "",
    functions: str = "",
    table: str = '(table (export "table") 4 funcref)',
    pointer: str = "__stack_pointer",
    memory: str = '(memory (export "memory") 2)',
    more: str = "",
) -> bytes:
    """A runtime as componentize-py builds them: one module holds the state, others the code."""
    text = f"""(component
  (core module $main
    {memory} {table}
    (global (export "{pointer}") (mut i32) (i32.const 4096))
    (global (export "where") (mut i32) (i32.const 7))
    (data (i32.const 100) "first") (data (i32.const {PAGE}) "second") {main})
  (core instance $main (instantiate $main))
  (core module $code
    (import "main" "memory" (memory 1))
    (import "main" "table" (table 1 funcref))
    (import "main" "{pointer}" (global $sp (mut i32)))
    (import "main" "where" (global $where (mut i32)))
    (func (export "get") (param i32) (result i32)
      (global.set $sp (i32.add (global.get $sp) (i32.const 0)))
      (i32.add (i32.load8_u (local.get 0)) (global.get $where)))
    {functions})
  (core instance $code (instantiate $code (with "main" (instance $main))))
  (core module $init
    (import "main" "where" (global $where (mut i32)))
    (func $unused (global.set $where (i32.const 9))) {more})
  (core instance $init (instantiate $init (with "main" (instance $main))))
  (func (export "get") (param "at" u32) (result u32) (canon lift (core func $code "get"))))"""
    return bytes(wat2wasm(text))


def compiled(wasm: bytes) -> wc.Component:
    return wc.Component(new_engine(EngineKind.RUNTIMES), strip_runtime(wasm))


def test_data_segments_become_the_initial_memory():
    content = initial_memory(runtime())
    assert len(content) == 2 * PAGE
    assert (content[100:105], content[PAGE : PAGE + 6]) == (b"first", b"second")
    assert sum(content) == sum(b"firstsecond")


def test_the_stripped_runtime_runs_over_it(tmp_path):
    wasm = runtime()
    engine = new_engine(EngineKind.RUNTIMES)
    component = wc.Component(engine, strip_runtime(wasm))
    store = Store(engine)
    store.set_fuel(10_000)
    store.set_epoch_deadline(10)
    with memories.creating() as created:
        instance = wc.Linker(engine).instantiate(store, component)
    (memory,) = created.memories
    assert not any(memory.view())
    (tmp_path / "initial").write_bytes(initial_memory(wasm))
    with (tmp_path / "initial").open("rb") as file:
        memory.map_file(file.fileno(), 0, 2 * PAGE)
    assert instance.get_func(store, "get")(store, 100) == ord("f") + 7
    store.close()


def test_the_stack_pointer_alone_can_be_set():
    compiled(runtime())
    with pytest.raises(WasmtimeError, match="immutable"):
        compiled(runtime(pointer="another"))
    with pytest.raises(WasmtimeError, match="immutable"):
        compiled(runtime(functions='(func (export "f") (global.set $where (i32.const 1)))'))
    with pytest.raises(WasmtimeError, match="immutable"):
        compiled(runtime(more='(export "f" (func $unused))'))
    with pytest.raises(WasmtimeError, match="immutable"):
        compiled(runtime(more="(table 1 funcref) (elem (i32.const 0) func $unused)"))
    with pytest.raises(WasmtimeError, match="immutable"):
        compiled(
            runtime(more="(table 1 funcref) (elem (i32.const 0) func $f) (func $f (call $unused))")
        )


@pytest.mark.parametrize(
    "body",
    [
        "(table.set (i32.const 0) (ref.null func))",
        "(drop (table.grow (ref.null func) (i32.const 1)))",
        "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
        "(table.copy (i32.const 0) (i32.const 1) (i32.const 1))",
        "(table.init $e (i32.const 0) (i32.const 0) (i32.const 0))",
        "(elem.drop $e)",
    ],
)
def test_instructions_that_change_a_table_are_refused(body):
    functions = f"(elem $e func) (func {body})"
    with pytest.raises(ComponentRefusedError, match="changes a table"):
        strip_runtime(runtime(functions=functions))


def test_numbers_that_look_like_such_instructions_are_not():
    strip_runtime(runtime(functions="(func (drop (i32.const 0x26)) (drop (i32.const 0x7c)) (nop))"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"more": "(start $unused)"}, "runs when it is instantiated"),
        ({"more": "(memory 1)"}, "more than one memory"),
        ({"memory": '(memory (export "memory") 1 2 shared)'}, "not shared"),
        ({"memory": '(memory (export "memory") i64 2)'}, "32 bits"),
        ({"main": '(data "passive")'}, "constant place"),
        ({"main": f'(data (i32.const {2 * PAGE - 1}) "xy")'}, "outside of its memory"),
        ({"main": '(data (i32.const -1) "x")'}, "outside of its memory"),
        ({"functions": '(data (i32.const 0) "x")'}, "without a memory of its own"),
        ({"functions": "(table 1 funcref)" * 8}, "more than 8 tables"),
    ],
)
def test_other_state_is_refused(change, named):
    wasm = runtime(**change)
    with pytest.raises(ComponentRefusedError, match=named):
        taken_apart(wasm)


def taken_apart(wasm: bytes) -> tuple[bytes, bytes]:
    return strip_runtime(wasm), initial_memory(wasm)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_runtime_that_is_cut_short_is_refused(part):
    wasm = runtime()
    for take_apart in (strip_runtime, initial_memory):
        with pytest.raises(ComponentRefusedError, match=r"cut short|has no memory"):
            take_apart(wasm[: int(len(wasm) * part)])
