"""A contract whose memory may not grow ends without a verdict, however it would have taken it."""

import pytest
from wasmtime import Engine, Instance, Module, Store, Trap, wat2wasm

from sandbox import growth
from sandbox.engine import new_engine
from sandbox.errors import ComponentRefusedError, MemoryLimitError
from sandbox.growth import TRAP_NAME, trap_refused_growth
from sandbox.limits import MIB, Limits
from sandbox.world import World
from tests.sandbox.test_sandbox_components import section, wasm
from tests.sandbox.test_sandbox_smith import generated

GROWS = "(if (result i32) (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then (i32.const 80)) (else unreachable))"
CAUTIOUS = """
blocks = []
try:
    for _ in range(80): blocks.append(bytearray(1 << 20))
except MemoryError:
    raise Refused('{"failures": []}')
"""


def ended_by_memory(guest, argument: str, **limits: int) -> bool:
    export = "verify" if guest.component.world is World.CONTRACT else "run"
    with pytest.raises(MemoryLimitError):
        guest.call(export, argument, limits=Limits(**limits))
    return True


def test_a_contract_does_not_learn_that_its_memory_may_not_grow(admit_text, texts):
    guest = admit_text(World.CONTRACT, texts.contract(GROWS))
    assert ended_by_memory(guest, "{}", memory_bytes_max=20 * 65_536)


def test_a_python_contract_does_not_catch_it(contract):
    """It accepted under one limit, and refused in its own words under another."""
    assert ended_by_memory(contract, CAUTIOUS, memory_bytes_max=64 * MIB)
    assert contract.call("verify", CAUTIOUS, limits=Limits()).is_error is False


def test_a_workflow_learns_it_by_the_standard(workflow):
    code = "try: bytearray(10**9)\nexcept MemoryError: result = 'caught'"
    assert workflow.call("run", code, limits=Limits()).value == "caught"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return new_engine()


def rewritten(engine: Engine, text: str | bytes) -> Module:
    original = bytes(wat2wasm(text)) if isinstance(text, str) else text
    Module(engine, original)
    return Module(engine, growth._module(original))


def called(engine: Engine, module: Module, name: str, *arguments: int) -> int:
    store = Store(engine)
    store.set_fuel(10**9)
    store.set_epoch_deadline(10**9)
    exports = Instance(store, module, []).exports(store)
    return int(exports[name](store, *arguments))


def refused(engine: Engine, module: Module, name: str, *arguments: int) -> None:
    with pytest.raises((Trap, Exception), match=TRAP_NAME):
        called(engine, module, name, *arguments)


def test_each_memory_grows_as_before_until_it_may_not(engine):
    module = rewritten(
        engine,
        """(module (memory 1 10) (memory 2 20) (table 1 funcref)
          (func (export "first") (param i32) (result i32) (memory.grow (local.get 0)))
          (func (export "second") (param i32) (result i32) (memory.grow 1 (local.get 0)))
          (func (export "other") (param i32) (result i32) block nop end (i32.const 0x40)))""",
    )
    assert (called(engine, module, "first", 9), called(engine, module, "second", 18)) == (1, 2)
    assert called(engine, module, "other", 1) == 0x40
    refused(engine, module, "first", 10)
    refused(engine, module, "second", 19)


def test_each_table_grows_as_before_until_it_may_not(engine):
    module = rewritten(
        engine,
        """(module (memory 1 2) (table 1 10 funcref) (table 2 20 externref) (elem declare func $f)
          (func $f (export "first") (param i32) (result i32) (table.grow (ref.func $f) (local.get 0)))
          (func (export "again") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
          (func (export "second") (param i32) (result i32) (table.grow 1 (ref.null extern) (local.get 0)))
          (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
          (func (export "filled") (param i32) (result i32)
            (drop (table.grow (ref.func $f) (local.get 0))) (ref.is_null (table.get 0 (i32.const 1)))))""",
    )
    assert (called(engine, module, "first", 9), called(engine, module, "second", 18)) == (1, 2)
    assert (called(engine, module, "again", 9), called(engine, module, "memory", 1)) == (1, 1)
    assert called(engine, module, "filled", 1) == 0, "the new elements have the given value"
    for name, most in (("first", 9), ("again", 9), ("second", 18), ("memory", 1)):
        refused(engine, module, name, most + 1)


@pytest.mark.parametrize("long", [b"\x8f\x00", b"\x8f\x80\x80\x80\x00"])
def test_growth_of_a_table_in_a_long_form_is_found(engine, long):
    plain = bytes(
        wat2wasm(
            '(module (table 1 2 funcref) (func (export "f") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))'
        )
    )
    body = b"\x00\xd0\x70\x20\x00\xfc\x0f\x00\x0b"
    longer = body.replace(b"\xfc\x0f", b"\xfc" + long)
    assert plain.count(body) == 1
    at = plain.index(body) - 1
    patched = (
        plain[: at - 2]
        + bytes((len(longer) + 2, 1, len(longer)))
        + longer
        + plain[at + 1 + len(body) :]
    )
    refused(engine, rewritten(engine, patched), "f", 5)


