"""`META-INF/CPKDependencies.json`, and whether the CPKs of a CPB satisfy each other.

Source: corda-runtime-os `corda-cpk-2.0.json`, `CpkHashDependency.kt`, `CpkSignerDependency.kt`.
Stricter than Corda: unknown keys at any level, unknown digest algorithms and a dependency on
itself are refused.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cpi.digests import STRONG_DIGESTS
from cpi.errors import Code, DependenciesError, Issue
from cpi.limits import DEFAULT_LIMITS
from cpi.model import CpkDependency, VerifiedCpk
from cpi.schemas import validator
from cpi.strict_json import JsonRefusedError, parse_json, schema_issues

DEPENDENCIES_PATH = "META-INF/CPKDependencies.json"
FORMAT_VERSION = "2.0"


def parse_dependencies(data: bytes) -> tuple[CpkDependency, ...]:
    """Parse and validate the document; the order is kept.

    Raises:
        DependenciesError: with the JSON path of the first violation.
    """
    try:
        document = parse_json(data, bytes_max=DEFAULT_LIMITS.json_bytes_max)
    except JsonRefusedError as error:
        raise _refused(f"no strict JSON: {error}") from error
    issues = schema_issues(validator("cpk_dependencies"), document, Code.DEPENDENCIES_INVALID)
    if issues:
        raise _refused(issues[0].message)
    return tuple(
        _dependency(item, f"$.dependencies[{index}]")
        for index, item in enumerate(document["dependencies"])
    )


def _dependency(item: dict[str, Any], path: str) -> CpkDependency:
    rule = item.get("verifyFileHash")
    if rule is None:
        return CpkDependency(name=item["name"], version=item["version"])
    algorithm = rule["algorithm"]
    if algorithm not in STRONG_DIGESTS:
        raise _refused(
            f"{path}.verifyFileHash.algorithm: {algorithm!r} is none of {', '.join(STRONG_DIGESTS)}"
        )
    try:
        digest = base64.b64decode(rule["fileHash"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused(f"{path}.verifyFileHash.fileHash: {error}") from error
    return CpkDependency(
        name=item["name"], version=item["version"], hash_algorithm=algorithm, file_hash=digest
    )


def encode_dependencies(dependencies: Sequence[CpkDependency]) -> bytes:
    """The document for `dependencies`, in their order."""
    items = []
    for dependency in dependencies:
        item: dict[str, Any] = {"name": dependency.name, "version": dependency.version}
        if dependency.file_hash is None:
            item["verifySameSignerAsMe"] = True
        else:
            item["verifyFileHash"] = {
                "algorithm": dependency.hash_algorithm,
                "fileHash": base64.b64encode(dependency.file_hash).decode(),
            }
        items.append(item)
    document = {"formatVersion": FORMAT_VERSION, "dependencies": items}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def unsatisfied(
    cpks: Sequence[VerifiedCpk], file_digest: Callable[[str, str], bytes]
) -> Iterator[Issue]:
    """Step "dependencies": what the CPKs of one CPB need and do not find.

    Args:
        cpks: all CPKs of the CPB.
        file_digest: gives a CPK file's digest from file name and hashlib algorithm name.
    """
    for cpk in cpks:
        for dependency in cpk.dependencies:
            reason = _why_not(cpk, dependency, cpks, file_digest)
            if reason is not None:
                yield Issue(
                    code=Code.DEPENDENCY_UNSATISFIED,
                    message=f'CPK "{cpk.file_name}" has unsatisfied dependency: '
                    f"{dependency}: {reason}",
                    entry=cpk.file_name,
                )


def _why_not(
    cpk: VerifiedCpk,
    dependency: CpkDependency,
    cpks: Sequence[VerifiedCpk],
    file_digest: Callable[[str, str], bytes],
) -> str | None:
    if (dependency.name, dependency.version) == (cpk.symbolic_name, cpk.id.version):
        return "it depends on itself"
    named = [c for c in cpks if c.symbolic_name == dependency.name]
    if not named:
        return "no CPK of that name"
    candidates = [c for c in named if c.id.version == dependency.version]
    if not candidates:
        return f"found version {', '.join(c.id.version for c in named)}"
    if dependency.file_hash is None:
        mine = {signer.chain[0] for signer in cpk.signers}
        fits = any({signer.chain[0] for signer in c.signers} == mine for c in candidates)
        return None if fits else "it is signed by other certificates"
    algorithm = STRONG_DIGESTS[dependency.hash_algorithm or ""]
    fits = any(file_digest(c.file_name, algorithm) == dependency.file_hash for c in candidates)
    return None if fits else f"its file has another {dependency.hash_algorithm} hash"


def _refused(reason: str) -> DependenciesError:
    return DependenciesError(
        Code.DEPENDENCIES_INVALID,
        f"CPK dependencies document validation error(s): [{reason}]",
        entry=DEPENDENCIES_PATH,
    )
