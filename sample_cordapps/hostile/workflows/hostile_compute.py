"""Attempts to take more computing time, memory or stack than a flow may have."""

import re
import sys

from hostile_common import NoInput

from cordapp.flows import ClientStartableFlow


class EndlessLoop(ClientStartableFlow[NoInput, str]):
    """Never ends. The fuel limit must stop it: `out-of-fuel`."""

    def call(self, _request: NoInput) -> str:
        while True:
            pass


class StubbornLoop(ClientStartableFlow[NoInput, str]):
    """Never ends, and catches whatever is thrown at it. The fuel limit must stop it."""

    def call(self, _request: NoInput) -> str:
        while True:
            try:
                while True:
                    pass
            except BaseException:  # noqa: BLE001, S110  # hostile on purpose
                pass


class MemoryBomb(ClientStartableFlow[NoInput, str]):
    """Takes memory until there is none. The memory limit must stop it: `memory-limit`."""

    def call(self, _request: NoInput) -> str:
        hoard = []
        while True:
            hoard.append(bytearray(8 * 1024 * 1024))


class StubbornMemoryBomb(ClientStartableFlow[NoInput, str]):
    """Takes memory in smaller and smaller pieces for ever. The fuel limit must stop it."""

    def call(self, _request: NoInput) -> str:
        hoard: list[bytearray] = []
        size = 64 * 1024 * 1024
        while True:
            try:
                hoard.append(bytearray(size))
            except MemoryError:
                size = max(1, size // 2)


class DeepRecursion(ClientStartableFlow[NoInput, str]):
    """Calls itself for ever. Python's own limit must stop it: RecursionError."""

    def call(self, _request: NoInput) -> str:
        return self.call(_request) + "."


class UnlimitedRecursion(ClientStartableFlow[NoInput, str]):
    """The same after it has lifted Python's limit. The fuel limit must stop it."""

    def call(self, _request: NoInput) -> str:
        sys.setrecursionlimit(2**31 - 1)
        return self.call(_request) + "."


class DeepNesting(ClientStartableFlow[NoInput, str]):
    """Drives C code into deep recursion. The fuel limit must stop it."""

    def call(self, _request: NoInput) -> str:
        sys.setrecursionlimit(2**31 - 1)
        nested: list[object] = []
        for _ in range(1_000_000):
            nested = [nested]
        return repr(nested)


class RegexBacktracking(ClientStartableFlow[NoInput, str]):
    """One regular expression that takes 2^60 steps, all in C code. The fuel limit must stop it."""

    def call(self, _request: NoInput) -> str:
        return str(re.fullmatch(r"(a|a)*b", "a" * 60))


class HugePower(ClientStartableFlow[NoInput, str]):
    """One expression with 10^9 digits, all in C code. The fuel limit must stop it."""

    def call(self, _request: NoInput) -> str:
        return str((10 ** (10**9)).bit_length())
