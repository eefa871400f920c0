"""Attacks of the run stage in Python: texts for a contract's sandbox, and the hostile CorDapp."""

# ruff: noqa: E501  # one attack a line reads as the table that it is

from host.tools.audit.gauntlet.model import LIMITS, PythonAttack
from host.tools.audit.gauntlet.python_calls import python_calls
from host.tools.audit.gauntlet.sample_flows import sample_flows

GUEST = '''
class Refused(Exception):
    def __init__(self, payload):
        super().__init__(payload)
        self.payload = payload


class Fresh(Exception):
    """Nothing that an earlier run left was found."""


def describe():
    return "{}"


def verify(transaction):
    exec(transaction, {"Fresh": Fresh, "__name__": "attack"})
'''
"""The attacked contract: replaces the SDK's guest side and runs the code that it is given."""

CLEAN = "assert sum(range(1000)) == 499500"
"""The neighbour's honest verification."""

_NO_FILE = frozenset({"OSError", "PermissionError", "FileNotFoundError", "forbidden-operation"})
_NO_MODULE = frozenset({"ModuleNotFoundError", "ImportError", "forbidden-operation"})
_FRESH = frozenset({"Fresh"})


def _text(name: str, about: str, code: str, stops: frozenset[str]) -> PythonAttack:
    return PythonAttack(name=name, about=about, code=code, stops=stops)


def python_code() -> tuple[PythonAttack, ...]:
    """All of them."""
    return (
        *_reaching_out(),
        *_reading_the_machine(),
        *_leaving(),
        *_looping(),
        *_hoarding(),
        *_nesting(),
        *_staying(),
        *python_calls(),
        *sample_flows(),
    )


def _reaching_out() -> tuple[PythonAttack, ...]:
    """For files, the network, processes and threads."""
    return (
        _text("open-file", "reads a file", "open('/etc/passwd').read()", _NO_FILE),
        _text("write-file", "writes a file", "open('/tmp/left', 'w').write('x')", _NO_FILE),
        _text("list-folder", "lists a folder", "import os; os.listdir('/')", _NO_FILE | _NO_MODULE),
        _text(
            "posix-open",
            "opens a file below Python",
            "import sys; sys.modules['posix'].open('/etc/passwd', 0)",
            _NO_FILE | {"KeyError"},
        ),
        _text(
            "socket",
            "opens a socket",
            "import socket; socket.create_connection(('127.0.0.1', 8888))",
            _NO_MODULE | _NO_FILE,
        ),
        _text(
            "subprocess",
            "starts a process",
            "import subprocess; subprocess.run(['id'])",
            _NO_MODULE | _NO_FILE,
        ),
        _text("native-code", "loads native code", "import ctypes; ctypes.CDLL(None)", _NO_MODULE),
        _text(
            "threads",
            "starts a thread",
            "import _thread; _thread.start_new_thread(print, ())",
            _NO_MODULE | {"RuntimeError", "error", "AttributeError"},
        ),
    )


def _reading_the_machine() -> tuple[PythonAttack, ...]:
    """For what differs from one machine, or one run, to the next."""
    return (
        _text("clock", "asks for the time", "import time; time.time()", _NO_MODULE | _NO_FILE),
        _text(
            "clock-in-c",
            "asks C code for the time",
            "import datetime; datetime.datetime.now()",
            _NO_MODULE | _NO_FILE,
        ),
        _text(
            "entropy",
            "asks for randomness",
            "import os; os.urandom(8)",
            _NO_MODULE | _NO_FILE | {"NotImplementedError"},
        ),
        _text(
            "random-module",
            "asks a generator seeded by the machine",
            "import random; random.SystemRandom().random()",
            _NO_MODULE | _NO_FILE | {"NotImplementedError"},
        ),
    )


def _leaving() -> tuple[PythonAttack, ...]:
    """Below Python, and out of the process."""
    return (
        _text(
            "import-file",
            "imports a module that is not bundled",
            "import attack_library",
            _NO_MODULE,
        ),
        _text(
            "wasi-below",
            "calls the component's own imports",
            "import wit_world.imports; wit_world.imports.flow.now('{}')",
            _NO_MODULE | {"AttributeError", "capability-not-granted"},
        ),
        _text(
            "exit-process",
            "ends the process",
            "import os; os._exit(0)",
            _NO_MODULE | _NO_FILE | {"guest-trap", "AttributeError"},
        ),
        _text(
            "system-exit",
            "leaves Python",
            "raise SystemExit(0)",
            frozenset({"SystemExit", "guest-trap", "forbidden-operation"}),
        ),
        _text(
            "abort",
            "crashes C code",
            "import sys; sys.setrecursionlimit(10**9)\ndef f(): return f()\nf()",
            LIMITS | {"RecursionError", "OverflowError", "guest-trap"},
        ),
    )


