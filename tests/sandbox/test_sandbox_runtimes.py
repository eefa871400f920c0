"""The pinned runtimes are what their provenance says, and the commands tell."""

import json
import shutil

import pytest
from click.testing import CliRunner
from wasmtime import wat2wasm

from host.cli import component as component_cli
from host.cli import runtime as runtime_cli
from sandbox.errors import RuntimeDamagedError
from sandbox.pinned import (
    DIRECTORY,
    compress,
    decompress,
    default_runtime,
    pinned_runtimes,
    unpack_runtime,
)
from sandbox.runtime_build import check_runtimes, pin_runtimes
from sandbox.world import World


def test_the_installed_runtimes_are_intact_and_current():
    checks = list(check_runtimes())
    assert {check.runtime.world for check in checks} == set(World)
    assert [check.error for check in checks] == [None] * len(checks)
    assert {default_runtime(w).digest for w in World} <= {
        c.runtime.digest for c in checks if c.current
    }


def test_a_runtime_with_a_flipped_bit_is_refused(tmp_path):
    copy = tmp_path / "runtimes"
    shutil.copytree(DIRECTORY, copy)
    runtime = default_runtime(World.CONTRACT, copy)
    data = bytearray((copy / runtime.file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / runtime.file).write_bytes(data)
    with pytest.raises(RuntimeDamagedError, match=runtime.file):
        unpack_runtime(runtime, copy)


def test_pinning_keeps_the_older_runtimes(tmp_path):
    first, second = b"first" * 1_000, b"first" * 1_000 + b"second"
    for contract, workflow in ((first, second), (second, first)):
        pin_runtimes(
            {World.CONTRACT: contract, World.WORKFLOW: workflow},
            built="2026-01-01",
            directory=tmp_path,
        )
    runtimes = pinned_runtimes(tmp_path)
    assert [unpack_runtime(r, tmp_path) for r in runtimes] == [first, second, second, first]
    assert default_runtime(World.CONTRACT, tmp_path) == runtimes[2]
    assert runtimes[1].base == runtimes[0].digest
    assert "does not build reproducibly" in (tmp_path / "provenance.json").read_text()


def test_a_patch_is_smaller_than_what_it_makes():
    base = b"".join(n.to_bytes(4, "big") for n in range(20_000))
    packed = compress(base + b"tail", base=base)
    assert len(packed) < 1_000
    assert decompress(packed, base=base, size=len(base) + 4) == base + b"tail"


def invoke(command, *arguments):
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


def test_the_runtime_commands(tmp_path):
    listed = invoke(runtime_cli.command, "list", "--output", "json")
    assert [r["world"] for r in json.loads(listed.stdout)] == ["contract", "workflow"]
    assert default_runtime(World.CONTRACT).digest in invoke(runtime_cli.command, "list").stdout
    verified = invoke(runtime_cli.command, "verify")
    assert verified.return_value == 0
    assert verified.stdout.count("intact") == 2


def test_the_component_check_command(tmp_path, texts):
    good, bad = tmp_path / "a.wasm", tmp_path / "b" / "c.wasm"
    bad.parent.mkdir()
    good.write_bytes(bytes(wat2wasm(texts.contract(texts.accepts))))
    bad.write_bytes(b"\0asm\x01\0\0\0")
    accepted = invoke(component_cli.command, "check", str(good), "--world", "contract")
    assert (accepted.return_value, accepted.stdout) == (0, f"accepted {good}\n")
    both = invoke(component_cli.command, "check", str(tmp_path), "--output", "jsonl")
    lines = [json.loads(line) for line in both.stdout.splitlines()]
    assert both.return_value == 1
    assert [(line["file"], line["accepted"], line["code"]) for line in lines] == [
        (str(good), True, None),
        (str(bad), False, "component-refused"),
    ]
    mismatch = invoke(component_cli.command, "check", str(good), "--world", "workflow")
    assert "[world-mismatch]" in mismatch.stdout
