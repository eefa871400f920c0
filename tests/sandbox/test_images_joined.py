"""The modules of a runtime become one, which does the same with the same fuel."""

import pytest
from wasmtime import Store, WasmtimeError, wat2wasm
from wasmtime import component as wc

from sandbox.binary import CODE, CORE_MODULE, read_number, sections_of
from sandbox.engine import EngineKind, new_engine
from sandbox.errors import ComponentRefusedError
from sandbox.images.core_module import FUNCTIONS, CoreModule, constant_of, read_module
from sandbox.images.joined import join_modules
from sandbox.images.renumbering import Indices, renumbered
from sandbox.images.stripped import strip_runtime
from sandbox.instructions import instructions_of
from sandbox.pinned import default_runtime, unpack_runtime
from sandbox.world import World

CALL_INDIRECT = 0x11
INDEXED = (0x10, CALL_INDIRECT, 0x23, 0x24, 0xD2)
"""call, call_indirect, global.get, global.set, ref.func"""
BLOCKS = range(0x02, 0x05)
TYPES = """(type (func (param i32) (result i32))) (type (func (param i32 i64) (result i64)))
  (type $t (func (param i32) (result i32 i32)))"""
LIBRARY = """
    (global (export "place") i32 (i32.add (global.get $at) (i32.const 8)))
    (func $double (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func $add (param i32) (result i32) (i32.add (local.get 0) (global.get $at)))
    (elem (global.get $first) func $double $add)"""
PROGRAM = """
    (func (export "run") (param i32) (result i32) (local i64 f32 f64 v128)
      (local.set 2 (f32.const 1.5)) (local.set 3 (f64.const -2.25))
      (local.set 4 (v128.const i32x4 1 2 3 0x10101010))
      (i32.store offset=300 (i32.const 0) (call $double (local.get 0)))
      (memory.fill (i32.const 400) (i32.const 7) (i32.const 4))
      (memory.copy (i32.const 404) (i32.const 400) (i32.const 4))
      (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
      (global.set $sp (i32.add (global.get $sp) (i32.const 16)))
      (block $a (result i32)
        (block $b (br_table $b $c $b (i32.and (local.get 0) (i32.const 3))))
        (i32.const 0x10))
      (local.get 0) (block $two (type $t) (i32.const 5))
      (i32.add)
      (i32.add)
      (i32.add (call_indirect (type 0) (local.get 0) (i32.const 2)))
      (i32.add (call_indirect (type 0) (local.get 0) (i32.const 3)))
      (i32.add (i32.load offset=300 (i32.const 0)))
      (i32.add (i32.load offset=404 (i32.const 0)))
      (i32.add (global.get $place))
      (i32.add (i32x4.extract_lane 3 (local.get 4)))
      (i32.add (select (result i32) (i32.const 3) (i32.const 4) (local.get 0)))
      (i32.add (i32.trunc_sat_f64_s (local.get 3)))
      (i32.add (if (result i32) (local.get 0) (then (i32.const 1)) (else (call $stub)))))"""
PROGRAM = PROGRAM.replace("$b $c $b", "$b 0 $b")


def component(*, library: str = LIBRARY, program: str = PROGRAM, main: str = "") -> bytes:
    """A component as linkers make runtimes: state, a library, a program, a stub, and exports."""
    text = f"""(component
  (core module $main
    (memory (export "memory") 1) (table (export "table") 8 funcref)
    (global (export "__stack_pointer") (mut i32) (i32.const 4096))
    (global (export "at") i32 (i32.const 100)) (global (export "first") i32 (i32.const 2)) {main})
  (core instance $main (instantiate $main))
  (core module $stubs (func (export "stub") (result i32) (unreachable)))
  (core instance $stubs (instantiate $stubs))
  (core module $library {TYPES}
    (import "env" "memory" (memory 1)) (import "env" "table" (table 1 funcref))
    (import "env" "at" (global $at i32)) (import "env" "first" (global $first i32)) {library})
  (core instance $library (instantiate $library (with "env" (instance $main))))
  (alias core export $library "double" (core func $double))
  (alias core export $library "place" (core global $place))
  (alias core export $main "__stack_pointer" (core global $sp))
  (alias core export $main "memory" (core memory $memory))
  (alias core export $main "table" (core table $table))
  (alias core export $stubs "stub" (core func $stub))
  (core instance $given (export "double" (func $double)) (export "place" (global $place))
    (export "sp" (global $sp)) (export "memory" (memory $memory)) (export "table" (table $table))
    (export "stub" (func $stub)))
  (core module $program (type (func)) {TYPES.replace("(type (", "(type $zero (", 1)}
    (import "env" "stub" (func $stub (result i32)))
    (import "env" "double" (func $double (param i32) (result i32)))
    (import "env" "place" (global $place i32)) (import "env" "sp" (global $sp (mut i32)))
    (import "env" "memory" (memory 1)) (import "env" "table" (table 1 funcref))
    {program.replace("(type 0)", "(type $zero)")})
  (core instance $program (instantiate $program (with "env" (instance $given))))
  (func (export "run") (param "with" u32) (result u32) (canon lift (core func $program "run"))))"""
    return bytes(wat2wasm(text))