def test_a_table_that_is_imported_traps_by_its_own_type(engine):
    original = bytes(
        wat2wasm(
            """(module (import "a" "f" (func)) (import "a" "t" (table 1 4 externref)) (table 1 9 funcref)
              (func (export "g") (param i32) (result i32) (table.grow 0 (ref.null extern) (local.get 0)))
              (func (export "h") (param i32) (result i32) (table.grow 1 (ref.null func) (local.get 0))))"""
        )
    )
    made = growth._module(original)
    Module.validate(engine, made)
    assert made.count(TRAP_NAME.encode()) == 2


def test_a_contract_does_not_learn_that_its_table_may_not_grow(admit_text, texts):
    """It accepted under one limit, and refused in its own words under another."""
    grows = "(if (result i32) (i32.eq (table.grow $t (ref.null func) (i32.const 5000)) (i32.const -1)) (then (i32.const 80)) (else unreachable))"
    guest = admit_text(World.CONTRACT, texts.contract(grows, declarations="(table $t 1 funcref)"))
    assert ended_by_memory(guest, "{}", table_elements_max=1_000)


def test_growth_in_a_long_form_of_its_operand_is_found(engine):
    plain = bytes(
        wat2wasm(
            '(module (memory 1 2) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))'
        )
    )
    body = b"\x00\x20\x00\x40\x00\x0b"
    assert plain.count(body) == 1
    longer = b"\x00\x20\x00\x40\x80\x80\x00\x0b"
    at = plain.index(body) - 1  # the body's size; before it stand the count, the section's size
    patched = (
        plain[: at - 2]
        + bytes((len(longer) + 2, 1, len(longer)))
        + longer
        + plain[at + 1 + len(body) :]
    )
    refused(engine, rewritten(engine, patched), "f", 5)


def test_growth_behind_every_kind_of_instruction_is_found(engine):
    """Each operand holds bytes that look like other instructions."""
    module = rewritten(
        engine,
        """(module (memory 1 2) (table $t 64 funcref) (type $v (func)) (global $g (mut i64) (i64.const 64)) (tag $e (param i32))
          (elem declare func $d) (data $seg "x") (func $d)
          (func (export "f") (param i32) (result i32) (local f64 v128 funcref) (local i32 i32)
            (drop (f64.const 2.000000000000014)) (drop (f32.const 3.0)) (drop (i64.const 0x4040404040))
            (drop (v128.const i32x4 0x40004000 0x40004000 0x40 0))
            (drop (i8x16.shuffle 0 16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 (v128.const i64x2 64 0) (v128.const i64x2 64 0)))
            (drop (i8x16.extract_lane_u 3 (v128.load8_lane offset=64 1 (i32.const 0) (v128.const i64x2 0 0))))
            (drop (i32.load offset=64 (i32.const 0))) (i32.store8 offset=64 (i32.const 0) (i32.const 64))
            (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) (memory.init $seg (i32.const 0) (i32.const 0) (i32.const 0))
            (drop (table.get $t (i32.const 1))) (table.set $t (i32.const 1) (ref.func $d)) (drop (table.size $t))
            (drop (ref.is_null (ref.null func))) (drop (select (result funcref) (ref.null func) (ref.null func) (i32.const 1)))
            (call_indirect $t (type $v) (i32.const 1)) (global.set $g (i64.const 64))
            (block $skip (drop (block $out (result i32) (try_table (catch $e $out) (catch_all $skip) nop) (i32.const 1))))
            (block (block (br_table 0 1 0 (i32.const 64))))
            (memory.grow (local.get 0))))""",
    )
    assert called(engine, module, "f", 1) == 1
    refused(engine, module, "f", 5)


def test_generated_modules_are_valid_as_before(engine):
    """Whatever the engine takes, it takes with its growth trapped."""
    taken = grown = 0
    for number in range(60):
        original = generated(number)
        try:
            Module.validate(engine, original)
        except Exception:  # noqa: BLE001  # of proposals that the sandbox has not
            continue
        made = growth._module(original)
        Module.validate(engine, made)
        taken += 1
        grown += made != original
    assert taken > 10
    assert grown > 0


def test_nested_components_are_reached(texts):
    outer = wasm(texts.contract(GROWS))
    twice = outer + section(4, outer)
    assert trap_refused_growth(twice).count(TRAP_NAME.encode()) == 2
    assert trap_refused_growth(wasm(texts.contract(texts.accepts))).count(TRAP_NAME.encode()) == 0


@pytest.mark.parametrize("cut", [9, 40, 200])
def test_bytes_that_are_cut_short_are_refused(texts, cut):
    with pytest.raises(ComponentRefusedError):
        trap_refused_growth(wasm(texts.contract(GROWS))[:cut])


def test_nesting_that_the_parser_gives_up_at_is_a_failure_of_the_code(contract, workflow):
    nested = f"eval({'(' * 300!r} + '1' + {')' * 300!r})"
    for guest, export in ((contract, "verify"), (workflow, "run")):
        outcome = guest.call(export, nested, limits=Limits())
        assert outcome.is_error
        assert "Parser stack overflowed - Python source too complex to parse" in outcome.value
    code = f"try: {nested}\nexcept MemoryError as e: result = type(e).__name__"
    assert workflow.call("run", code, limits=Limits()).value == "MemoryError"
