"""Collects the facts of an audit: the package's own, and those of the components it gives."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.certificate import AnyCertificate
from cpi.errors import CpiError
from cpi.package.descriptor import PYTHON_PREFIX, CodeDescriptor
from cpi.package.group_policy import parse_group_policy
from cpi.package.model import Signer, VerifiedCpk, VerifiedPackage
from host.domain.errors import HostError
from host.guests.admissions import Admissions, Task
from host.guests.code import (
    MAKING_MEMORY_BYTES,
    CpkCode,
    check_description,
    code_of,
    make_component,
)
from host.guests.walls import import_facts, leaving, limit_facts
from host.tools.audit.model import (
    Audit,
    ComponentFacts,
    Note,
    RuntimeFacts,
    SignerFacts,
)
from host.tools.audit.opening import note_of, open_package
from sandbox.anatomy import Anatomy, anatomy_of, shape_of_guest
from sandbox.engine import engine_version, profile_digest
from sandbox.errors import RuntimeDamagedError, RuntimeUnknownError, SandboxError
from sandbox.guest import Component
from sandbox.host_api import HOST_API
from sandbox.inspect import Shape
from sandbox.limits import Limits
from sandbox.pinned import PinnedRuntime, find_runtime, unpack_runtime
from sandbox.runtime import Sandbox

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def audit_package(
    data: bytes,
    *,
    file: str,
    trusted: Sequence[AnyCertificate],
    sandbox: Sandbox,
    limits: Limits,
    allowed: frozenset[str] = frozenset(HOST_API),
    progress: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Audit a CPK, CPB or CPI, whether or not it is signed and trusted.

    Images of Python CPKs are made as the host makes them, so the facts are those of what would run.
    Nothing but `describe` is executed, in a sandbox.

    Args:
        data: the whole file.
        file: its name, for the report.
        trusted: trust anchors; without any, trust is not judged.
        sandbox: makes images, admits and compiles.
        limits: those of the host that the package is audited for.
        allowed: the most capabilities that this host grants.
        progress: is told each step in a sentence.

    Raises:
        CpiError: the file is not a package with readable archives.
    """
    opened = open_package(data, trusted)
    package = opened.package
    components = _components(package, sandbox, limits, allowed, progress)
    group = _group(package.group_policy)
    return Audit(
        file=file,
        size=len(data),
        file_checksum=package.file_checksum,
        package_type=str(package.type),
        name=package.id.name if package.id else None,
        version=package.id.version if package.id else None,
        signer_summary_hash=(package.id.signer_summary_hash or None) if package.id else None,
        trust=opened.trust,
        trust_notes=opened.notes,
        signers=_signers(package),
        group_id=group.get("id"),
        group_kind=group.get("kind"),
        group_members=group.get("members", ()),
        engine={"wasmtime": engine_version(), "profile": profile_digest()},
        runtimes=_runtimes(components),
        components=tuple(components),
        warnings=tuple(note_of(warning) for warning in package.warnings),
    )


def _signers(package: VerifiedPackage) -> tuple[SignerFacts, ...]:
    """Signers of the package and of the CPKs inside it, each once."""
    every = [*package.signers, *(s for cpk in package.cpks for s in cpk.signers)]
    return tuple(dict.fromkeys(_signer(signer) for signer in every))


def _signer(signer: Signer) -> SignerFacts:
    leaf, *issuers = (_certificate_digest(certificate) for certificate in signer.chain)
    return SignerFacts(
        subject=signer.subject,
        issuer=signer.issuer,
        certificate=leaf,
        issuers=tuple(issuers),
        key=signer.key,
        algorithm=signer.algorithm,
        not_before=_moment(signer.not_before),
        not_after=_moment(signer.not_after),
        timestamp=_moment(signer.timestamp) if signer.timestamp else None,
    )


def _moment(moment: datetime) -> str:
    return moment.strftime(_TIME)


def _certificate_digest(certificate: AnyCertificate) -> str:
    der = certificate.public_bytes(Encoding.DER)
    return "SHA-256:" + hashlib.sha256(der).hexdigest().upper()


def _group(policy: str | None) -> Mapping[str, Any]:
    if policy is None:
        return {}
    try:
        parsed = parse_group_policy(policy)
    except CpiError:
        return {}
    members = tuple(member.name for member in parsed.static_members)
    return {"id": parsed.group_id, "kind": parsed.kind.value, "members": members}


def _components(
    package: VerifiedPackage,
    sandbox: Sandbox,
    limits: Limits,
    allowed: frozenset[str],
    progress: Callable[[str], None],
) -> Sequence[ComponentFacts]:
    """The facts of every CPK, in the order of the package."""
    progress(f"Auditing {len(package.cpks)} CPKs")
    tasks = [
        Task(
            name=f"{cpk.id.name} {cpk.id.version}",
            memory_bytes=MAKING_MEMORY_BYTES,
            action=partial(_component, cpk, package.cpks, sandbox, limits, allowed=allowed),
        )
        for cpk in package.cpks
    ]
    with Admissions.of_machine() as admissions:
        return admissions.run(
            tasks, lambda name, count, whole: progress(f"Audited {name}, {count} of {whole}")
        )


