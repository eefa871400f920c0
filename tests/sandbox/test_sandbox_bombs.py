"""Components that are small to send and expensive to compile are refused within their budget."""

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.compile_budget import CompileBudget
from sandbox.component_check import check_components
from sandbox.errors import CompileLostError, CompileRefusedError, ComponentRefusedError
from sandbox.guest_cache import KeyedLocks
from sandbox.jail import compile_in_jail
from sandbox.limits import KIB, MIB, Limits
from sandbox.runtime import Sandbox
from sandbox.static_limits import PLAIN, check_static
from sandbox.world import World

_COMPONENT = b"\0asm\x0d\0\x01\0"
_MODULE = b"\0asm\x01\0\0\0"
_I32 = b"\x7f"
_OWN_SECONDS = 0.4
"""CPU time of the jailed process before it reads a component, on a slow machine."""


def leb(number: int) -> bytes:
    out = b""
    while True:
        number, low = number >> 7, number & 0x7F
        out += bytes([low | 0x80 if number else low])
        if not number:
            return out


def vector(items: list[bytes]) -> bytes:
    return leb(len(items)) + b"".join(items)


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + leb(len(content)) + content


def component(*sections: bytes) -> bytes:
    return _COMPONENT + section(1, _MODULE + b"".join(sections))


def functions(code: bytes, *, count: int = 1, local_count: int = 0, tables: bytes = b"") -> bytes:
    """`count` functions of one code, with `local_count` locals each."""
    groups = [leb(local_count) + _I32] if local_count else []
    body = vector(groups) + code + b"\x0b"
    return component(
        section(1, vector([b"\x60\0\0"])),
        section(3, vector([b"\0"] * count)),
        tables,
        section(10, vector([leb(len(body)) + body] * count)),
    )


def ifs(locals_: int, count: int) -> bytes:
    steps = (
        b"\x20" + leb(n % locals_) + b"\x04\x40\x20" + leb(n * 7 % locals_) + b"\x21"
        + leb(n * 13 % locals_) + b"\x0b"
        for n in range(count)
    )  # fmt: skip
    return functions(b"".join(steps), local_count=locals_)


def loops_over_locals(count: int) -> bytes:
    steps = (
        b"\x03\x40\x20" + leb(n % 1000) + b"\x21" + leb(n * 7 % 1000) + b"\x20"
        + leb(n * 5 % 1000) + b"\x0d\0\x0b"
        for n in range(count)
    )  # fmt: skip
    return functions(b"".join(steps), local_count=1000)


