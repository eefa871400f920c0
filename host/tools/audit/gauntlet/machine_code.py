"""Attacks of the run stage in WebAssembly itself, without a language runtime in between."""

# ruff: noqa: E501  # one attack a line reads as the table that it is

from collections.abc import Callable

from host.tools.audit.gauntlet.model import CONTAINED, LIMITS, BinaryAttack
from host.tools.audit.gauntlet.texts import contract_text, workflow_text
from sandbox.wat import assemble
from sandbox.world import World

_TRAP = frozenset({"guest-trap", "payload-invalid", "payload-too-large"})
_FOREVER = "(loop $again (br $again)) unreachable"


def _contract(
    name: str, about: str, verify: str, stops: frozenset[str], **parts: str
) -> BinaryAttack:
    def make() -> bytes:
        return assemble(contract_text(verify, **parts))

    return BinaryAttack(name=name, about=about, make=make, stops=stops, run=True)


def _workflow(name: str, about: str, run: str, stops: frozenset[str]) -> BinaryAttack:
    make: Callable[[], bytes] = lambda: assemble(workflow_text(run))  # noqa: E731  # as above
    return BinaryAttack(
        name=name, about=about, make=make, stops=stops, world=World.WORKFLOW, run=True
    )


def machine_code() -> tuple[BinaryAttack, ...]:
    """All of them."""
    return (*_endless(), *_broken())


def _endless() -> tuple[BinaryAttack, ...]:
    """Time, memory, tables and stack."""
    return (
        _contract("spin", "loops for ever", _FOREVER, LIMITS),
        _contract("spin-at-start", "loops before it is ever called", "(i32.const 80)", LIMITS,
                  declarations=f"(func $s {_FOREVER}) (start $s)"),
        _contract("spin-in-realloc", "loops while the host hands over a text", "(i32.const 80)",
                  LIMITS, realloc=_FOREVER),
        _contract("grow-memory", "takes memory until there is none",
                  "(loop $a (br_if $a (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable",
                  LIMITS | {"guest-trap"}),
        _contract("huge-memory", "declares a memory of 4 GiB", "(i32.const 80)", LIMITS,
                  declarations="", extra="(core module $big (memory 65536)) (core instance (instantiate $big))"),
        _contract("huge-table", "declares a table of 10 000 000 elements", "(i32.const 80)", LIMITS,
                  declarations="(table 10000000 funcref)"),
        _contract("many-memories", "declares 99 memories", "(i32.const 80)",
                  LIMITS | {"component-refused"}, declarations="(memory 1)" * 99),
        _contract("grow-table", "takes table elements until there are none",
                  "(loop $a (br_if $a (i32.ne (table.grow $t (ref.null func) (i32.const 5000)) (i32.const -1)))) unreachable",
                  LIMITS | {"guest-trap"}, declarations="(table $t 1 funcref)"),
        _contract("fill-flood", "fills memory for ever, a few instructions a page",
                  "(loop $a (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $a)) unreachable",
                  LIMITS),
        _contract("copy-flood", "copies memory for ever",
                  "(loop $a (memory.copy (i32.const 0) (i32.const 8) (i32.const 65000)) (br $a)) unreachable",
                  LIMITS),
        _contract("recursion", "calls itself for ever", "(call $verify (local.get 0) (local.get 1))",
                  LIMITS),
    )  # fmt: skip


def _broken() -> tuple[BinaryAttack, ...]:
    """Traps, memory of others, results and calls that are none."""
    answer = "(i32.store8 (i32.const 64) (i32.const {tag})) (i32.store (i32.const 68) (i32.const {at})) (i32.store (i32.const 72) (i32.const {size})) (i32.const 64)"
    call = "(call $now (local.get 0) (local.get 1) (i32.const 64))"
    return (
        _contract("unreachable", "traps", "unreachable", _TRAP),
        _contract("divide-by-zero", "divides by zero", "(i32.div_u (local.get 0) (i32.const 0))",
                  _TRAP),
        _contract("read-outside", "reads beyond its memory", "(i32.load (i32.const -8))", _TRAP),
        _contract("write-outside", "writes beyond its memory",
                  "(i32.store (i32.const -8) (i32.const 1)) (i32.const 80)", _TRAP),
        _contract("wrong-type-call", "calls a function by another's type",
                  "(call_indirect (type $none) (i32.const 0)) (i32.const 80)", _TRAP,
                  declarations="(type $none (func)) (table 1 funcref) (elem (i32.const 0) $verify)"),
        _contract("answer-outside", "answers an address beyond its memory", "(i32.const -16)",
                  _TRAP),
        _contract("answer-unaligned", "answers an odd address", "(i32.const 81)", _TRAP),
        _contract("answer-bad-tag", "answers a third kind of result",
                  answer.format(tag=7, at=32, size=2), _TRAP),
        _contract("answer-too-long", "answers a text of 2 GiB",
                  answer.format(tag=1, at=0, size=0x7FFFFFFF), _TRAP),
        _contract("answer-no-unicode", "answers bytes that are no UTF-8",
                  "(i32.store (i32.const 96) (i32.const 0xfffefdfc))" + answer.format(tag=1, at=96, size=4),
                  _TRAP),
        _contract("realloc-outside", "has the host write beyond its memory", "(i32.const 80)",
                  _TRAP, realloc="(i32.const -4)"),
        _contract("utf16-texts", "takes texts in another encoding", "(i32.const 80)",
                  _TRAP | {CONTAINED, "component-refused"}, encoding="string-encoding=utf16"),
        _workflow("call-flood", "calls the host for ever",
                  f"(loop $a {call} (br $a)) unreachable", frozenset({"too-many-host-calls"}) | LIMITS),
        _workflow("request-outside", "sends a text beyond its memory",
                  "(call $now (i32.const -64) (i32.const 4096) (i32.const 64)) (i32.const 64)", _TRAP),
        _workflow("answer-room-outside", "has the answer written beyond its memory",
                  "(call $now (local.get 0) (local.get 1) (i32.const -8)) (i32.const 64)", _TRAP),
        _workflow("request-no-unicode", "sends bytes that are no UTF-8",
                  "(i32.store (i32.const 96) (i32.const 0xfffefdfc)) (call $now (i32.const 96) (i32.const 4) (i32.const 64)) (i32.const 64)",
                  _TRAP),
    )  # fmt: skip
