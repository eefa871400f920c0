"""Attacks of the component stage: invalid components, invalid guests, expensive compilations."""

# ruff: noqa: E501  # one attack a line reads as the table that it is

from collections.abc import Callable

from host.tools.audit.gauntlet.model import CONTAINED, BinaryAttack
from host.tools.audit.gauntlet.texts import contract_text, workflow_text
from sandbox.binary import make_number, make_section
from sandbox.wat import assemble
from sandbox.world import World

_COMPONENT = b"\0asm\x0d\0\x01\0"
_MODULE = b"\0asm\x01\0\0\0"
_REFUSED = frozenset({"component-refused"})
_NOT_OF_THE_WORLD = frozenset({"world-mismatch"})
_EITHER = _REFUSED | _NOT_OF_THE_WORLD
_BOMB = frozenset({"component-refused", "compile-refused", "world-mismatch", CONTAINED})


def component(*modules: bytes) -> bytes:
    """A component that holds core modules and does nothing."""
    return _COMPONENT + b"".join(make_section(1, module) for module in modules)


def module(*bodies: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """A core module with functions of no parameters, and other sections around their code."""
    code = make_number(len(bodies)) + b"".join(make_number(len(body)) + body for body in bodies)
    types = make_section(1, b"\x01\x60\x00\x00")
    functions = make_section(3, make_number(len(bodies)) + b"\0" * len(bodies))
    return _MODULE + types + functions + before + make_section(10, code) + after


def body(instructions: bytes, *, i32_locals: int = 0) -> bytes:
    """A function's body."""
    declared = b"\x01" + make_number(i32_locals) + b"\x7f" if i32_locals else b"\0"
    return declared + instructions + b"\x0b"


def _plain() -> bytes:
    return assemble(contract_text("(i32.const 80)"))


def _ifs() -> bytes:
    turns = (b"\x20" + make_number(n % 1000) + b"\x04\x40\x41\x00\x21" + make_number(n * 7 % 1000) + b"\x0b"
             for n in range(11_000))  # fmt: skip
    return component(module(body(b"".join(turns), i32_locals=1000)))


def _globals(count: int) -> bytes:
    return component(
        module(
            body(b""), before=make_section(6, make_number(count) + b"\x7f\x00\x41\x00\x0b" * count)
        )
    )


def _segments(count: int) -> bytes:
    memory = make_section(5, b"\x01\x00\x01")
    data = make_section(11, make_number(count) + b"\x00\x41\x00\x0b\x00" * count)
    return component(module(body(b""), before=memory, after=data))


def _nested(depth: int) -> bytes:
    inner = _COMPONENT
    for _ in range(depth):
        inner = _COMPONENT + make_section(4, inner)
    return inner


def _typed(declaration: str) -> bytes:
    return assemble(f"(component {declaration})")


def _imported(import_text: str) -> Callable[[], bytes]:
    return lambda: assemble(contract_text("(i32.const 80)", imports=import_text))


def _instance(name: str, function: str = "now", kind: str = "(result u64)") -> Callable[[], bytes]:
    return _imported(f'(import "{name}" (instance (export "{function}" (func {kind}))))')


_TEXT = '(param "request" string) (result (result string (error string)))'


def _attack(
    name: str,
    about: str,
    make: Callable[[], bytes],
    stops: frozenset[str],
    world: World = World.CONTRACT,
) -> BinaryAttack:
    return BinaryAttack(name=name, about=about, make=make, stops=stops, world=world)


def forged() -> tuple[BinaryAttack, ...]:
    """Bytes that are not a component, or are truncated."""
    return (
        _attack("empty-file", "no bytes at all", lambda: b"", _REFUSED),
        _attack("header-only", "a component of nothing", lambda: _COMPONENT, _NOT_OF_THE_WORLD),
        _attack("cut-in-half", "half a contract", lambda: _plain()[: len(_plain()) // 2], _REFUSED),
        _attack("cut-by-one", "one byte is missing", lambda: _plain()[:-1], _REFUSED),
        _attack("junk-behind", "more behind the end", lambda: _plain() + b"junk" * 8, _REFUSED),
        _attack("two-in-one", "two contracts in a row", lambda: _plain() * 2, _REFUSED),
        _attack("core-module", "a core module", lambda: module(body(b"")), _REFUSED),
        _attack("elf-file", "a native program", lambda: b"\x7fELF\2\1\1" + b"\0" * 100, _REFUSED),
        _attack(
            "compiled-code",
            "ahead-of-time code under another name",
            lambda: b"\x7fELF\2\1\1\xc8" + b"wasmtime" * 100,
            _REFUSED,
        ),
        _attack("other-layer", "an unknown version", lambda: b"\0asm\x0e\0\x01\0", _REFUSED),
        _attack(
            "endless-number",
            "a size of more than 32 bits",
            lambda: _COMPONENT + b"\x01" + b"\xff" * 9 + b"\x01",
            _REFUSED,
        ),
        _attack(
            "section-past-end",
            "a section longer than the file",
            lambda: _COMPONENT + b"\x01\xff\xff\xff\x7f\0",
            _REFUSED,
        ),
        _attack(
            "bad-module", "a module of noise", lambda: component(_MODULE + b"\x7f" * 64), _EITHER
        ),
        _attack(
            "bad-nesting",
            "a nested component without its header",
            lambda: _COMPONENT + make_section(4, b"\0asmjunk" * 4),
            _REFUSED,
        ),
    )


def foreign() -> tuple[BinaryAttack, ...]:
    """Components that import more than their world has, or export something else."""
    flow = "cordbox:guest/flow"
    accept = "(i32.const 80)"
    run = "(call $now (local.get 0) (local.get 1) (i32.const 64)) (i32.const 64)"
    world = _NOT_OF_THE_WORLD
    return (
        _attack("wasi-clock", "the machine's clock", _instance("wasi:clocks/monotonic-clock@0.2.0"), world),
        _attack("wasi-random", "randomness", _instance("wasi:random/random@0.2.0", "get-random-u64"), world),
        _attack("wasi-files", "files", _instance("wasi:filesystem/preopens@0.2.0", "get-directories", ""), world),
        _attack("wasi-sockets", "the network", _instance("wasi:sockets/network@0.2.0", "connect", ""), world),
        _attack("wasi-environment", "environment variables", _instance("wasi:cli/environment@0.2.0", "get", ""), world),
        _attack("contract-calls-flow", "a contract that calls the host", _instance(f"{flow}@1.0.0", kind=_TEXT), world),
        _attack("unknown-interface", "an interface of its own making", _instance("cordbox:guest/admin@1.0.0", "shutdown", _TEXT), world, World.WORKFLOW),
        _attack("world-of-tomorrow", "a later version of the world", lambda: assemble(workflow_text(run, interface=f"{flow}@2.0.0")), world, World.WORKFLOW),
        _attack("world-of-yesterday", "no version", lambda: assemble(workflow_text(run, interface=flow)), world, World.WORKFLOW),
        _attack("other-signature", "the right name with another type", _instance(f"{flow}@1.0.0", kind="(result u64)"), world, World.WORKFLOW),
        _attack("host-resource", "a resource that the host should own", _imported('(import "cordbox:guest/flow@1.0.0" (instance (export "handle" (type (sub resource)))))'), world, World.WORKFLOW),
        _attack("core-module-import", "a module of the host", _imported('(import "host-code" (core module))'), world),
        _attack("extra-export", "an export that no world has", lambda: assemble(contract_text(accept, extra='(func (export "backdoor") (result string) (canon lift (core func $main "describe") (memory (core memory $libc "memory"))))')), world),
        _attack("missing-export", "a workflow that says it is a contract", lambda: assemble(workflow_text(run)), world),
        _attack("contract-as-workflow", "a contract that says it is a workflow", _plain, world, World.WORKFLOW),
    )  # fmt: skip


def bombs() -> tuple[BinaryAttack, ...]:
    """Components that cost a compiler much time or memory."""
    nop = b"\x01"
    return (
        _attack("locals-bomb", "50 000 locals", lambda: component(module(body(b"", i32_locals=50_000))), _REFUSED),
        _attack("function-bomb", "one function of 1 MiB", lambda: component(module(body(nop * (1 << 20)))), _REFUSED),
        _attack("functions-bomb", "40 000 functions", lambda: component(module(*[body(b"")] * 40_000)), _REFUSED),
        _attack("globals-bomb", "100 000 globals", lambda: _globals(100_000), _REFUSED),
        _attack("segments-bomb", "60 000 data segments", lambda: _segments(60_000), _REFUSED),
        _attack("modules-bomb", "500 modules", lambda: component(*[module(body(b""))] * 500), _REFUSED),
        _attack("sections-bomb", "5 000 sections", lambda: _COMPONENT + make_section(0, b"\x01a") * 5_000, _REFUSED),
        _attack("custom-bomb", "8 MiB of custom sections", lambda: _COMPONENT + make_section(0, b"\x01a" + bytes(8 << 20)), _REFUSED),
        _attack("size-bomb", "17 MiB", lambda: _COMPONENT + bytes(17 << 20), _REFUSED),
        _attack("nesting-bomb", "components 40 deep", lambda: _nested(40), _REFUSED),
        _attack("branch-table-bomb", "a table of 500 000 branches", lambda: component(module(body(b"\x41\x00\x0e" + make_number(500_000) + b"\0" * 500_001))), _REFUSED),
        _attack("blocks-bomb", "40 000 nested blocks", lambda: component(module(body(b"\x02\x40" * 40_000 + b"\x0b" * 40_000))), _BOMB),
        _attack("loops-bomb", "8 000 loops", lambda: component(module(body(b"\x03\x40\x0b" * 8_000))), _BOMB),
        _attack("ifs-bomb", "11 000 branches over 1 000 locals", _ifs, _BOMB),
        _attack("wide-bomb", "25 000 functions of 200 bytes", lambda: component(module(*[body(nop * 200)] * 25_000)), _BOMB),
        _attack("record-type", "a record of 1 100 fields", lambda: _typed("(type (record " + " ".join(f'(field "f{n}" u8)' for n in range(1100)) + "))"), _BOMB),
        _attack("flags-type", "33 flags, over one word", lambda: _typed("(type (flags " + " ".join(f'"f{n}"' for n in range(33)) + "))"), _EITHER),
        _attack("variant-type", "a variant of 70 000 cases", lambda: _typed("(type (variant " + " ".join(f'(case "c{n}")' for n in range(70_000)) + "))"), _BOMB),
        _attack("list-type", "lists nested 2 000 deep", lambda: _typed("(type $t0 (list u8)) " + " ".join(f"(type $t{n} (list $t{n - 1}))" for n in range(1, 2000))), _BOMB),
        _attack("memory64", "64-bit memories", lambda: _typed("(core module (memory i64 1))"), _REFUSED),
        _attack("shared-memory", "threads and shared memory", lambda: _typed("(core module (memory 1 2 shared))"), _REFUSED),
        _attack("collected-types", "garbage-collected types", lambda: _typed("(core module (type (struct (field i32))))"), _REFUSED),
    )  # fmt: skip