def types(count: int) -> bytes:
    kinds = (bytes([0x7F - n % 4, 0x7F - n // 4 % 4, 0x7F - n // 16 % 4]) for n in range(count))
    return component(section(1, vector([b"\x60\3" + kind + b"\0" for kind in kinds])))


def names(size: int) -> bytes:
    return component(section(0, b"\x04name\0" + leb(size) + b"\0" * size))


_STATIC = {
    "ifs over locals": lambda: ifs(1000, 20_000),
    "locals": lambda: functions(b"", local_count=2_000),
    "locals of many functions": lambda: functions(b"", count=1_000, local_count=1_000),
    "functions": lambda: functions(b"\x01", count=20_001),
    "br_table": lambda: functions(b"\x41\0\x0e" + leb(1_000_000) + b"\0" * 1_000_001),
    "globals": lambda: component(section(6, vector([b"\x7f\0\x41\0\x0b"] * 100_000))),
    "nesting": lambda: functions(b"\x02\x40" * 60_000 + b"\x0b" * 60_000),
    "names": lambda: names(5 * 1024 * KIB),
    "data segments": lambda: component(
        section(5, b"\1\0\1"), section(11, vector([b"\1\0"] * 50_001))
    ),
}
"""Refused before any process starts."""

_BOMBS = {
    "ifs over locals": lambda: ifs(1000, 11_000),
    "loops": lambda: functions(b"\x03\x40\x0b" * 8_000),
    "many loops": lambda: functions(b"\x03\x40\x0b" * 30_000),
    "nested loops": lambda: functions(b"\x03\x40" * 30_000 + b"\x0b" * 30_000),
    "loops over locals": lambda: loops_over_locals(8_000),
    "indirect calls": lambda: functions(b"\x41\0\x11\0\0" * 15_000, tables=section(4, b"\1\x70\0\1")),
    "nested ifs": lambda: functions(b"\x41\0\x04\x40" * 20_000 + b"\x0b" * 20_000),
    "functions": lambda: functions(b"\x01", count=20_000),
}  # fmt: skip
"""Within the static limits, and refused by the jail."""

_CHEAP = {
    "br_tables": lambda: functions((b"\x02\x40\x41\0\x0e\x64" + b"\0" * 101 + b"\x0b") * 1_000),
    "nesting": lambda: functions(b"\x02\x40" * 30_000 + b"\x0b" * 30_000),
    "types": lambda: types(49_000),
    "globals": lambda: component(section(6, vector([b"\x7f\0\x41\0\x0b"] * 49_000))),
    "data segments": lambda: component(
        section(5, b"\1\0\1"), section(11, vector([b"\1\0"] * 49_000))
    ),
    "names": lambda: names(3 * 1024 * KIB),
}
"""Compiled within the budget; refused by no one but for what they are."""


@pytest.mark.parametrize("make", _STATIC.values(), ids=_STATIC.keys())
def test_a_bomb_beyond_the_static_limits_never_reaches_the_compiler(make: Callable[[], bytes]):
    with pytest.raises(ComponentRefusedError, match=r"at most|more than"):
        check_static(make(), PLAIN)


@pytest.mark.parametrize("make", [*_BOMBS.values(), *_CHEAP.values()], ids=[*_BOMBS, *_CHEAP])
def test_a_bomb_costs_less_than_a_second_and_256_mib(make, tmp_path):
    data = make()
    budget = CompileBudget.of_code(check_static(data, PLAIN))
    bomb = tmp_path / "bomb.wasm"
    bomb.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    refused = ""
    try:
        compile_in_jail(bomb, tmp_path / "out", budget)
    except CompileRefusedError as exc:
        refused = exc.message
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1 + _OWN_SECONDS
    assert budget.cpu_seconds < 1
    assert budget.memory_bytes < 256 * 1024 * KIB
    if make in _BOMBS.values():
        assert "compiling needs more than" in refused
        assert not (tmp_path / "out").exists()


def test_more_code_may_cost_more():
    small, large = CompileBudget.of_code(10 * KIB), CompileBudget.of_code(1024 * KIB)
    assert small.cpu_seconds < 1 < large.cpu_seconds < 5
    assert CompileBudget.of_code(16 * 1024 * KIB).cpu_seconds < 70


def test_data_and_names_earn_no_budget():
    padded = component(section(0, b"\4junk" + b"\0" * 1024 * KIB))
    assert check_static(padded, PLAIN) == 0


def test_a_check_says_which_limit_a_bomb_reached(tmp_path, texts):
    from wasmtime import wat2wasm

    memory, cpu, good = (tmp_path / f"{n}.wasm" for n in range(3))
    memory.write_bytes(_BOMBS["many loops"]())
    cpu.write_bytes(_BOMBS["functions"]())
    good.write_bytes(wat2wasm(texts.contract(texts.accepts)))
    verdicts = list(check_components([memory, cpu, good], World.CONTRACT))
    assert [v.code for v in verdicts] == ["compile-refused", "compile-refused", None]
    assert "memory" in str(verdicts[0].message)
    assert "CPU time" in str(verdicts[1].message)


def test_a_neighbour_keeps_verifying_while_bombs_are_refused(admit_text, texts, tmp_path):
    neighbour = admit_text(World.CONTRACT, texts.contract(texts.accepts))
    sandbox = Sandbox(cache_dir=tmp_path)
    done = threading.Event()
    refusals = []

    def attack() -> None:
        for make in (_BOMBS["functions"], _BOMBS["loops"]):
            with pytest.raises(CompileRefusedError):
                sandbox.admit(World.CONTRACT, make())
            refusals.append(make)
        done.set()

    attacker = threading.Thread(target=attack)
    attacker.start()
    slowest, verified = 0.0, 0
    while not done.is_set():
        start = time.perf_counter()
        answer = neighbour.call("verify", "{}", limits=Limits(fuel_max=1_000_000))
        slowest, verified = max(slowest, time.perf_counter() - start), verified + 1
        assert not answer.is_error
    attacker.join()
    assert len(refusals) == 2
    assert verified > 100
    assert slowest < 1
    assert not list((tmp_path / "components").glob("*.wasm")), "a refused component was kept"


def test_loaded_guests_are_bounded_and_dropped_ones_load_again(tmp_path, texts):
    from wasmtime import wat2wasm

    sandbox = Sandbox(cache_dir=tmp_path, guests_max=2)
    digests = [
        sandbox.admit(World.CONTRACT, bytes(wat2wasm(texts.contract(f"(i32.const {at})")))).digest
        for at in (80, 88, 96)
    ]
    first = sandbox.guest(World.CONTRACT, digests[0])
    second = sandbox.guest(World.CONTRACT, digests[1])
    assert sandbox.guest(World.CONTRACT, digests[0]) is first
    sandbox.guest(World.CONTRACT, digests[2])
    assert sandbox.guest(World.CONTRACT, digests[0]) is first, "the most recently used one stays"
    assert sandbox.guest(World.CONTRACT, digests[1]) is not second
    assert not second.call("verify", "{}", limits=Limits()).is_error, "a dropped guest still runs"


def test_a_lock_lives_as_long_as_somebody_holds_it():
    locks = KeyedLocks()
    entered, order = threading.Event(), []

    def wait() -> None:
        entered.set()
        with locks.hold("a"):
            order.append("second")

    with locks.hold("a"):
        other = threading.Thread(target=wait)
        other.start()
        assert entered.wait(5)
        with locks.hold("b"):
            order.append("first")
    other.join()
    assert order == ["first", "second"]
    assert not locks._held


def test_a_compiler_that_somebody_kills_has_refused_nothing(tmp_path: Path) -> None:
    component = tmp_path / "component.wasm"
    os.mkfifo(component)
    budget = CompileBudget(cpu_seconds=60, memory_bytes=MIB, wall_seconds=60, threads=1)
    lost: list[BaseException] = []

    def compile_it() -> None:
        try:
            compile_in_jail(component, tmp_path / "compiled", budget)
        except CompileLostError as exc:
            lost.append(exc)

    compiling = threading.Thread(target=compile_it)
    compiling.start()
    with component.open("wb"):  # the compiler reads now
        for pid in children():
            if b"sandbox.jail_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        compiling.join(60)
    assert [type(exc) for exc in lost] == [CompileLostError]
    assert not (tmp_path / "compiled").exists()


def children() -> Iterator[int]:
    for found in Path("/proc/self/task").glob("*/children"):
        yield from map(int, found.read_text().split())
