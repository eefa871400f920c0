"""The standard modules of the pinned runtimes are what the table says."""

import importlib
import json
import logging
import os
import random
import subprocess
import sys
import threading
import zoneinfo
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest

from host.tools.testkit import native_modules
from sandbox import zones
from sandbox.limits import Limits
from sandbox.module_table import (
    ENCODINGS,
    INTERNAL,
    MODULES,
    PLATFORM,
    PYTHON_VERSION,
    Verdict,
    is_importable,
)
from sandbox.pinned import default_runtime
from sandbox.python_source import PythonSource
from sandbox.runtime_sources import LOADER_DIRECTORY, ZONES_FILE, zones_version
from sandbox.world import World

PARTIAL = [row for row in MODULES.values() if row.verdict is Verdict.PARTIAL]
ROOT = Path(__file__).parents[2]


def answer(contract, code):
    """What `code` leaves in `out`, which has to have a JSON form."""
    whole = f"import json\nout = []\n{code}\nraise Refused(json.dumps(out))"
    outcome = contract.call("verify", whole, limits=Limits())
    value = json.loads(outcome.value)
    assert isinstance(value, list), value
    return value


def attempts(contract, names, statement):
    """Name -> "" or type and message of what the statement about it raised."""
    code = f"""
for name in {names!r}:
    try:
        {statement}
        out.append([name, ""])
    except BaseException as exc:
        out.append([name, f"{{type(exc).__name__}}: {{exc}}"])
"""
    return dict(answer(contract, code))


def test_python_and_platform_are_those_of_the_table(contract):
    code = "import sys\nout += [sys.version.split()[0], sys.platform]"
    assert answer(contract, code) == [PYTHON_VERSION, PLATFORM]


def test_each_module_imports_or_refuses_with_reason_and_remedy(contract):
    names = [*MODULES, *sorted(INTERNAL), *(f"encodings.{name}" for name in ENCODINGS)]
    found = attempts(contract, names, "__import__(name, fromlist=['x'])")
    for name, raised in found.items():
        row = MODULES.get(name)
        expected = "" if row is None or row.importable else row.refusal
        if expected:
            expected = f"ModuleNotFoundError: cannot import {name!r}: {expected}"
        assert raised == expected


def test_nothing_is_loaded_that_the_table_refuses(contract):
    loaded = answer(contract, "import sys\nout += sys.modules")
    refused = [name for name in loaded if name in MODULES and not is_importable(name)]
    assert refused == []


MADE = {
    "Barrier": "m.Barrier(2)",
    "Condition": "m.Condition()",
    "Path": "m.Path('a')",
    "Queue": "m.Queue()",
    "Thread": "m.Thread()",
    "Timer": "m.Timer(1, print)",
}
"""Class -> an object whose method is called; for other classes the class itself."""

ARGUMENTS = {"FileIO": "'x'", "chmod": "'x', 0", "clock_getres": "1", "makedirs": "'x'"}
"""Of what Python's own code refuses, which counts them first."""

EMPTY = {"walk"}
"""What passes over folders that cannot be read, and so finds nothing."""


@pytest.mark.parametrize("row", PARTIAL, ids=lambda row: row.name)
def test_what_the_table_says_to_refuse_refuses(contract, row):
    calls = {}
    for name in row.refuses:
        *owner, last = name.split(".")
        if last.isidentifier() and name not in EMPTY:
            place = MADE.get(owner[0], f"m.{owner[0]}") if owner else "m"
            calls[name] = f"getattr({place}, {last!r})({ARGUMENTS.get(last, '')})"
    code = f"m = __import__({row.name!r}, fromlist=['x']); eval({calls!r}[name])"
    for name, error in attempts(contract, list(calls), code).items():
        # What this platform's module does not have at all cannot be called, either.
        known = ("OSError: ", "RuntimeError: ", "AttributeError: ")
        assert error.startswith(known), (name, error)


def test_a_seed_gives_the_same_numbers_as_elsewhere(contract):
    code = """
import random
for seed in (0, 7, "seed", b"seed", -3, 2**70):
    r = random.Random(seed)
    out.append([r.random(), r.randint(1, 10**9), r.choice("abcdef"), r.sample(range(99), 5),
                r.gauss(0, 1), r.getrandbits(80), list(r.randbytes(4))])
"""
    expected = []
    for seed in (0, 7, "seed", b"seed", -3, 2**70):
        r = random.Random(seed)
        expected.append(
            [r.random(), r.randint(1, 10**9), r.choice("abcdef"), r.sample(range(99), 5),
             r.gauss(0, 1), r.getrandbits(80), list(r.randbytes(4))]
        )  # fmt: skip
    assert answer(contract, code) == expected


