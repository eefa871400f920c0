"""The cache never loads what this host did not compile or make itself."""

import base64
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import wat2wasm

from sandbox.aot_cache import AotCache
from sandbox.compile_budget import CompileBudget
from sandbox.digests import digest_of, file_stem
from sandbox.engine import fingerprint, new_engine, profile_digest
from sandbox.errors import (
    ComponentUnknownError,
    LoadFailedError,
    RuntimeUnknownError,
    SourceRefusedError,
    WorldMismatchError,
)
from sandbox.files import write_whole
from sandbox.images import making
from sandbox.jail import compile_in_jail
from sandbox.limits import Limits
from sandbox.python_source import PythonSource
from sandbox.world import World


@pytest.fixture
def stored(tmp_path, texts) -> Path:
    data = bytes(wat2wasm(texts.contract(texts.accepts)))
    path = tmp_path / f"{file_stem(digest_of(data))}.wasm"
    path.write_bytes(data)
    return path


class Compiler:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, component: Path, output: Path) -> None:
        self.count += 1
        compile_in_jail(component, output, CompileBudget.of_code(0))


def load(folder: Path, stored: Path, compiler: Compiler) -> None:
    AotCache(folder).load(new_engine(), stored.stem, stored, compiler)


def compiled(folder: Path) -> Path:
    return next(folder.glob("*.cwasm"))


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    write_whole(path, bytes(data))


def test_a_component_is_compiled_once(tmp_path, stored):
    compiler = Compiler()
    for _ in range(3):
        load(tmp_path / "aot", stored, compiler)
    assert compiler.count == 1


def test_what_a_killed_compiler_left_is_cleared_away(tmp_path, stored):
    folder = tmp_path / "compiled"
    load(folder, stored, Compiler())
    code = compiled(folder)
    left = code.with_suffix(".4711.new")
    left.write_bytes(bytes(10))
    code.unlink()
    load(folder, stored, Compiler())
    assert compiled(folder) == code
    assert not left.exists()


def test_a_component_is_compiled_once_by_threads_that_ask_at_once(tmp_path, stored):
    compiler = Compiler()
    threads = [
        threading.Thread(target=load, args=(tmp_path / "aot", stored, compiler)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compiler.count == 1


@pytest.mark.parametrize("damage", ["code", "mac", "mac-missing", "secret", "cut", "renamed"])
def test_a_damaged_or_foreign_entry_is_compiled_again(tmp_path, stored, damage):
    folder, compiler = tmp_path / "aot", Compiler()
    load(folder, stored, compiler)
    code = compiled(folder)
    if damage == "code":
        flip_a_bit(code)
    elif damage == "mac":
        flip_a_bit(code.with_suffix(".mac"))
    elif damage == "mac-missing":
        code.with_suffix(".mac").unlink()
    elif damage == "secret":
        (folder / "secret").write_bytes(b"x" * 32)
    elif damage == "cut":
        code.write_bytes(code.read_bytes()[:-1])
    else:
        other = code.with_name("0" * 64 + code.name[64:])
        code.rename(other)
        code.with_suffix(".mac").rename(other.with_suffix(".mac"))
    load(folder, stored, compiler)
    assert compiler.count == 2
    load(folder, stored, compiler)
    assert compiler.count == 2


def test_an_entry_of_one_digest_is_not_loaded_for_another(tmp_path, stored, texts):
    folder, compiler = tmp_path / "aot", Compiler()
    load(folder, stored, compiler)
    data = bytes(wat2wasm(texts.contract("unreachable")))
    other = stored.with_name(f"{file_stem(digest_of(data))}.wasm")
    other.write_bytes(data)
    code = compiled(folder)
    for own in (code, code.with_suffix(".mac")):
        write_whole(own.with_name(other.stem + own.name[64:]), own.read_bytes())
    load(folder, other, compiler)
    assert compiler.count == 2


def test_a_component_file_with_other_bytes_is_not_compiled(tmp_path, stored):
    flip_a_bit(stored)
    compiler = Compiler()
    with pytest.raises(ComponentUnknownError):
        load(tmp_path / "aot", stored, compiler)
    assert compiler.count == 0


def test_the_cache_is_private(tmp_path, stored):
    load(tmp_path / "aot", stored, Compiler())
    assert (tmp_path / "aot").stat().st_mode & 0o077 == 0
    assert (tmp_path / "aot" / "secret").stat().st_mode & 0o177 == 0


def test_engines_of_the_one_profile_load_each_others_code(tmp_path, stored):
    compiler = Compiler()
    for _ in range(2):
        load(tmp_path / "aot", stored, compiler)
    assert compiler.count == 1
    assert len(fingerprint()) == len(profile_digest()) == 64
    assert fingerprint() != profile_digest()


def test_an_image_is_made_once(sandbox, source, contract, cache_dir):
    record = next(
        p
        for p in (cache_dir / "images" / "known").glob("*.json")
        if file_stem(contract.component.digest) in p.read_text().lower()
    )
    record.unlink()
    again = sandbox.make_image(
        World.CONTRACT, PythonSource(dict(source.files), source.entry_modules)
    )
    assert again == contract.component
    assert again.runtime == sandbox.default_runtime(World.CONTRACT)


def test_a_damaged_image_is_made_again(sandbox, source, contract):
    path = contract.component.path
    before = path.read_bytes()
    flip_a_bit(path)
    assert sandbox.make_image(World.CONTRACT, source) == contract.component
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("import asyncio\n", r"own\.py:1: ModuleNotFoundError: cannot import 'asyncio'"),
        ("x = 1\ndef f(:\n", r"own\.py:2: SyntaxError"),
        ("\n\nraise ValueError('é\"\\\\')", r"own\.py:3: ValueError: é\"\\"),
        ("import datetime\ndatetime.datetime.now()", "no clock"),
        ("import own.part", "not a package"),
    ],
)
def test_sources_that_cannot_be_imported_are_named(sandbox, source, text, named):
    files = {**source.files, "own.py": text}
    with pytest.raises(LoadFailedError, match=named):
        sandbox.make_image(World.CONTRACT, PythonSource(files, ("own",)))


