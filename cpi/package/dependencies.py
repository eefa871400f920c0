"""`META-INF/CPKDependencies.json`, and whether the CPKs of a CPB satisfy each other.

Source: corda-runtime-os `corda-cpk-2.0.json`, `CpkHashDependency.kt`, `CpkSignerDependency.kt`.
Stricter than Corda: unknown keys at any level, unknown digest algorithms and a dependency on
itself are refused.
"""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cpi.crypto.certificate import Certificate
from cpi.digests import STRONG_DIGESTS
from cpi.errors import Code, DependenciesError, Issue
from cpi.limits import DEFAULT_LIMITS
from cpi.package.model import CpkDependency, VerifiedCpk
from cpi.schemas import validator
from cpi.strict_json import JsonRefusedError, first_issue, parse_json

DEPENDENCIES_PATH = "META-INF/CPKDependencies.json"
FORMAT_VERSION = "2.0"
_SHOWN_MAX = 10
_Signers = frozenset[Certificate]


def parse_dependencies(data: bytes) -> tuple[CpkDependency, ...]:
    """Parse and validate the document; the order is kept.

    Raises:
        DependenciesError: with the JSON path of the first violation.
    """
    try:
        document = parse_json(data, bytes_max=DEFAULT_LIMITS.json_bytes_max)
    except JsonRefusedError as error:
        raise _refused(f"no strict JSON: {error}") from error
    if _names_none(document):
        return ()
    issue = first_issue(validator("cpk_dependencies"), document, Code.DEPENDENCIES_INVALID)
    if issue is not None:
        raise _refused(issue.message)
    return tuple(
        _dependency(item, f"$.dependencies[{index}]")
        for index, item in enumerate(document["dependencies"])
    )


def _names_none(document: object) -> bool:
    """Whether it is a document without dependencies, which no schema has to be loaded for."""
    return (
        isinstance(document, dict)
        and document.keys() == {"formatVersion", "dependencies"}
        and document["dependencies"] == []
        and isinstance(document["formatVersion"], str)
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
    """Step "dependencies": the unsatisfied dependencies of the CPKs in one CPB.

    Args:
        cpks: all CPKs of the CPB.
        file_digest: returns a CPK file's digest by file name and hashlib algorithm name.
    """
    bundle = _Bundle(cpks, file_digest)
    for cpk in cpks:
        for dependency in cpk.dependencies:
            reason = bundle.why_not(cpk, dependency)
            if reason is not None:
                yield Issue(
                    code=Code.DEPENDENCY_UNSATISFIED,
                    message=f'CPK "{cpk.file_name}" has unsatisfied dependency: '
                    f"{dependency}: {reason}",
                    entry=cpk.file_name,
                )


class _Bundle:
    """An index of the CPKs of one CPB by name and version, since there may be many look-ups."""

    def __init__(
        self, cpks: Sequence[VerifiedCpk], file_digest: Callable[[str, str], bytes]
    ) -> None:
        self._file_digest = file_digest
        self._versions: dict[str, list[str]] = defaultdict(list)
        self._files: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._signers: dict[tuple[str, str], set[_Signers]] = defaultdict(set)
        self._digests: dict[tuple[str, str, str], set[bytes]] = {}
        for cpk in cpks:
            key = (cpk.symbolic_name, cpk.id.version)
            self._versions[cpk.symbolic_name].append(cpk.id.version)
            self._files[key].append(cpk.file_name)
            self._signers[key].add(_signers(cpk))

    def why_not(self, cpk: VerifiedCpk, dependency: CpkDependency) -> str | None:
        """Why a dependency of `cpk` is not satisfied, None if it is."""
        key = (dependency.name, dependency.version)
        if key == (cpk.symbolic_name, cpk.id.version):
            return "it depends on itself"
        found = self._versions.get(dependency.name)
        if not found:
            return "no CPK of that name"
        if key not in self._files:
            return f"found version {', '.join(found[:_SHOWN_MAX])}"
        if dependency.file_hash is None:
            fits = _signers(cpk) in self._signers[key]
            return None if fits else "it is signed by other certificates"
        algorithm = STRONG_DIGESTS[dependency.hash_algorithm or ""]
        fits = dependency.file_hash in self._digests_of(*key, algorithm)
        return None if fits else f"its file has another {dependency.hash_algorithm} hash"

    def _digests_of(self, name: str, version: str, algorithm: str) -> set[bytes]:
        key = (name, version, algorithm)
        if key not in self._digests:
            files = self._files[name, version]
            self._digests[key] = {self._file_digest(file, algorithm) for file in files}
        return self._digests[key]


def _signers(cpk: VerifiedCpk) -> _Signers:
    return frozenset(signer.chain[0] for signer in cpk.signers)


def _refused(reason: str) -> DependenciesError:
    return DependenciesError(
        Code.DEPENDENCIES_INVALID,
        f"CPK dependencies document validation error(s): [{reason}]",
        entry=DEPENDENCIES_PATH,
    )
