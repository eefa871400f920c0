"""The filter of system calls, executed here for both architectures."""

import errno
import os
import re
import struct
from pathlib import Path

import pytest

from sandbox.isolation.seccomp import filter_of
from sandbox.isolation.syscalls import (
    ALLOWED,
    FATAL,
    NOT_EXECUTABLE,
    OWN_PROCESS,
    PAGE_MAP,
    STANDARD_ERROR,
)

PID = 4242
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), 0),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), 1),
}


def verdict(machine, number, *arguments, audit=None, page_map=None):
    """What the kernel would make of a call: classic BPF over `struct seccomp_data`."""
    values = [a & 0xFFFFFFFFFFFFFFFF for a in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number, audit or AUDIT[machine], 0, *values)
    program = list(struct.iter_unpack("<HBBI", filter_of(machine, PID, page_map)))
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return value
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[code]
            at += if_true if holds else if_false


def numbers(table, machine):
    return {
        name: both[machine == "aarch64"]
        for name, both in table.items()
        if both[machine == "aarch64"] is not None
    }


@pytest.mark.parametrize("machine", AUDIT)
class TestFilter:
    def test_what_is_allowed_and_what_is_fatal(self, machine):
        for number in numbers(ALLOWED, machine).values():
            assert verdict(machine, number) == ALLOW
        for number in numbers(FATAL, machine).values():
            assert verdict(machine, number) == KILL

    def test_everything_else_is_refused(self, machine):
        known = set()
        for table in (ALLOWED, FATAL, NOT_EXECUTABLE, OWN_PROCESS, STANDARD_ERROR):
            known |= set(numbers(table, machine).values())
        for number in set(range(600)) - known:
            assert verdict(machine, number) == REFUSE

    def test_memory_is_never_executable(self, machine):
        for number in numbers(NOT_EXECUTABLE, machine).values():
            for protection in range(8):
                expected = KILL if protection & 4 else ALLOW
                assert verdict(machine, number, 0, 4096, protection) == expected

    def test_a_process_only_aborts_and_only_itself(self, machine):
        (number,) = numbers(OWN_PROCESS, machine).values()
        assert verdict(machine, number, PID, 1, 6) == ALLOW
        assert verdict(machine, number, PID + 1, 1, 6) == KILL
        assert verdict(machine, number, -1, 1, 6) == KILL
        for signal in (0, 1, 2, 9, 15, 7, -1):
            assert verdict(machine, number, PID, 1, signal) == KILL

    def test_only_standard_error_is_written_to(self, machine):
        (number,) = numbers(STANDARD_ERROR, machine).values()
        assert [verdict(machine, number, d) for d in (0, 1, 2, 3)] == [KILL, KILL, ALLOW, KILL]

    def test_only_the_page_map_is_read_by_position(self, machine):
        (number,) = numbers(PAGE_MAP, machine).values()
        found = [verdict(machine, number, d, page_map=7) for d in (0, 6, 7, 8)]
        assert found == [KILL, KILL, ALLOW, KILL]
        assert verdict(machine, number, 7) == REFUSE
        assert verdict(machine, number, 0, page_map=0) == ALLOW

    def test_calls_of_another_architecture_are_fatal(self, machine):
        for audit in {*AUDIT.values(), 0x40000003} - {AUDIT[machine]}:
            assert verdict(machine, numbers(ALLOWED, machine)["futex"], audit=audit) == KILL

    def test_the_numbers_are_the_kernels(self, machine):
        header, _ = HEADERS[machine]
        if not header.exists():
            pytest.skip("no kernel headers here")
        found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
        real = {name: int(number) for name, number in found}
        for table in (ALLOWED, FATAL, NOT_EXECUTABLE, OWN_PROCESS, PAGE_MAP, STANDARD_ERROR):
            for name, number in numbers(table, machine).items():
                assert real[name] == number, name


def test_the_second_table_of_x86_is_fatal():
    assert verdict("x86_64", 0x40000000 | ALLOWED["getpid"][0]) == KILL


def test_an_unknown_machine_has_no_filter():
    assert filter_of("riscv64", os.getpid()) is None
