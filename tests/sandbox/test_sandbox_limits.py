"""Each limit of a run, reached by a small guest, ends the run with that limit's code."""

import pytest

from sandbox.error_codes import ERROR_CODES
from sandbox.errors import SandboxError
from sandbox.guest import Guest
from sandbox.limits import Limits
from sandbox.world import World


def refusal(guest: Guest, code: str, host=None, granted=frozenset(), **limits) -> SandboxError:
    export = "verify" if guest.component.world is World.CONTRACT else "run"
    with pytest.raises(SandboxError) as caught:
        guest.call(export, code, limits=Limits(**limits), host=host, granted=granted)
    return caught.value


@pytest.mark.parametrize(
    ("code", "limits", "expected"),
    [
        ("while 1: pass", {"fuel_max": 50_000_000}, "out-of-fuel"),
        ("import re\nre.match('(a+)+b', 'a' * 40)", {"fuel_max": 50_000_000}, "out-of-fuel"),
        ("3 ** 10_000_000", {"fuel_max": 50_000_000}, "out-of-fuel"),
        ("while 1: pass", {"fuel_max": 10**12, "wall_ms_max": 50}, "deadline-exceeded"),
        ("'a' * 10**9", {}, "memory-limit"),
        ("x = []\nwhile 1: x.append('a' * 1_000_000)", {}, "memory-limit"),
        ("x = []\nfor _ in range(100_000): x = [x]\nrepr(x)", {}, "stack-overflow"),
        ("raise ValueError('x' * 2_000)", {"payload_bytes_max": 1_000}, "payload-too-large"),
        ("#" * 1_001, {"payload_bytes_max": 1_000}, "payload-too-large"),
        ("\ud800", {}, "payload-invalid"),
        ("import os\nos.abort()", {}, "guest-trap"),
        ("import os\nos._exit(0)", {}, "guest-trap"),
    ],
)
def test_a_python_contract_is_stopped(contract, code, limits, expected):
    assert refusal(contract, code, **limits).code == expected


@pytest.mark.parametrize(
    ("code", "limits", "expected"),
    [
        ("while 1: host('flow', 'now', '{}')", {"host_calls_max": 10}, "too-many-host-calls"),
        ("while 1: host('log', 'write', 'x' * 100)", {}, "log-limit"),
        ("host('flow', 'now', 'x' * 2_000)", {"payload_bytes_max": 1_000}, "payload-too-large"),
        ("host('flow', 'sleep', '{}')", {"payload_bytes_max": 1_000}, "payload-too-large"),
        ("host('flow', 'random', '{}')", {}, "payload-invalid"),
        ("host('ledger', 'find', '{}')", {}, "capability-not-granted"),
        (
            "x = []\nwhile 1: x.append(host('flow', 'context', '{}'))",
            {"fuel_max": 10**11},
            "memory-limit",
        ),
    ],
)
def test_a_python_workflow_is_stopped(workflow, code, limits, expected):
    def host(interface: str, function: str, request: str) -> str:
        answers = {"now": "1", "sleep": "x" * 2_000, "random": "\ud800", "context": "x" * 4_000_000}
        return answers.get(function, "null")

    assert refusal(workflow, code, host, **limits).code == expected


