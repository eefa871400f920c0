"""The rights that a guests' process drops, before and after it has loaded its code.

Each wall is put up if the system supports it; a missing wall is always reported.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Mapping
from types import MappingProxyType

from sandbox.isolation import seccomp
from sandbox.own_memory import data_bytes

WALLS = (
    "process",
    "environment",
    "descriptors",
    "network-namespace",
    "capabilities",
    "limits",
    "no-new-privileges",
    "not-dumpable",
    "parent-death",
    "seccomp",
)
"""Every wall, in the order in which they are put up."""

Walls = Mapping[str, str]
"""Wall -> the reason why it is missing; empty if it is in force."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_PR_CAPBSET_DROP = 24
_CAPABILITIES_MAX = 64
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_NO_LINUX = f"{sys.platform} has none"


class Seal:
    """The walls of this process, recorded as they are put up."""

    def __init__(self) -> None:
        self._walls: dict[str, str] = {"process": ""}
        self._libc = ctypes.CDLL(None, use_errno=True)

    @property
    def walls(self) -> Walls:
        """Every wall, with the reason for each one that is missing."""
        return MappingProxyType({wall: self._walls.get(wall, "not put up") for wall in WALLS})

    def before_threads(self) -> None:
        """Put up the walls that need a single-threaded process; must be called first."""
        os.environ.clear()
        self._walls["environment"] = ""
        self._walls["network-namespace"] = self._leave_network()
        self._walls["capabilities"] = self._drop_capabilities()

    def close(
        self, *, parent: int, files_max: int, memory_bytes_max: int, page_map: int | None = None
    ) -> None:
        """Put up the other walls; afterwards the process can only compute and answer.

        Args:
            parent: the process whose death makes the kernel kill this one.
            files_max: open descriptors.
            memory_bytes_max: private memory beyond what the process has now.
            page_map: descriptor of its own page map, if it is to read that.
        """
        _blind_standard_streams()
        self._walls["descriptors"] = ""
        self._walls["limits"] = _limit(files_max, data_bytes() + memory_bytes_max)
        self._walls["no-new-privileges"] = self._control(_PR_SET_NO_NEW_PRIVS, 1)
        self._walls["not-dumpable"] = self._control(_PR_SET_DUMPABLE, 0)
        self._walls["parent-death"] = self._control(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
        self._walls["seccomp"] = seccomp.install(page_map) or ""

    def _leave_network(self) -> str:
        """Enter a network namespace without interfaces, in a user namespace if necessary."""
        if sys.platform != "linux":
            return _NO_LINUX
        for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET):
            if self._libc.unshare(flags) == 0:
                return ""
        return f"unshare: {os.strerror(ctypes.get_errno())}"

    def _drop_capabilities(self) -> str:
        if sys.platform != "linux":
            return _NO_LINUX
        for capability in range(_CAPABILITIES_MAX):
            self._libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        nothing = (ctypes.c_uint32 * 6)()
        if self._libc.capset(ctypes.byref(header), ctypes.byref(nothing)) == 0:
            return ""
        return f"capset: {os.strerror(ctypes.get_errno())}"

    def _control(self, option: int, value: int) -> str:
        if sys.platform != "linux":
            return _NO_LINUX
        if self._libc.prctl(option, value, 0, 0, 0) == 0:
            return ""
        return f"prctl: {os.strerror(ctypes.get_errno())}"


def _blind_standard_streams() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    if nothing > 2:  # not a standard stream
        os.close(nothing)


def _limit(files_max: int, memory_bytes_max: int) -> str:
    """Hard limits. CPU time has none here: fuel and deadlines bound runs, not a process's life."""
    wanted = {
        "CORE": 0,
        "FSIZE": 0,
        "NPROC": 0,
        "MSGQUEUE": 0,
        "MEMLOCK": 0,
        "NOFILE": files_max,
        "DATA": memory_bytes_max,
    }
    missing = []
    for name, value in wanted.items():
        limit = getattr(resource, f"RLIMIT_{name}", None)
        if limit is None:
            missing.append(name)
            continue
        _, hard = resource.getrlimit(limit)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(limit, (lowest, lowest))
        except (ValueError, OSError):
            missing.append(name)
    return f"no limit of {', '.join(missing)}" if missing else ""
