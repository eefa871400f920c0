"""Images are the same wherever they are made, and sources that are loaded can harm nobody."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.errors import ComponentUnknownError, LoadFailedError, SandboxError
from sandbox.images import making, memories
from sandbox.limits import MIB, Limits
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox
from sandbox.world import World
from tests.zstandard_elsewhere import HELPER

ROOT = Path(__file__).parents[2]
RICH = """
import dataclasses, decimal, enum, json, random, re, uuid
from datetime import datetime, timedelta, timezone

SET = {str(n) for n in range(500)}
TEXTS = sorted(map(hash, ("a", "b", "c")))
NUMBERS = [random.Random(7).random() for _ in range(100)]
AT = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(days=3)
PATTERN = re.compile(r"(a|b)+c")
NAN = float("inf") - float("inf")
IDS = [uuid.uuid5(uuid.NAMESPACE_DNS, str(n)) for n in range(50)]
IDENTITIES = [id(object()), id(SET)]
SUM = sum(decimal.Decimal(n) / 7 for n in range(1, 50))
"""


def with_guest(source: PythonSource, text: str) -> PythonSource:
    return PythonSource({**source.files, "own.py": text}, ("own", "cordapp.guest"))


def other_host(folder: Path, cache_dir: Path) -> Sandbox:
    """With a cache of its own; the compiled runtimes are shared, to spare their compilation."""
    (folder / "images").mkdir(parents=True)
    for shared in ("compiled", "runtimes"):
        (folder / shared).symlink_to(cache_dir / shared)
    return Sandbox(cache_dir=folder)


@pytest.fixture(scope="module")
def host(tmp_path_factory, cache_dir, sandbox):
    """A sandbox in whose cache nobody else makes images."""
    sandbox.default_runtime(World.CONTRACT)
    return other_host(tmp_path_factory.mktemp("host") / "cache", cache_dir)


@pytest.fixture(scope="module")
def runtime_files(sandbox):
    files = sandbox._runtimes.files(sandbox.default_runtime(World.CONTRACT))
    yield files
    files.close()


def _pythons() -> list[str]:
    found = [sys.executable]
    for version in ("3.12", "3.13", "3.14"):
        homes = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        python = str(homes[-1]) if homes else shutil.which(f"python{version}")
        found += [python] if python else []
    return found


BUILDS = int(os.environ.get("CORDBOX_IMAGE_BUILDS", "6"))
"""How many of the variations are built; the first five have every zone, language, folder and umask."""


def _variations() -> list[tuple[str, dict[str, str], str, str]]:
    """Python, environment, working directory and umask of each build."""
    zones = ("UTC", "Asia/Tokyo", "America/St_Johns", "Europe/London", "Pacific/Chatham")
    languages = ("C", "tr_TR.UTF-8", "de_DE.ISO-8859-1", "ja_JP.UTF-8")
    pythons = _pythons()
    return [
        (
            pythons[n % len(pythons)],
            {
                "PYTHONHASHSEED": str(n * 7919),
                "TZ": zones[n % 5],
                "LANG": languages[n % 4],
                "LC_ALL": languages[n % 4],
                "PYTHONUTF8": str(n % 2),
                "RAYON_NUM_THREADS": str(1 + n % 3),
                "COLUMNS": str(20 + n),
                "HOME": "/" if n % 2 else "/tmp",
                "MALLOC_ARENA_MAX": str(1 + n % 4),
                "MALLOC_PERTURB_": str(n),
            },
            ("/", "/tmp", str(ROOT))[n % 3],
            ("000", "022", "077", "027")[n % 4],
        )
        for n in range(BUILDS)
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_varied_builds_give_one_image(sandbox, source, runtime_files, tmp_path):
    rich = with_guest(source, RICH)
    (tmp_path / "sources.json").write_bytes(rich.canonical)
    numbers = (runtime_files.code.fileno(), runtime_files.initial.fileno())
    packages = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("-packages"))])
    printed = set()
    for python, environment, folder, umask in _variations():
        script = Path(__file__).with_name("image_elsewhere.py")
        words = [python, script, *numbers, runtime_files.digest, tmp_path / "sources.json", umask]
        done = subprocess.run(
            list(map(str, words)),
            env={
                "PATH": os.defpath, "PYTHONPATH": packages, HELPER: sys.executable, **environment,
            },
            cwd=folder,
            pass_fds=numbers,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)
    assert printed == {sandbox.make_image(World.CONTRACT, rich).digest}


def test_the_end_of_the_process_is_waited_for_and_not_asked_for(
    tmp_path, cache_dir, source, monkeypatch
):
    class Process(subprocess.Popen):
        def wait(self, timeout=None):
            ended.append(self.stdout.closed)
            return super().wait(timeout)

    ended = []
    monkeypatch.setattr(making.subprocess, "Popen", Process)
    other_host(tmp_path / "cache", cache_dir).make_image(World.CONTRACT, source)
    assert ended
    assert all(ended)


def test_two_hosts_make_the_same_image(tmp_path, cache_dir, source, contract):
    made = other_host(tmp_path / "cache", cache_dir).make_image(World.CONTRACT, source)
    assert made.digest == contract.component.digest
    assert made.path.stat().st_size < 3 * MIB


def test_an_image_of_another_host_is_not_used(tmp_path, cache_dir, contract):
    other = other_host(tmp_path / "cache", cache_dir)
    path = contract.component.path
    for name in (path.name, path.with_suffix(".mac").name):
        shutil.copy(path.with_name(name), tmp_path / "cache" / "images" / name)
    with pytest.raises(ComponentUnknownError):
        other.guest(World.CONTRACT, contract.component.digest)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("while True: pass", "all of its fuel"),
        ("x = []\nwhile True: x.append(bytes(1 << 20))", "more memory than its limit"),
        ("def f(): f()\nf()", r"own\.py:1: RecursionError"),
        ("x = '(' * 200_000 + ')' * 200_000\neval(x)", r"own\.py:|sources cannot be loaded"),
        (
            "raise ValueError('half \\ud83d')",
            "own.py:1: ValueError: half \N{REPLACEMENT CHARACTER}",
        ),
        ("raise ValueError('x' * 5_000_000)", "gave no answer"),
        ("class E(Exception):\n def __str__(self): raise SystemExit\nraise E", r"own\.py:3: E: "),
        ("import sys; sys.exit(0)", r"own\.py:1: SystemExit: 0"),
        ("import os; os._exit(0)", "own.py:1|sources cannot be loaded"),
        ("open('/etc/passwd')", r"own\.py:1: .*Error"),
        ("import time; time.time()", r"own\.py:1: .*clock"),
        ("import time; time.sleep(1)", r"own\.py:1: .*Error"),
        ("import os; os.urandom(1)", r"own\.py:1: .*random"),
        ("import subprocess; subprocess.run(['true'])", r"own\.py:1: .*Error"),
        ("import ctypes", r"own\.py:1: ModuleNotFoundError"),
        ("import _ctypes", r"own\.py:1: ModuleNotFoundError"),
        ("import socket; socket.socket()", r"own\.py:1: .*Error"),
        (
            "compile_ = compile('def f(g): g()', 'cordapp/x.py', 'exec'); exec(compile_)\n"
            "f(lambda: 1)\nf(None)",
            r"^own\.py:3: TypeError",
        ),
    ],
)
def test_hostile_sources_are_refused_and_named(host, source, monkeypatch, text, named):
    monkeypatch.setattr(making, "MODULE", "tests.sandbox.loading_with_little")
    kept = sorted(path.name for path in host._images._folder.glob("*.image"))
    before = memories.memory_count()
    with pytest.raises(LoadFailedError, match=named) as caught:
        host.make_image(World.CONTRACT, with_guest(source, text))
    caught.value.message.encode()
    assert len(caught.value.message) < 10_000
    assert sorted(path.name for path in host._images._folder.glob("*.image")) == kept
    assert memories.memory_count() == before


HOST_CALL = """
try:
    from wit_world.imports import {module}
    {module}.{function}("{{}}")
