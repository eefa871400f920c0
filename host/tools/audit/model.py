"""The results of an audit: facts of a package, its components and their host calls.

Every value is plain data; `document` returns it as JSON. Digests are `SHA-256:HEX`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from host.domain.json import JsonObject, camel_case
from host.guests.walls import ImportFacts, LimitFacts
from sandbox.anatomy import Anatomy


class Trust(StrEnum):
    """The result of verifying a package's signatures and trust."""

    TRUSTED = "trusted"
    NOT_JUDGED = "not-judged"
    UNTRUSTED = "untrusted"
    NOT_VERIFIED = "not-verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A finding for the reader: a stable code and one sentence."""

    code: str
    message: str
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerFacts:
    """One signature; `certificate` and `issuers` are SHA-256 digests of the DER certificates."""

    subject: str
    issuer: str
    certificate: str
    issuers: tuple[str, ...]
    key: str
    algorithm: str
    not_before: str
    not_after: str
    timestamp: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFacts:
    """A pinned Python runtime, the component that runs the images of Python CPKs.

    Attributes:
        known: whether this host has it; facts about it are missing otherwise.
        cpks: the names of the CPKs that run in it.
    """

    digest: str
    known: bool
    built: str | None
    componentize_py: str | None
    cpks: tuple[str, ...]
    body: Anatomy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentFacts:
    """One CPK and what its code gives: an image of a Python runtime, or a component.

    Attributes:
        name: the CPK's.
        file: its name in the CPB; empty for a CPK by itself.
        form: `python`, `component`, or `none` for a CPK without WebAssembly code.
        refusal: why there is no component; facts about it are then missing.
        runtime: digest of the Python runtime.
        code_digest: of the image or component.
        image_size: bytes of an image's memory; None for a component, or if there is none.
        imports: of the component that runs, not of the descriptor; None if not read.
        body: of a component; that of a Python runtime is told once for all CPKs.
        exports: name -> type in WIT's notation.
        leaves: the data that can leave the virtual node, one sentence each.
    """

    name: str
    version: str
    file: str
    file_checksum: str
    kind: str
    signers: tuple[str, ...]
    world: str | None
    world_version: str | None
    form: str
    toolchain: Mapping[str, str]
    source_digest: str | None
    source_files: int
    source_size: int
    runtime: str | None
    code_digest: str | None
    image_size: int | None
    packed_size: int | None
    refusal: Note | None
    capabilities: tuple[str, ...]
    imports: tuple[ImportFacts, ...] | None
    exports: Mapping[str, str]
    body: Anatomy | None
    limits: tuple[LimitFacts, ...]
    flows: tuple[str, ...]
    contracts: tuple[str, ...]
    states: tuple[str, ...]
    entities: tuple[str, ...]
    queries: tuple[str, ...]
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The whole audit of one package."""

    file: str
    size: int
    file_checksum: str
    package_type: str
    name: str | None
    version: str | None
    signer_summary_hash: str | None
    trust: Trust
    trust_notes: tuple[Note, ...]
    signers: tuple[SignerFacts, ...]
    group_id: str | None
    group_kind: str | None
    group_members: tuple[str, ...]
    engine: Mapping[str, str]
    runtimes: tuple[RuntimeFacts, ...]
    components: tuple[ComponentFacts, ...]
    warnings: tuple[Note, ...]


AUDIT_VERSION = 2


def document(audit: Audit) -> JsonObject:
    """The audit as JSON, field names in camel case."""
    plain: JsonObject = {"auditVersion": AUDIT_VERSION, **plain_of(audit)}
    return plain


def plain_of(value: Any) -> Any:
    """Dataclasses as objects with camel-case names, tuples as arrays; keys of mappings stay."""
    if dataclasses.is_dataclass(value):
        return {
            camel_case(field.name): plain_of(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): plain_of(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain_of(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value
