"""A guests' process whose every run is an attack: made by native code, from inside the seal.

`python -m tests.isolation.attacking_child SOCKET`. A run's argument names what it does; the run
returns what the system answered: a number, or the negative errno.
"""

import ctypes
import mmap
import os
import signal
import struct
import sys
import threading
from collections.abc import Sequence
from typing import Any

from sandbox.guest import Guest
from sandbox.isolation import child
from sandbox.isolation.frames import Asked, Channel, FromHost, Halted, RunResult, Stopped
from sandbox.limits import Usage
from tests.isolation.numbers import NUMBERS

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_parent = os.getppid()
_buffer = ctypes.create_string_buffer(4096)
_page = _libc.mmap(None, 4096, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
_PATH = ctypes.create_string_buffer(b"/etc/passwd")
_limit = ctypes.create_string_buffer(struct.pack("QQ", 2**40, 2**40))
NOTHING = Usage(fuel=0, host_calls=0, log_bytes=0)


def _call(name: str, *arguments: Any) -> int:
    answer = _libc.syscall(NUMBERS[name], *arguments)
    return answer if answer >= 0 else -ctypes.get_errno()


SYSTEM_CALLS = {
    "open a file": lambda: _call("openat", -100, _PATH, 0),
    "make a file": lambda: _call("openat", -100, _PATH, os.O_CREAT | os.O_WRONLY, 0o600),
    "look at a file": lambda: _call("readlinkat", -100, _PATH, _buffer, 4096),
    "make a file in memory": lambda: _call("memfd_create", _PATH, 0),
    "raise a limit": lambda: _call("prlimit64", 0, 7, _limit, None),
    "set a limit": lambda: _call("setrlimit", 7, _limit),
    "change what the process may": lambda: _call("prctl", 4, 1, 0, 0, 0),
    "make a socket": lambda: _call("socket", 2, 1, 0),
    "make a pair of sockets": lambda: _call("socketpair", 1, 1, 0, _buffer),
    "connect": lambda: _call("connect", 0, _buffer, 16),
    "listen": lambda: _call("listen", 0, 1),
    "execute": lambda: _call("execve", _PATH, None, None),
    "fork": lambda: _call("clone", signal.SIGCHLD, 0, 0, 0, 0),
    "fork by libc": _libc.fork,
    "start a thread": lambda: _call("clone3", _buffer, 88),
    "trace the parent": lambda: _call("ptrace", 16, _parent, 0, 0),
    "read the parent": lambda: _call("process_vm_readv", _parent, _buffer, 1, _buffer, 1, 0),
    "kill the parent": lambda: _call("kill", _parent, 9),
    "signal the parent's thread": lambda: _call("tgkill", _parent, _parent, 9),
    "look killed by another": lambda: _call("tgkill", os.getpid(), threading.get_native_id(), 9),
    "take the parent's descriptor": lambda: _call("pidfd_open", _parent, 0),
    "join a namespace": lambda: _call("setns", 0, 0),
    "make a namespace": lambda: _call("unshare", 0x10000000),
    "mount": lambda: _call("mount", _PATH, _PATH, None, 0, None),
    "load a program into the kernel": lambda: _call("bpf", 0, _buffer, 128),
    "use rings": lambda: _call("io_uring_setup", 1, _buffer),
    "watch the machine": lambda: _call("perf_event_open", _buffer, 0, -1, -1, 0),
    "read keys": lambda: _call("keyctl", 0, -3, 0),
    "map executable memory": lambda: _call("mmap", 0, 4096, 7, 0x22, -1, 0),
    "make memory executable": lambda: _call("mprotect", ctypes.c_void_p(_page), 4096, 5),
    "write to another descriptor": lambda: _call("write", 3, _buffer, 1),
    "use another table of calls": lambda: _libc.syscall(0x40000000 | NUMBERS["getpid"]),
    "print": lambda: _call("write", 2, _buffer, 1),
    "ask who it is": lambda: int(_call("getpid") == os.getpid()),
}

_REQUEST = Asked("flow", "now", b"{}", Usage(fuel=1, host_calls=1, log_bytes=0))
LIES = {
    "a call that was not granted": Asked("ledger", "find", b"{}", _REQUEST.usage),
    "a call that does not exist": Asked("flow", "rewind", b"{}", _REQUEST.usage),
    "a wrong count of calls": Asked("flow", "now", b"{}", NOTHING),
    "fuel that it cannot have": Asked(
        "flow", "now", b"{}", Usage(fuel=2**60, host_calls=1, log_bytes=0)
    ),
    "a log that is too long": Asked(
        "log", "write", b"x" * 5000, Usage(fuel=1, host_calls=1, log_bytes=5000)
    ),
    "a request that is too large": Asked("flow", "now", b"x" * 8000, _REQUEST.usage),
    "a frame that is too large": Asked("flow", "now", b"x" * 50_000, _REQUEST.usage),
    "a request that is no text": Asked("flow", "now", b"\xff", _REQUEST.usage),
    "a result that is no text": RunResult(b"\xff", False, NOTHING),
    "an end that nobody asked for": Halted(NOTHING),
    "a reason that is none": Stopped("all-is-well", "", None, NOTHING),
    "negative fuel": RunResult(b"", False, Usage(fuel=-1, host_calls=0, log_bytes=0)),
    "calls that nobody saw": RunResult(b"", False, Usage(fuel=0, host_calls=9, log_bytes=0)),
    "more logged than there is memory": RunResult(
        b"", False, Usage(fuel=0, host_calls=1, log_bytes=2**62)
    ),
    "a result that is too large": RunResult(b"x" * 8000, False, NOTHING),
    "a refusal of no function": Stopped("capability-not-granted", "", "\x1b[2J", NOTHING),
    "a report that is too large": Stopped(
        "capability-not-granted", "", "ledger.find", NOTHING, b"x" * 8000
    ),
    "a report that is no text": Stopped(
        "capability-not-granted", "", "ledger.find", NOTHING, b"\xff"
    ),
    "a report of another reason": Stopped("out-of-fuel", "", None, NOTHING, b"{}"),
    "a refusal of nothing": Stopped("capability-not-granted", "", None, NOTHING),
}
BYTES = {
    "no message": struct.pack(">I", 3) + b"abc",
    "a length without end": b"\xff" * 4,
    "an empty frame": bytes(4),
}
ENDS = {
    "abort": os.abort,
    "exit": lambda: os._exit(0),
    "crash": lambda: ctypes.string_at(0),
}


def _serve(lane: Channel[FromHost], guests: Sequence[Guest]) -> None:
    begin: Any = lane.receive()
    attack = begin.argument.decode()
    if attack in ENDS:
        ENDS[attack]()
    elif attack in SYSTEM_CALLS:
        lane.send(RunResult(str(SYSTEM_CALLS[attack]()).encode(), False, NOTHING))
    elif attack in LIES:
        lane.send(LIES[attack])
        lane.receive()
    elif attack in BYTES:
        lane.stream.sendall(BYTES[attack])
        lane.receive()
    elif attack == "close the connection":
        lane.stream.close()
    elif attack == "go on after the end":
        lane.send(_REQUEST)
        lane.receive()
        lane.send(_REQUEST)
        lane.receive()
    elif attack == "never end":
        lane.receive()


child._serve = _serve
if __name__ == "__main__":
    child.main(int(sys.argv[1]))