def ran(wasm: bytes, argument: int) -> tuple[int | str, int]:
    """The answer of `run`, or the trap, and the fuel that the call used."""
    engine = new_engine(EngineKind.RUNTIMES)
    store = Store(engine)
    store.set_epoch_deadline(1000)
    store.set_fuel(100_000)
    instance = wc.Linker(engine).instantiate(store, wc.Component(engine, wasm))
    store.set_fuel(100_000)
    try:
        answer: int | str = instance.get_func(store, "run")(store, argument)
    except WasmtimeError as trapped:
        answer = str(trapped).rpartition("wasm trap: ")[2]
    fuel = store.get_fuel()
    store.close()
    return answer, 100_000 - fuel


def modules(wasm: bytes) -> list[CoreModule]:
    """The core modules that have code."""
    bodies = [body for kind, body in sections_of(wasm) if kind == CORE_MODULE]
    return [read_module(body) for body in bodies if CODE in dict(sections_of(body))]


@pytest.mark.parametrize("argument", [0, 1, 2, 77, 2**31])
def test_one_module_answers_as_all_did_and_uses_the_same_fuel(argument):
    wasm = component()
    one = join_modules(wasm)
    assert (len(modules(wasm)), len(modules(one))) == (3, 1)
    assert ran(one, argument) == ran(wasm, argument)


def test_entries_of_the_table_are_constant_so_that_the_engine_writes_them_at_their_first_use():
    (one,) = modules(join_modules(component()))
    (segment,) = one.segments
    assert segment.offset == b"\x41\x02\x0b"
    assert len(one.tables) == len(one.memories) == 1
    assert not one.imports


def test_a_module_that_imports_host_functions_stays_and_finds_what_it_fills():
    text = """(component
  (import "host" (func $host (param "x" u32) (result u32)))
  (core module $shim (table (export "table") 1 funcref) (type $t (func (param i32) (result i32)))
    (func (export "0") (type $t) (call_indirect (type $t) (local.get 0) (i32.const 0))))
  (core instance $shim (instantiate $shim))
  (core module $code (import "shim" "0" (func $host (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (i32.add (call $host (local.get 0)) (i32.const 1))))
  (core instance $code (instantiate $code (with "shim" (instance $shim))))
  (core func $lowered (canon lower (func $host)))
  (alias core export $shim "table" (core table $table))
  (core instance $filling (export "table" (table $table)) (export "0" (func $lowered)))
  (core module $fixup (import "" "table" (table 1 funcref))
    (import "" "0" (func $f (param i32) (result i32))) (elem (i32.const 0) func $f))
  (core instance (instantiate $fixup (with "" (instance $filling))))
  (func (export "run") (param "with" u32) (result u32) (canon lift (core func $code "run"))))"""
    one = join_modules(bytes(wat2wasm(text)))
    engine = new_engine(EngineKind.RUNTIMES)
    store = Store(engine)
    store.set_epoch_deadline(1000)
    store.set_fuel(100_000)
    linker = wc.Linker(engine)
    with linker.root() as root:
        root.add_func("host", lambda _store, number: number * 10)
    instance = linker.instantiate(store, wc.Component(engine, one))
    assert instance.get_func(store, "run")(store, 4) == 41
    store.close()