except ImportError as exc:
    raise
except BaseException:
    pass
"""


def test_a_host_call_while_loading_is_refused_even_if_it_is_caught(host, source):
    text = HOST_CALL.format(module="flow", function="now")
    with pytest.raises(LoadFailedError, match=r"cannot be loaded|own\.py"):
        host.make_image(World.WORKFLOW, with_guest(source, text))


def test_the_process_has_limits_of_its_own(host, source, monkeypatch):
    limits = {**making.PROCESS_LIMITS, resource.RLIMIT_CPU: 1}
    monkeypatch.setattr(making, "PROCESS_LIMITS", limits)
    with pytest.raises(LoadFailedError, match="more than 1 s of CPU time"):
        host.make_image(World.CONTRACT, with_guest(source, "while True: pass"))


def test_a_process_that_takes_too_long_is_ended(host, source, monkeypatch):
    monkeypatch.setattr(making, "PROCESS_SECONDS", 0.01)
    with pytest.raises(LoadFailedError, match=r"longer than 0\.01 seconds"):
        host.make_image(World.CONTRACT, with_guest(source, "while True: pass"))


@pytest.mark.parametrize("module", ["this", "tests.sandbox.no_such_module"])
def test_a_process_that_leaves_nothing_made_no_image(host, source, monkeypatch, module):
    monkeypatch.setattr(making, "MODULE", module)
    with pytest.raises(LoadFailedError, match=r"gave no answer|ended with code 1"):
        host.make_image(World.CONTRACT, with_guest(source, "x = 'never made'"))


def test_the_largest_sources_can_be_loaded(host, source):
    lines = "\n".join(f"V{n} = {n}" for n in range(60_000))
    large = PythonSource(
        {**source.files, "own.py": lines, "data.py": f"X = {'y' * 3_000_000!r}"},
        ("own", "data", "cordapp.guest"),
    )
    made = host.make_image(World.CONTRACT, large)
    outcome = host.guest(World.CONTRACT, made.digest).call(
        "verify", "import own, data\nassert (own.V59999, len(data.X)) == (59999, 3000000)",
        limits=Limits(),
    )  # fmt: skip
    assert not outcome.is_error, outcome.value


def test_runs_share_an_image_and_nothing_else(host, source):
    guest = host.guest(World.CONTRACT, host.make_image(World.CONTRACT, source).digest)
    before = memories.memory_count()
    mark = "import builtins\nassert not hasattr(builtins, 'left')\nbuiltins.left = [0] * 100_000"
    outcomes = [guest.call("verify", mark, limits=Limits()) for _ in range(3)]
    assert [outcome.is_error for outcome in outcomes] == [False] * 3
    assert len({outcome.receipt for outcome in outcomes}) == 1
    # One instance, restored, may wait for the next run.
    assert memories.memory_count() - before <= 1


def test_an_image_larger_than_a_runs_limit_is_a_limit(host, source):
    guest = host.guest(World.CONTRACT, host.make_image(World.CONTRACT, source).digest)
    with pytest.raises(SandboxError, match="more memory") as caught:
        guest.call("verify", "pass", limits=Limits(memory_bytes_max=8 * MIB))
    assert (caught.value.code, caught.value.usage.fuel) == ("memory-limit", 0)