def test_zones_are_those_of_the_named_data_set(contract):
    zones.keep(ZONES_FILE.read_bytes())
    names = ["Europe/London", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "UTC"]
    months = [(year, month) for year in (1970, 2026, 2055) for month in (1, 7)]
    code = f"""
import datetime
from zoneinfo import ZoneInfo, available_timezones
out.append(len(available_timezones()))
for name in {names!r}:
    for y, m in {months!r}:
        offset = datetime.datetime(y, m, 15, 12, tzinfo=ZoneInfo(name)).utcoffset()
        out.append(offset.total_seconds())
"""
    count, *offsets = answer(contract, code)
    expected: list[timedelta] = []
    for name in names:
        zone = zoneinfo.ZoneInfo.from_file(BytesIO(zones.read(name)), name)
        expected += [datetime(y, m, 15, 12, tzinfo=zone).utcoffset() for y, m in months]
    assert offsets == [offset.total_seconds() for offset in expected]
    assert count == len(zones.names())
    assert {default_runtime(world).tzdata for world in World} == {zones_version()}


def test_locks_work_and_what_would_wait_for_ever_refuses(contract):
    code = """
import queue, threading
lock, again = threading.Lock(), threading.RLock()
with lock, again, again:
    assert lock.locked() and not lock.acquire(blocking=False) and not lock.acquire(timeout=9)
    try:
        lock.acquire()
    except RuntimeError as exc:
        out.append(str(exc))
class Local(threading.local):
    def __init__(self, value): self.value = value
assert Local(3).value == 3 and threading.current_thread() is threading.main_thread()
assert threading.Event().wait(1) is False
q = queue.Queue(); q.put(1); assert q.get() == 1
for wait in (threading.Event().wait, q.get, queue.SimpleQueue().get, threading.Semaphore(0).acquire,
             threading.Thread(target=print).start):
    try:
        wait()
    except RuntimeError as exc:
        out.append(str(exc))
"""
    held, *waits = answer(contract, code)
    assert "nothing would ever release it" in held
    assert len(waits) == 5


def test_records_of_logging_go_to_the_log_of_a_flow(workflow):
    lines = []

    def host(interface: str, function: str, request: str) -> str:
        assert (interface, function) == ("log", "write")
        lines.append(json.loads(request))
        return "null"

    code = """
import logging
log = logging.getLogger("acme.flows")
log.addHandler(logging.NullHandler())
log.debug("not shown")
log.info("paid %d", 3)
try:
    int("x")
except ValueError:
    log.exception("no number")
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(message)s")
logging.getLogger("lib").debug("shown")
logging.getLogger("lib").critical("\\ud800")
"""
    assert workflow.call("run", code, limits=Limits(), host=host).value == "done"
    paid, failed, shown, odd = lines
    assert paid == {"level": "info", "logger": "acme.flows", "message": "paid 3"}
    assert (failed["level"], failed["message"].splitlines()[0]) == ("error", "no number")
    assert failed["message"].endswith("ValueError: invalid literal for int() with base 10: 'x'")
    assert shown == {"level": "debug", "logger": "lib", "message": "DEBUG shown"}
    assert odd == {"level": "error", "logger": "lib", "message": "CRITICAL ?"}


def test_a_contract_logs_nothing_and_runs(contract):
    code = "import logging\nlogging.warning('dropped')\nlogging.getLogger('a').error('dropped')"
    assert contract.call("verify", code, limits=Limits()).value is None


def test_what_libraries_do_at_import_works(contract):
    code = """
import argparse, configparser, email.utils, gettext, gzip, html.entities, importlib.metadata
import importlib.util, locale, mimetypes, pickle, platform, pkgutil, shutil, tomllib, zipfile, io
import xml.etree.ElementTree as ET
parser = argparse.ArgumentParser(prog="a"); parser.add_argument("--n", type=int, default=3)
assert parser.parse_args([]).n == 3
config = configparser.ConfigParser(); config.read_string("[a]\\nb = 1"); assert config["a"]["b"] == "1"
assert tomllib.loads("a = [1]") == {"a": [1]}
assert html.entities.name2codepoint["eacute"] == 233
assert gettext.translation("a", fallback=True).gettext("x") == "x"
assert platform.python_implementation() == "CPython" and platform.system() != "Windows"
assert pickle.loads(pickle.dumps({1: 2})) == {1: 2}
assert gzip.decompress(gzip.compress(b"x")) == b"x"
assert ET.fromstring("<a><b c='1'/></a>").find("b").get("c") == "1"
assert email.utils.parsedate_to_datetime("Mon, 20 Nov 1995 19:12:08 -0500").hour == 19
assert importlib.util.find_spec("no_such") is None and importlib.util.find_spec("json")
assert "é".encode("cp500") == b"Q" and b"\\x80".decode("cp1252") == "\\u20ac"
assert shutil.which("ls") is None and shutil.get_terminal_size().columns == 80
assert importlib.metadata.entry_points() == ()
try:
    importlib.metadata.version("acme")
except importlib.metadata.PackageNotFoundError:
    out.append("absent")
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as z: z.writestr(zipfile.ZipInfo("a"), "b")
assert zipfile.ZipFile(archive).read("a") == b"b"
"""
    assert answer(contract, code) == ["absent"]