def _component(
    cpk: VerifiedCpk,
    siblings: Sequence[VerifiedCpk],
    sandbox: Sandbox,
    limits: Limits,
    *,
    allowed: frozenset[str],
) -> ComponentFacts:
    declared = _declared(cpk, limits)
    if cpk.descriptor is None:
        return declared
    try:
        code = code_of(cpk, siblings)
        made, shape = _made(sandbox, code)
    except (HostError, SandboxError) as refused:
        facts = getattr(refused, "details", None)
        inner = facts.get("sandboxCode") if isinstance(facts, Mapping) else None
        code_text = str(inner or refused.code)
        return replace(declared, refusal=Note(code=code_text, message=str(refused.message)))
    grantable = allowed.intersection(cpk.descriptor.capabilities)
    imports = import_facts(shape.imports, grantable, declared.limits)
    return replace(
        declared,
        source_files=len(code.source.files) if code.source else 0,
        source_size=sum(len(t.encode()) for t in code.source.files.values()) if code.source else 0,
        imports=imports,
        exports=dict(sorted(shape.exports.items())),
        body=None if code.source else anatomy_of(sandbox.wasm(made)),
        image_size=sandbox.image_size(made),
        leaves=leaving(cpk.descriptor.world, imports),
    )


def _made(sandbox: Sandbox, code: CpkCode) -> tuple[Component, Shape]:
    """The image or component, and its imports and exports, after the checks of an upload."""
    component = make_component(sandbox, code)
    guest = sandbox.guest(code.world, component.digest)
    check_description(code, guest)
    return component, shape_of_guest(guest)


def _declared(cpk: VerifiedCpk, limits: Limits) -> ComponentFacts:
    """The CPK's own statements; facts read from the component are added later."""
    descriptor = cpk.descriptor
    path = descriptor.component_path if descriptor else None
    return ComponentFacts(
        name=cpk.id.name,
        version=cpk.id.version,
        file=cpk.file_name,
        file_checksum=cpk.file_checksum,
        kind=cpk.world_type,
        signers=tuple(signer.subject for signer in cpk.signers),
        world=descriptor.world if descriptor else None,
        world_version=descriptor.world_version if descriptor else None,
        form=descriptor.form if descriptor else "none",
        toolchain=dict(sorted(descriptor.toolchain.items())) if descriptor else {},
        source_digest=descriptor.source_digest if descriptor else None,
        source_files=0,
        source_size=0,
        runtime=descriptor.runtime if descriptor else None,
        image_size=None,
        code_digest=descriptor.code_digest if descriptor else None,
        packed_size=_packed_size(cpk, path),
        refusal=None,
        capabilities=tuple(sorted(descriptor.capabilities)) if descriptor else (),
        imports=None,
        exports={},
        body=None,
        limits=limit_facts(descriptor.limits if descriptor else {}, limits),
        flows=_flows(descriptor),
        contracts=_names(descriptor.contracts if descriptor else ()),
        states=_names(descriptor.states if descriptor else ()),
        entities=_names(descriptor.entities if descriptor else ()),
        queries=_names(descriptor.queries if descriptor else ()),
        leaves=(),
    )


def _packed_size(cpk: VerifiedCpk, path: str | None) -> int:
    """Bytes of code in the CPK: of its component, or of its Python files."""
    if path is not None:
        return cpk.entries.size(path)
    return sum(cpk.entries.size(name) for name in cpk.entries if name.startswith(PYTHON_PREFIX))


def _runtimes(components: Sequence[ComponentFacts]) -> tuple[RuntimeFacts, ...]:
    """The runtimes of all CPKs, each once."""
    digests = dict.fromkeys(c.runtime for c in components if c.runtime is not None)
    return tuple(
        _runtime(digest, tuple(c.name for c in components if c.runtime == digest))
        for digest in digests
    )


def _runtime(digest: str, cpks: tuple[str, ...]) -> RuntimeFacts:
    try:
        pinned = find_runtime(digest)
        body = _body_of(pinned)
    except (RuntimeUnknownError, RuntimeDamagedError):
        return RuntimeFacts(
            digest=digest, known=False, built=None, componentize_py=None, cpks=cpks, body=None
        )
    return RuntimeFacts(
        digest=digest,
        known=True,
        built=pinned.built,
        componentize_py=pinned.componentize_py,
        cpks=cpks,
        body=body,
    )


@cache
def _body_of(pinned: PinnedRuntime) -> Anatomy:
    """The anatomy of a runtime, which takes a second; most audits of a process are of the same."""
    return anatomy_of(unpack_runtime(pinned))


def _names(declarations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(declaration.get("name", "?")) for declaration in declarations)


def _flows(descriptor: CodeDescriptor | None) -> tuple[str, ...]:
    """Flows as `name (kind, protocol)`."""
    result = []
    for flow in descriptor.flows if descriptor else ():
        protocol = f", protocol {flow['protocol']}" if flow.get("protocol") else ""
        result.append(f"{flow.get('name', '?')} ({flow.get('kind', '?')}{protocol})")
    return tuple(result)
