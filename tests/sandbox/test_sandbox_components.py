"""Admission: static limits, validity, and the imports and exports of the world."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import wat2wasm

from sandbox.compile_budget import CompileBudget
from sandbox.component_check import check_components
from sandbox.errors import (
    ComponentRefusedError,
    ComponentUnknownError,
    SandboxError,
    WorldMismatchError,
)
from sandbox.host_api import HOST_API
from sandbox.jail import compile_in_jail
from sandbox.static_limits import PLAIN, check_static
from sandbox.world import World, expected_imports
from tests.support.vectors import VECTORS

REPOSITORY = Path(__file__).parents[2]
HOSTILE = VECTORS / "wasm" / "invalid-components-and-modules.tar.zst"


def wasm(text: str) -> bytes:
    return bytes(wat2wasm(text))


@pytest.mark.parametrize(
    ("world", "change", "named"),
    [
        (World.WORKFLOW, ("", ""), "export 'verify'"),
        (
            World.CONTRACT,
            ('(export "verify") (param "transaction"', '(export "verify") (param "tx"'),
            "func",
        ),
        (
            World.CONTRACT,
            ('(func (export "describe") (result string)', '(func (export "about") (result string)'),
            "'about'",
        ),
    ],
)
def test_a_component_of_another_shape_is_refused(sandbox, texts, world, change, named):
    text = texts.contract(texts.accepts).replace(*change)
    with pytest.raises(WorldMismatchError, match=named):
        sandbox.admit(world, wasm(text))


def test_an_extra_export_is_refused_by_name(sandbox, texts):
    extra = '(func (export "load") (result string) (canon lift (core func $main "describe") (memory (core memory $libc "memory"))))'
    with pytest.raises(WorldMismatchError, match="'load'"):
        sandbox.admit(World.CONTRACT, wasm(texts.contract(texts.accepts, extra=extra)))


@pytest.mark.parametrize(
    "interface",
    ["cordbox:guest/flow@1.1.0", "cordbox:guest/clock@1.0.0", "wasi:clocks/wall-clock@0.2.0"],
)
def test_an_import_outside_the_world_is_refused_by_name(sandbox, texts, interface):
    text = texts.workflow(texts.echoes_answer, interface=interface)
    with pytest.raises(WorldMismatchError, match=interface):
        sandbox.admit(World.WORKFLOW, wasm(text))


def test_a_contract_imports_nothing(sandbox, texts):
    text = texts.workflow(texts.echoes_answer)
    with pytest.raises(WorldMismatchError, match="imports nothing"):
        sandbox.admit(World.CONTRACT, wasm(text))


def test_a_stored_component_belongs_to_one_world(sandbox, texts):
    component = sandbox.admit(World.CONTRACT, wasm(texts.contract(texts.accepts)))
    with pytest.raises(WorldMismatchError, match="expected world workflow"):
        sandbox.guest(World.WORKFLOW, component.digest)
    assert sandbox.guest(World.CONTRACT, component.digest).component == component


@pytest.mark.parametrize("digest", ["SHA-256:" + "0" * 64, "../../etc/passwd", "sha-256:00"])
def test_an_unknown_component_is_refused(sandbox, digest):
    with pytest.raises(ComponentUnknownError):
        sandbox.guest(World.CONTRACT, digest)


def test_the_wit_and_the_world_tables_agree():
    text = (REPOSITORY / "sandbox" / "wit" / "guest.wit").read_text()
    shape = subprocess.run(
        [
            Path(sys.executable).with_name("wasm-tools"),
            "component",
            "wit",
            "--json",
            REPOSITORY / "sandbox" / "wit",
        ],
        capture_output=True,
        check=True,
    )
    found = {
        i["name"]: list(i["functions"]) for i in json.loads(shape.stdout)["interfaces"] if i["name"]
    }
    assert found == {interface: list(functions) for interface, functions in HOST_API.items()}
    assert len(expected_imports(World.WORKFLOW)) == 24
    assert text.startswith("package cordbox:guest@1.0.0;")


MODULE = b"\0asm\x01\0\0\0"
HEADER = b"\0asm\x0d\0\x01\0"


def leb(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def section(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + leb(len(body)) + body


def module(*sections: bytes) -> bytes:
    return HEADER + section(1, MODULE + b"".join(sections))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "expected a component"),
        (MODULE, "found a core module"),
        (HEADER + b"\x01\xff", "cut short"),
        (HEADER + b"\x01\xff\xff\xff\xff\xff\x01", "32 bits"),
        (HEADER + b"\x01\x10\0", "longer than what holds it"),
        (HEADER + section(1, b"\0asm"), "no such header"),
        (HEADER + section(0, b"") * 2_001, "sections, at most"),
        (HEADER + section(1, MODULE) * 51, "modules, at most"),
        (module(section(3, leb(30_001))), "functions, at most"),
        (module(section(6, leb(50_001))), "globals, at most"),
        (module(section(10, leb(1) + leb(5) + b"\x01" + leb(2_001) + b"\x7f\x0b")), "locals"),
        (module(section(10, leb(1) + leb(200_000) + b"\0" * 200_000)), "at most 131072"),
        (module(section(10, leb(1) + leb(50))), "longer than its section"),
        (b"\0" * (PLAIN.bytes_max + 1), "at most 16777216"),
    ],
)
def test_static_limits_name_what_is_too_much(data, named):
    with pytest.raises(ComponentRefusedError, match=named):
        check_static(data, PLAIN)


def test_nesting_is_bounded():
    data = HEADER
    for _ in range(10):
        data = HEADER + section(4, data)
    with pytest.raises(ComponentRefusedError, match="nested deeper"):
        check_static(data, PLAIN)


@pytest.mark.property
@given(st.binary(max_size=200))
def test_any_bytes_are_walked_or_refused(data):
    for candidate in (data, HEADER + data, HEADER + section(1, MODULE + data)):
        with contextlib.suppress(ComponentRefusedError):
            check_static(candidate, PLAIN)


def test_the_jail_reports_an_invalid_component(tmp_path):
    bad = tmp_path / "bad.wasm"
    bad.write_bytes(HEADER + section(1, MODULE + b"\xff\0"))
    with pytest.raises(ComponentRefusedError):
        compile_in_jail(bad, tmp_path / "out", CompileBudget.of_code(0))


def test_a_check_outlives_a_file_that_never_ends(tmp_path, texts):
    good = tmp_path / "2.wasm"
    good.write_bytes(wasm(texts.contract(texts.accepts)))
    bomb = tmp_path / "1.wasm"
    os.mkfifo(bomb)
    verdicts = list(check_components([bomb, good], World.CONTRACT, file_seconds=3))
    assert [(v.file, v.code) for v in verdicts] == [(bomb, "compile-refused"), (good, None)]


@pytest.mark.conformance
def test_every_hostile_binary_is_refused_and_the_process_lives(tmp_path):
    files = unpack(HOSTILE, tmp_path)
    assert len(files) == 1858
    verdicts = list(check_components(files, None))
    assert [v.file for v in verdicts] == files
    assert [v for v in verdicts if v.accepted or not v.code or not v.message] == []


@pytest.mark.conformance
def test_hostile_binaries_are_refused_at_admission(sandbox, tmp_path):
    components = [f for f in unpack(HOSTILE, tmp_path) if f.read_bytes()[:8] == HEADER]
    for file in components[::40]:
        with pytest.raises(SandboxError):
            sandbox.admit(World.CONTRACT, file.read_bytes())


def unpack(archive: Path, folder: Path) -> list[Path]:
    import io
    import tarfile

    import zstandard

    with archive.open("rb") as stream:
        data = zstandard.ZstdDecompressor().stream_reader(stream).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(folder, filter="data")
    return sorted(p for p in folder.rglob("*") if p.is_file())