def test_sources_without_the_sdk_are_refused(sandbox):
    with pytest.raises(LoadFailedError, match=r"cordapp\.guest|'cordapp'"):
        sandbox.make_image(World.CONTRACT, PythonSource({"own.py": ""}, ("own",)))


def test_runtimes_are_named_exactly(sandbox, source):
    with pytest.raises(RuntimeUnknownError, match="SHA-256:00"):
        sandbox.make_image(World.CONTRACT, source, runtime="SHA-256:00")
    with pytest.raises(WorldMismatchError, match="found workflow"):
        sandbox.make_image(World.CONTRACT, source, runtime=sandbox.default_runtime(World.WORKFLOW))


@pytest.mark.parametrize(
    ("files", "entry", "named"),
    [
        ({"../x.py": ""}, (), r"\.\./x\.py"),
        ({"/x.py": ""}, (), "/x.py"),
        ({"x y.txt": ""}, (), "x y.txt"),
        ({"a b.py": ""}, (), "a b.py"),
        ({}, ("os; x",), "os; x"),
        ({"x.py": "y" * 4_200_000}, (), "bytes"),
        ({f"m{n}.py": "" for n in range(2_001)}, (), "2001 source files"),
    ],
)
def test_sources_have_a_form_and_limits(files, entry, named):
    with pytest.raises(SourceRefusedError, match=named):
        PythonSource(files, entry)


def test_the_digest_of_sources_does_not_depend_on_order():
    one = PythonSource({"a.py": "1", "b.py": "2"}, ("a", "b"))
    two = PythonSource({"b.py": "2", "a.py": "1"}, ("a", "b"))
    assert one.digest == two.digest
    assert one.digest != PythonSource({"a.py": "1", "b.py": "2"}, ("b", "a")).digest


@pytest.mark.property
@given(st.text(max_size=3_000) | st.integers(65_000, 140_000).map("x".__mul__))
def test_packed_sources_are_a_zlib_stream_that_compresses_nothing(text):
    source = PythonSource({"a.py": text}, ())
    packed = source.packed()
    assert zlib.decompress(packed) == source.canonical
    blocks = -(-len(source.canonical) // 65_535)
    assert len(packed) == len(source.canonical) + 2 + 5 * blocks + 4


def test_a_failing_describe_is_an_error(sandbox, source):
    files = {"cordapp/guest.py": source.files["cordapp/guest.py"].replace('"{}"', "1 / 0")}
    component = sandbox.make_image(World.CONTRACT, PythonSource(files, ("cordapp.guest",)))
    outcome = sandbox.guest(World.CONTRACT, component.digest).call(
        "describe", None, limits=Limits()
    )
    assert outcome.is_error
    assert '"type": "ZeroDivisionError"' in outcome.value


def test_python_tracebacks_name_the_bundles_files(sandbox, source, workflow):
    files = {**source.files, "own/steps.py": "def step():\n    return 1 / 0\n"}
    component = sandbox.make_image(
        World.WORKFLOW, PythonSource(files, ("own.steps", "cordapp.guest"))
    )
    guest = sandbox.guest(World.WORKFLOW, component.digest)
    outcome = guest.call("run", "import own.steps\nown.steps.step()", limits=Limits())
    assert '{"file": "own/steps.py", "line": 2, "function": "step"}' in outcome.value


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (
            '{"type": "E", "message": "half \\ud83d", "trace": []}',
            "E: half \N{REPLACEMENT CHARACTER}",
        ),
        (
            '{"type": "E", "message": "m", "trace": [{}]}',
            "the sources left no report of their failure",
        ),
        ("[" * 100_000, "the sources left no report of their failure"),
        ("[1]", "the sources left no report of their failure"),
    ],
)
def test_the_report_of_sources_that_failed_may_be_anything(report, message):
    failed = making._failure(base64.b64encode(report.encode()).decode())
    assert failed.message == message
    assert making._failure("no base64").message.startswith("the sources left no report")
    long = base64.b64encode(b'{"type": "E", "message": "' + b"m" * 100_000 + b'", "trace": []}')
    assert len(making._failure(long.decode()).message) < 10_000
