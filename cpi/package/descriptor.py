"""`wasm/descriptor.json`: what a CPK's WebAssembly code is, needs and offers.

The schema is `schemas/descriptor.schema.json`. Digests are `SHA-256:HEX` with upper-case digits.
What the code declares (flows, states and so on) is kept as the guest's `describe` export gives it;
its inner shape is not judged here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cpi.errors import Code, DescriptorError
from cpi.limits import DEFAULT_LIMITS
from cpi.schemas import validator
from cpi.strict_json import JsonRefusedError, first_issue, parse_json

DESCRIPTOR_PATH = "wasm/descriptor.json"
PYTHON_PREFIX = "wasm/python/"
DESCRIPTOR_VERSION = 2
"""Version 1 named a component for Python code, too; of it, only self-contained ones are read."""

Declarations = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDescriptor:
    """A CPK's code: the world that it targets, its form and digests, and what it declares.

    A Python CPK names the pinned `runtime` and its `source_digest`; a component CPK names the
    zstd file `component_path` and its unpacked `component_size` in bytes.

    Attributes:
        code_digest: of what is run: the image that the sources give in the runtime (`imageDigest`),
            or the component (`componentDigest`).
    """

    world: Literal["contract", "workflow"]
    world_version: str
    form: Literal["python", "component"]
    code_digest: str
    runtime: str | None = None
    source_digest: str | None = None
    component_path: str | None = None
    component_size: int | None = None
    entry_modules: tuple[str, ...] = ()
    contracts: Declarations = ()
    states: Declarations = ()
    commands: Declarations = ()
    flows: Declarations = ()
    entities: Declarations = ()
    queries: Declarations = ()
    capabilities: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    toolchain: Mapping[str, str] = field(default_factory=dict)


def parse_descriptor(data: bytes) -> CodeDescriptor:
    """Parse and validate a descriptor.

    Raises:
        DescriptorError: with the JSON path of the first violation.
    """
    try:
        document = parse_json(data, bytes_max=DEFAULT_LIMITS.json_bytes_max)
    except JsonRefusedError as error:
        raise DescriptorError(
            Code.DESCRIPTOR, f"{DESCRIPTOR_PATH} is no strict JSON: {error}", entry=DESCRIPTOR_PATH
        ) from error
    _refuse_older_python(document)
    issue = first_issue(validator("descriptor"), document, Code.DESCRIPTOR)
    if issue is not None:
        raise DescriptorError(
            Code.DESCRIPTOR, f"{DESCRIPTOR_PATH}: {issue.message}", entry=DESCRIPTOR_PATH
        )
    code = document["code"]
    return CodeDescriptor(
        world=document["world"],
        world_version=document["worldVersion"],
        form=code["form"],
        code_digest=code[_digest_key(code["form"])],
        runtime=code.get("runtime"),
        source_digest=code.get("sourceDigest"),
        component_path=code.get("path"),
        component_size=code.get("size"),
        entry_modules=tuple(code.get("entryModules", ())),
        contracts=tuple(document.get("contracts", ())),
        states=tuple(document.get("states", ())),
        commands=tuple(document.get("commands", ())),
        flows=tuple(document.get("flows", ())),
        entities=tuple(document.get("entities", ())),
        queries=tuple(document.get("queries", ())),
        capabilities=tuple(document.get("capabilities", ())),
        limits=document.get("limits", {}),
        toolchain=document.get("toolchain", {}),
    )


def _digest_key(form: str) -> str:
    return "imageDigest" if form == "python" else "componentDigest"


def _refuse_older_python(document: object) -> None:
    """Refuse Python code of version 1, whose components are no longer made.

    Raises:
        DescriptorError: it is such a descriptor.
    """
    code = document.get("code") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(code, dict):
        return  # the schema says what is wrong
    if (document.get("descriptorVersion"), code.get("form")) == (1, "python"):
        raise DescriptorError(
            Code.DESCRIPTOR,
            f"{DESCRIPTOR_PATH}: descriptorVersion is 1, expected {DESCRIPTOR_VERSION}: Python code"
            " is run as an image of its runtime now; build the CPK again with this release",
            entry=DESCRIPTOR_PATH,
        )


def dump_descriptor(descriptor: CodeDescriptor) -> bytes:
    """The descriptor as canonical JSON (RFC 8785).

    Raises:
        DescriptorError: it breaks the schema or contains a value that JSON cannot express.
    """
    code = {
        "form": descriptor.form,
        "runtime": descriptor.runtime,
        "sourceDigest": descriptor.source_digest,
        _digest_key(descriptor.form): descriptor.code_digest,
        "path": descriptor.component_path,
        "size": descriptor.component_size,
        "entryModules": list(descriptor.entry_modules),
    }
    document = {
        "descriptorVersion": DESCRIPTOR_VERSION,
        "world": descriptor.world,
        "worldVersion": descriptor.world_version,
        "code": {name: value for name, value in code.items() if value is not None},
        "contracts": list(descriptor.contracts),
        "states": list(descriptor.states),
        "commands": list(descriptor.commands),
        "flows": list(descriptor.flows),
        "entities": list(descriptor.entities),
        "capabilities": list(descriptor.capabilities),
        "limits": dict(descriptor.limits),
        "toolchain": dict(descriptor.toolchain),
    }
    if descriptor.queries:
        document["queries"] = list(descriptor.queries)
    import rfc8785  # noqa: PLC0415 - only builders write descriptors

    try:
        data = rfc8785.dumps(document)
    except rfc8785.CanonicalizationError as error:
        raise DescriptorError(Code.DESCRIPTOR, f"descriptor: {error}") from error
    parse_descriptor(data)
    return data