def _looping() -> tuple[PythonAttack, ...]:
    """Time."""
    return (
        _text("python-spin", "loops for ever", "while True: pass", LIMITS),
        _text(
            "stubborn-spin",
            "catches whatever should end its loop",
            "while True:\n try:\n  while True: pass\n except BaseException: pass",
            LIMITS,
        ),
        _text(
            "finally-spin",
            "loops on when it is being ended",
            "try:\n while True: pass\nfinally:\n while True: pass",
            LIMITS,
        ),
        _text(
            "generator-spin",
            "an endless generator in C code",
            "import itertools; sum(itertools.count())",
            LIMITS,
        ),
        _text("huge-power", "a number of 10^9 digits", "10 ** (10 ** 9)", LIMITS),
        _text(
            "huge-text",
            "the text of a number of 10^6 digits",
            "import sys; sys.set_int_max_str_digits(0); str(7 ** 4_000_000)",
            LIMITS,
        ),
        _text(
            "regex",
            "a pattern of 2^60 steps",
            "import re; re.fullmatch(r'(a|a)*b', 'a' * 60)",
            LIMITS | _NO_MODULE,
        ),
        _text(
            "sort-flood",
            "sorts for ever",
            "while True: sorted(range(100000), key=lambda n: -n)",
            LIMITS,
        ),
        _text(
            "hash-collisions",
            "a dictionary of equal hashes",
            "class K:\n def __hash__(self): return 1\n{K(): n for n in range(10 ** 6)}",
            LIMITS,
        ),
        _text(
            "exec-flood",
            "compiles source for ever",
            "while True: exec('x = ' + '+'.join('1' * 2000))",
            LIMITS | {"RecursionError"},
        ),
    )


def _hoarding() -> tuple[PythonAttack, ...]:
    """Memory."""
    return (
        _text(
            "memory-hoard",
            "keeps all it can get",
            "hoard = []\nwhile True: hoard.append(bytearray(1 << 23))",
            LIMITS,
        ),
        _text(
            "huge-bytes",
            "one object of 2 GiB",
            "bytes(2 ** 31 - 100)",
            LIMITS | {"MemoryError", "OverflowError"},
        ),
        _text(
            "text-doubling",
            "a text that doubles",
            "t = 'x'\nwhile True: t += t",
            LIMITS | {"MemoryError"},
        ),
    )


def _nesting() -> tuple[PythonAttack, ...]:
    """Stack."""
    return (
        _text(
            "deep-recursion",
            "calls itself for ever",
            "def f(): return f()\nf()",
            LIMITS | {"RecursionError"},
        ),
        _text(
            "deep-repr",
            "recursion in C code",
            "import sys; sys.setrecursionlimit(2**31 - 1)\nx = []\nfor _ in range(1_000_000): x = [x]\nrepr(x)",
            LIMITS | {"RecursionError", "guest-trap"},
        ),
        _text(
            "deep-source",
            "source that is nested 100 000 deep",
            "eval('(' * 100_000 + ')' * 100_000)",
            LIMITS | {"MemoryError", "SyntaxError", "RecursionError"},
        ),
        _text(
            "del-resurrection",
            "objects that come back when they die",
            "class Z:\n def __del__(self): Z()\nZ()\nwhile True: pass",
            LIMITS | {"RecursionError"},
        ),
        _text(
            "json-nesting",
            "JSON nested 1 000 000 deep",
            "import json; json.loads('[' * 1_000_000)",
            LIMITS | {"RecursionError", "JSONDecodeError", "guest-trap"},
        ),
    )


def _staying() -> tuple[PythonAttack, ...]:
    """Attempts to affect the next run, which would be another tenant's or another transaction's."""
    return (
        _text(
            "keep-global",
            "leaves a global behind",
            "import cordapp.guest as g\nif not hasattr(g, 'LEFT'):\n g.LEFT = 1\n raise Fresh",
            _FRESH,
        ),
        _text(
            "keep-module",
            "leaves a module behind",
            "import sys\nif 'left' not in sys.modules:\n sys.modules['left'] = sys\n raise Fresh",
            _FRESH,
        ),
        _text(
            "patch-json",
            "replaces json.loads",
            "import json\nif json.loads.__module__ == 'json':\n json.loads = lambda *a, **k: {}\n raise Fresh",
            _FRESH,
        ),
        _text(
            "patch-verify",
            "replaces the verification itself",
            "import cordapp.guest as g\nif g.verify.__name__ == 'verify':\n g.verify = lambda t: None\n raise Fresh",
            _FRESH,
        ),
        _text(
            "patch-builtins",
            "replaces a built-in function",
            "import builtins\nif builtins.sum([1]) == 1:\n builtins.sum = lambda *a: 0\n raise Fresh",
            _FRESH,
        ),
        _text(
            "count-attempts",
            "decides by how often it was asked",
            "import cordapp.guest as g\ng.COUNT = getattr(g, 'COUNT', 0) + 1\nif g.COUNT == 1: raise Fresh",
            _FRESH,
        ),
    )
