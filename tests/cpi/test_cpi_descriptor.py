"""The code descriptor: canonical form, schema, and the package that it describes."""

import hashlib
import json
from dataclasses import replace

import pytest
import zstandard

from cpi.errors import DescriptorError
from cpi.package.descriptor import CodeDescriptor, dump_descriptor, parse_descriptor
from tests.cpi.support import accept, cpk, refuse

DIGEST = "SHA-256:" + "AB" * 32
PYTHON = CodeDescriptor(
    world="workflow",
    world_version="1.0.0",
    form="python",
    code_digest=DIGEST,
    runtime=DIGEST,
    source_digest=DIGEST,
    entry_modules=("iou.flows", "cordapp"),
    flows=({"name": "iou.flows.Issue", "kind": "client-startable", "versions": [1]},),
    capabilities=("ledger", "external-messaging"),
    limits={"fuelMax": 1000},
    toolchain={"cordbox": "0.1.0"},
)
SOURCES = {"wasm/python/iou/flows.py": b"", "wasm/python/cordapp/__init__.py": b""}
WASM = b"\0asm" + bytes(range(256)) * 4
COMPONENT = CodeDescriptor(
    world="workflow",
    world_version="1.0.0",
    form="component",
    code_digest=f"SHA-256:{hashlib.sha256(WASM).hexdigest().upper()}",
    component_path="wasm/component.wasm.zst",
    component_size=len(WASM),
)
PYTHON_CODE = json.loads(dump_descriptor(PYTHON))["code"]
COMPONENT_CODE = json.loads(dump_descriptor(COMPONENT))["code"]
PACKED = zstandard.ZstdCompressor().compress(WASM)


def with_code(descriptor: CodeDescriptor | bytes, entries: dict[str, bytes]) -> bytes:
    raw = descriptor if isinstance(descriptor, bytes) else dump_descriptor(descriptor)
    return cpk(entries={"wasm/descriptor.json": raw, **entries})


@pytest.mark.parametrize("descriptor", [PYTHON, COMPONENT], ids=["python", "component"])
def test_round_trip(descriptor: CodeDescriptor) -> None:
    raw = dump_descriptor(descriptor)
    assert parse_descriptor(raw) == descriptor
    assert dump_descriptor(parse_descriptor(raw)) == raw
    assert json.loads(raw)["descriptorVersion"] == 2


def test_components_of_version_1_are_still_read_and_python_code_is_built_again() -> None:
    older = {**json.loads(dump_descriptor(COMPONENT)), "descriptorVersion": 1}
    assert parse_descriptor(json.dumps(older).encode()) == COMPONENT
    python = {**PYTHON_CODE, "componentDigest": DIGEST}
    del python["imageDigest"]
    older = {**json.loads(dump_descriptor(PYTHON)), "descriptorVersion": 1, "code": python}
    with pytest.raises(DescriptorError, match=r"descriptorVersion is 1, expected 2: .* again"):
        parse_descriptor(json.dumps(older).encode())


def test_packages_carry_their_descriptor() -> None:
    result = accept(with_code(PYTHON, SOURCES))
    assert result.cpks[0].descriptor == PYTHON
    assert accept(with_code(COMPONENT, {"wasm/component.wasm.zst": PACKED})).cpks[0].descriptor


@pytest.mark.parametrize(
    ("descriptor", "entries"),
    [
        (PYTHON, {}),
        (replace(PYTHON, world="contract"), SOURCES),
        (COMPONENT, {}),
        (COMPONENT, {"wasm/component.wasm.zst": b"junk"}),
        (COMPONENT, {"wasm/component.wasm.zst": PACKED + PACKED}),
        (COMPONENT, {"wasm/component.wasm.zst": PACKED[:-3]}),
        (
            COMPONENT,
            {"wasm/component.wasm.zst": zstandard.ZstdCompressor().compress(WASM[::-1])},
        ),
        (
            COMPONENT,
            {"wasm/component.wasm.zst": zstandard.ZstdCompressor().compress(bytes(50_000_000))},
        ),
        (
            replace(COMPONENT, component_size=len(WASM) + 1),
            {"wasm/component.wasm.zst": PACKED},
        ),
    ],
    ids=[
        "no-source",
        "world",
        "no-component",
        "junk",
        "two-frames",
        "cut",
        "digest",
        "bomb",
        "size",
    ],
)
def test_the_package_must_be_what_the_descriptor_says(descriptor, entries) -> None:
    assert set(refuse(with_code(descriptor, entries))) == {"descriptor-code-mismatch"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("descriptorVersion", 3),
        ("world", "network"),
        ("worldVersion", "1.0"),
        ("worldVersion", "1.0.0\n"),
        ("code", {"form": "python", "imageDigest": DIGEST}),
        ("code", {**PYTHON_CODE, "imageDigest": None}),
        ("code", {**PYTHON_CODE, "componentDigest": DIGEST}),
        ("code", {k: v for k, v in PYTHON_CODE.items() if k != "imageDigest"}),
        ("code", {**COMPONENT_CODE, "imageDigest": DIGEST}),
        ("code", {k: v for k, v in COMPONENT_CODE.items() if k != "componentDigest"}),
        ("code", {"form": "component", "componentDigest": DIGEST, "path": "x", "size": 1}),
        ("code", {**PYTHON_CODE, "imageDigest": DIGEST.lower()}),
        ("flows", {}),
        ("capabilities", ["ledger", "ledger"]),
        ("capabilities", ["../x"]),
        ("limits", {"fuelMax": 0}),
        ("limits", {"other": 1}),
        ("toolchain", {"x": 1}),
        ("unknown", 1),
    ],
)
def test_schema(key: str, value: object) -> None:
    document = {**json.loads(dump_descriptor(PYTHON)), key: value}
    raw = json.dumps(document).encode()
    with pytest.raises(DescriptorError, match="descriptor"):
        parse_descriptor(raw)
    assert refuse(with_code(raw, SOURCES)) == ["descriptor-invalid"]


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a":1,"a":2}', b"\xff"])
def test_no_json(raw: bytes) -> None:
    with pytest.raises(DescriptorError, match="no strict JSON"):
        parse_descriptor(raw)


def test_queries_are_written_and_what_json_cannot_say_is_refused() -> None:
    query = {"name": "q", "state": "s", "where": "x"}
    with pytest.raises(DescriptorError, match="descriptor"):
        dump_descriptor(replace(COMPONENT, limits={"fuelMax": float("nan")}))
    asked = replace(COMPONENT, queries=(query,))
    assert parse_descriptor(dump_descriptor(asked)).queries == (query,)
    for document in (b"[]", b'{"code": 1}'):
        with pytest.raises(DescriptorError):
            parse_descriptor(document)