@pytest.fixture(scope="module")
def named_alike(sandbox, placed, source):
    """A contract whose bundle has modules with the names of the loader's, and these names."""
    names = [p.stem for p in LOADER_DIRECTORY.glob("*.py")]
    files = {**source.files, **{f"{name}.py": f"NAME = {name!r}\n" for name in names}}
    made = sandbox.make_image(World.CONTRACT, PythonSource(files, ("cordapp.guest",)))
    return placed(World.CONTRACT, made.digest), names


@pytest.mark.slow
def test_modules_may_have_the_names_of_the_loaders_modules(named_alike):
    guest, names = named_alike
    code = "\n".join(f"import {name}\nout.append({name}.NAME)" for name in names)
    assert answer(guest, code) == names


RICH = """
import json, random, locale, time, uuid, zoneinfo, datetime, sys, os
from pathlib import Path
zone = zoneinfo.ZoneInfo("America/Sao_Paulo")
out = [
    list({str(n) for n in range(50)}), hash("a"), [hash(b"a"), hash(1.5), hash(None), hash((1, "b"))],
    random.Random("s").random(), locale.getlocale(), locale.format_string("%.2f", 1234.5, True),
    time.tzname, time.timezone, str(datetime.datetime(2026, 7, 1, tzinfo=zone)),
    datetime.datetime.fromtimestamp(0).isoformat(), time.localtime(0).tm_hour,
    sorted(os.environ), sys.argv, sys.flags.hash_randomization, str(Path("a") / "b"),
    [id(object()) for _ in range(3)], repr(object()), sys.getrecursionlimit(),
    list(map(hash, (int, str, type(None)))), len(sys.modules), os.getcwd(), os.getpid(),
    sorted(zoneinfo.available_timezones())[:3], str(uuid.uuid5(uuid.NAMESPACE_DNS, "a")),
]
raise Refused(json.dumps(out))
"""


@pytest.mark.slow
def test_a_run_is_the_same_in_every_environment(sandbox, source, cache_dir):
    digest = sandbox.make_image(World.CONTRACT, source).digest
    sandbox.guest(World.CONTRACT, digest)
    environments = [
        {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C", "HOME": "/"},
        {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "LC_ALL": "C.UTF-8",
         "PYTHONTZPATH": "/nowhere", "PYTHONUTF8": "1", "COLUMNS": "33"},
    ]  # fmt: skip
    printed = set()
    for environment in environments:
        words = [sys.executable, Path(__file__).with_name("runs_elsewhere.py"), cache_dir, digest]
        done = subprocess.run(
            [*map(str, words), RICH],
            env={"PATH": os.defpath, **environment},
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        printed.add(done.stdout)
    (line,) = printed
    assert json.loads(json.loads(line)["value"])[3] == random.Random("s").random()


@pytest.fixture
def as_plain_python(monkeypatch):
    """`native_parity` as the test kit imports a CorDapp's modules."""
    folder = Path(__file__).parent
    monkeypatch.setattr(native_modules._FINDER, "folders", {str(folder)})
    monkeypatch.setattr(sys, "meta_path", [native_modules._FINDER, *sys.meta_path])
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "native_parity", raising=False)
    yield importlib.import_module("native_parity")
    sys.modules.pop("native_parity", None)


def test_plain_python_answers_and_refuses_as_a_sandbox_does(contract, as_plain_python):
    source = Path(__file__).with_name("native_parity.py").read_text()
    inside = answer(contract, f"{source}\nout += [*found(), REFUSED]")
    assert inside == [*as_plain_python.found(), as_plain_python.REFUSED]
    # The process's own modules are as they were.
    assert random.random() != random.random()
    assert Path(__file__).exists()
    assert threading.Thread(target=print).ident is None
    assert os.environ


@pytest.mark.parametrize(
    ("call", "advice"), [("urandom", "self.random.bytes"), ("system", "starts no processes")]
)
def test_a_refused_call_of_os_advises_natively_what_a_sandbox_does(as_plain_python, call, advice):
    with pytest.raises(OSError, match=rf"os\.{call}: .*{advice}"):
        getattr(as_plain_python.os, call)("4")


def test_records_of_plain_python_go_to_the_same_log(as_plain_python):
    lines = []
    with native_modules.logging_to(lambda *line: lines.append(line)):
        as_plain_python.logging.getLogger("acme").info("paid %d", 3)
        as_plain_python.logging.getLogger("acme").debug("not shown")
    as_plain_python.logging.getLogger("acme").error("dropped")
    assert lines == [("info", "acme", "paid 3")]
    assert logging.getLogger().handlers is not as_plain_python.logging.getLogger().handlers