@pytest.mark.parametrize("world", World)
def test_the_libraries_of_a_pinned_runtime_are_one_module(world):
    wasm = strip_runtime(unpack_runtime(default_runtime(world)))
    apart, one = modules(wasm), modules(join_modules(wasm))
    assert len(apart) > 30
    assert len(one) == 1
    assert len(one[0].bodies) == sum(len(each.bodies) for each in apart)
    assert not one[0].imports
    assert len(one[0].memories) == 1
    assert sorted(one[0].names.values()) == sorted(
        name
        for each in apart
        for index, name in each.names.items()
        if index >= len(each.imported(FUNCTIONS))
    )


def test_bodies_of_a_pinned_runtime_keep_their_instructions():
    """Decoded one by one: each instruction is the same but for indices, which are 1,000 larger."""
    wasm = strip_runtime(unpack_runtime(default_runtime(World.CONTRACT)))
    part = max(modules(wasm), key=lambda each: len(each.bodies))
    larger = range(1_000, 41_000)
    indices = Indices(types=larger, functions=larger, tables=[5], globals=larger)
    for old in part.bodies[::40]:
        new = renumbered(old, indices)
        for (ours, start, end), (theirs, begin, after) in zip(
            instructions_of(old), instructions_of(new), strict=True
        ):
            assert ours == theirs
            if ours in INDEXED:
                index, behind = read_number(new, begin + 1)
                assert index == read_number(old, start + 1)[0] + 1_000
                assert new[behind:after] == (b"\5" if ours == CALL_INDIRECT else b"")
            elif ours in BLOCKS and not 0x40 <= old[start + 1] < 0x80:
                assert read_number(new, begin + 1)[0] == read_number(old, start + 1)[0] + 1_000
            else:
                assert old[start:end] == new[begin:after]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"main": "(memory 1)"}, "more than one memory"),
        ({"library": LIBRARY + "(memory 1)"}, "more than one memory"),
        ({"library": LIBRARY + "(elem func $add)"}, "element segment of another form"),
        ({"library": LIBRARY + '(data "x")'}, "section of kind 1[12]"),
        ({"library": LIBRARY + "(tag)"}, "section of kind 13"),
        ({"library": LIBRARY + "(func (drop (table.size 0)))"}, "0xfc cannot be renumbered"),
        ({"library": LIBRARY + "(func (drop (table.get (i32.const 0))))"}, "0x25 cannot be"),
        ({"library": LIBRARY + "(global funcref (ref.null func))"}, "constant expression d0"),
        ({"library": LIBRARY + "(global i64 (i64.add (i64.const 1) (i64.const 1)))"}, "expression"),
        ({"program": PROGRAM + "(global i32 (global.get $sp))"}, "reads a variable"),
    ],
)
def test_what_linkers_do_not_make_is_refused(change, named):
    wasm = component(**change)
    with pytest.raises(ComponentRefusedError, match=named):
        join_modules(wasm)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8, 0.95])
def test_a_component_that_is_cut_short_is_refused(part):
    wasm = component()
    with pytest.raises(ComponentRefusedError):
        join_modules(wasm[: int(part * len(wasm))])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (b"\x41\x05\x0b", b"\x41\x05\x0b"),
        (b"\x44\0\0\0\0\0\0\xf0\x3f\x0b", b"\x44\0\0\0\0\0\0\xf0\x3f\x0b"),
        (b"\x23\x01\x0b", b"\x41\x01\x0b"),
        (b"\x23\x01\x41\x7e\x6a\x0b", b"\x41\x7f\x0b"),
        (b"\x41\xff\xff\xff\xff\x07\x23\x01\x6a\x0b", b"\x41\x80\x80\x80\x80\x78\x0b"),
        (b"\x41\x01\x41\x02\x6a\x41\x03\x6a\x0b", b"\x41\x06\x0b"),
    ],
)
def test_constants_are_added_as_the_engine_does(expression, value):
    assert constant_of(expression, lambda index: b"\x41" + bytes((index,)) + b"\x0b") == value


@pytest.mark.parametrize(
    "expression",
    [
        b"\x41\x01\x6a\x0b",
        b"\x6a\x0b",
        b"\x0b",
        b"\x41\x01\x41\x02\x0b",
        b"\xd2\x01\x0b",
        b"\x23\x02\x0b",
    ],
)
def test_other_expressions_are_refused(expression):
    with pytest.raises(ComponentRefusedError, match="constant expression"):
        constant_of(expression, lambda _: b"\x42\x01\x0b")