@pytest.mark.parametrize(
    ("body", "limits", "expected"),
    [
        ("(loop $l (br $l)) unreachable", {"fuel_max": 100_000}, "out-of-fuel"),
        (
            "(loop $l (br $l)) unreachable",
            {"fuel_max": 10**12, "wall_ms_max": 50},
            "deadline-exceeded",
        ),
        ("(call $deep)", {}, "stack-overflow"),
        ("unreachable", {}, "guest-trap"),
        ("(i32.load (i32.const -8))", {}, "guest-trap"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", {}, "guest-trap"),
    ],
)
def test_a_self_contained_contract_is_stopped(admit_text, texts, body, limits, expected):
    deep = "(func $deep (result i32) (i32.add (i32.const 1) (call $deep)))"
    guest = admit_text(World.CONTRACT, texts.contract(body, declarations=deep))
    assert refusal(guest, "{}", **limits).code == expected


@pytest.mark.parametrize(
    ("declaration", "limits"),
    [
        ("(memory 200)", {"memory_bytes_max": 100 * 65_536}),
        ("(table 2000 funcref)", {"table_elements_max": 1_000}),
    ],
)
def test_memory_and_tables_that_are_too_large_from_the_start(
    admit_text, texts, declaration, limits
):
    text = texts.contract(texts.accepts).replace(
        "(core instance $main ",
        f"(core module $big {declaration}) (core instance $big (instantiate $big)) (core instance $main ",
    )
    guest = admit_text(World.CONTRACT, text)
    assert refusal(guest, "{}", **limits).code == "memory-limit"
    assert guest.call("verify", "{}", limits=Limits()).is_error is False


def test_values_may_be_nested_as_deep_as_the_remedy_of_a_stack_overflow_says(contract):
    """Python's code in C raises no RecursionError in a sandbox (docs/troubleshooting.md)."""
    assert "at most 2,000 deep" in ERROR_CODES["stack-overflow"]
    code = (
        "import json\nx = []\nfor _ in range(2_000): x = [x]\nassert x == json.loads(json.dumps(x))"
    )
    outcome = contract.call("verify", f"{code}\nrepr(x)", limits=Limits())
    assert not outcome.is_error


def test_a_refusal_carries_no_addresses_or_function_names(contract):
    message = refusal(contract, "import os\nos.abort()").message
    assert "0x" not in message
    assert "!" not in message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def f(): return f()\nf()", "RecursionError"),
        ("import socket\nsocket.socket()", "OSError"),
        ("import random\nrandom.random()", "OSError"),
        ("import ctypes", "ModuleNotFoundError"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("open('x')", "OSError"),
        ("import time\ntime.time()", "OSError"),
        ("import time\ntime.sleep(1)", "OSError"),
        ("import os\nos.urandom(1)", "OSError"),
        ("import uuid\nuuid.uuid4()", "OSError"),
        ("import datetime\ndatetime.datetime.now()", "OSError"),
        ("import io\nio.FileIO('x')", "OSError"),
        ("exec('def f(:')", "SyntaxError"),
        ("import sys\nsys.exit(3)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("1 / 0", "ZeroDivisionError"),
        ("import json\njson.dumps = None\n1 / 0", "ZeroDivisionError"),
        ("class E(Exception):\n def __str__(self): raise ValueError\nraise E", "E"),
        ("raise Refused(1)", "Refused"),
    ],
)
def test_what_a_python_guest_raises_is_its_answer(contract, code, kind):
    outcome = contract.call("verify", code, limits=Limits())
    assert outcome.is_error
    assert f'"type": "{kind}"' in outcome.value


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("import secrets\nsecrets.token_hex()", "self.random.bytes(..)"),
        ("import time\ntime.time()", "self.clock.now()"),
        ("import time\ntime.time()", "transaction.time_window"),
        ("import time\ntime.sleep(1)", "self.flow_engine.sleep(millis)"),
        ("import os\nos.urandom(1)", "self.random.bytes(..)"),
        ("import datetime\ndatetime.datetime.now(datetime.UTC)", "self.clock.now()"),
        ("import asyncio", "plain calls"),
        ("import sqlite3", "self.persistence_service"),
    ],
)
def test_a_missing_thing_says_what_to_write_instead(contract, code, hint):
    assert hint in contract.call("verify", code, limits=Limits()).value


def test_standard_modules_work_without_the_outside(contract):
    code = """
import collections, dataclasses, datetime, decimal, enum, fractions, hashlib, hmac, itertools, json
import math, re, statistics, string, struct, textwrap, traceback, typing, unicodedata, uuid, zlib
from urllib.parse import quote
assert datetime.datetime.strptime("2026", "%Y").strftime("%Y") == "2026"
assert str(decimal.Decimal("1.1") * 2) == "2.2"
assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
assert uuid.uuid5(uuid.NAMESPACE_DNS, "a").version == 5
assert zlib.decompress(zlib.compress(b"x")) == b"x"
"""
    assert contract.call("verify", code, limits=Limits()).value is None


def test_an_instance_keeps_nothing_for_the_next(contract):
    contract.call("verify", "import json\njson.mark = 1", limits=Limits())
    outcome = contract.call(
        "verify", "import json\nassert not hasattr(json, 'mark')", limits=Limits()
    )
    assert outcome.is_error is False


def test_a_failure_that_names_a_memory_error_is_read_without_recursion(contract):
    code = """raise Refused('[' * 100_000 + '"MemoryError"')"""
    outcome = contract.call("verify", code, limits=Limits())
    assert outcome.is_error
    assert outcome.value.startswith("[[[")
