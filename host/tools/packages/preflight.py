"""Predicts before an upload whether a cluster would accept a CPI.

The rules are those of the host's upload. Missing facts of the cluster are reported as unknown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cmp_to_key

from cpi.archive.sources import Source
from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import load_pem_certificates
from cpi.errors import CpiError, Issue, PackageRefusedError
from cpi.package.descriptor import CodeDescriptor
from cpi.package.group_policy import parse_group_policy
from cpi.package.model import PackageId, PackageType, VerifiedPackage
from cpi.package.verify import read_package, verify_package
from cpi.package.versions import compare_versions
from host.tools.client.cluster_facts import ClusterFacts, ClusterSnapshotError, StoredCpi


class Verdict(StrEnum):
    """The result of one check."""

    OK = "ok"
    WARNING = "warning"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check; `check` is a stable name, or the refusal's code if it has one."""

    check: str
    verdict: Verdict
    message: str
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """The outcomes of all checks."""

    cluster: str
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        return any(f.verdict is Verdict.REFUSED for f in self.findings)


def judge(source: Source, facts: ClusterFacts, *, force: bool = False) -> Preflight:
    """Check a CPI against the facts of a cluster.

    Args:
        source: the file.
        facts: the known facts of the cluster.
        force: whether it is to replace a stored CPI.

    Raises:
        ClusterSnapshotError: a trusted certificate in the facts cannot be read.
    """
    findings = [_size(source, facts)]
    package, trust = _package(source, facts)
    findings += trust
    if package is not None:
        findings += _rules(package, facts, force=force)
    return Preflight(cluster=facts.cluster, findings=tuple(findings))


def _rules(package: VerifiedPackage, facts: ClusterFacts, *, force: bool) -> Iterator[Finding]:
    yield _identity(package, facts, force=force)
    yield from _platform(package, facts)
    yield from _code(package, facts)
    yield _capabilities(package, facts)


def _size(source: Source, facts: ClusterFacts) -> Finding:
    limit = facts.upload_bytes_max
    if limit is None:
        return _unknown("upload-size", f"the cluster does not tell its limit for {source.size} B")
    if source.size > limit:
        return _refused("upload-size", f"the file has {source.size} bytes, at most {limit}")
    return _ok("upload-size", f"{source.size} of at most {limit} bytes")


def _package(source: Source, facts: ClusterFacts) -> tuple[VerifiedPackage | None, list[Finding]]:
    """The package if it can be read, and the result of its verification."""
    if facts.code_signers is None:
        unknown = _unknown("signers", "the cluster does not tell whom it trusts")
        package, findings = _unjudged(source)
        return package, [unknown, *findings]
    trusted = _certificates(facts.code_signers)
    if not trusted:
        package, findings = _unjudged(source)
        return package, [_refused("no-trust", "Trusted certificates not set"), *findings]
    try:
        package = verify_package(source, package_type=PackageType.CPI, trusted=trusted)
    except PackageRefusedError as refused:
        return _unjudged(source)[0], _refusals(refused)
    signers = ", ".join(signer.subject for signer in package.signers)
    return package, [_ok("signers", f"signed by {signers}"), *_warnings(package)]


def _unjudged(source: Source) -> tuple[VerifiedPackage | None, list[Finding]]:
    try:
        package = read_package(source, package_type=PackageType.CPI)
    except PackageRefusedError as refused:
        return None, _refusals(refused)
    return package, _warnings(package)


def _certificates(chains: dict[str, str]) -> tuple[Certificate, ...]:
    found: tuple[Certificate, ...] = ()
    for alias, pem in chains.items():
        try:
            found += load_pem_certificates(pem.encode(), source=f"code signer {alias}")
        except CpiError as refused:
            raise ClusterSnapshotError(refused.message) from refused
    return found


def _identity(package: VerifiedPackage, facts: ClusterFacts, *, force: bool) -> Finding:
    if facts.cpis is None or package.id is None:
        return _unknown("identity", "the cluster does not tell which CPIs it has")
    who = f"CPI {package.id.name}, {package.id.version}, {package.id.signer_summary_hash}"
    wanted = (package.id.name, package.id.version, package.id.signer_summary_hash)
    stored = next((c for c in facts.cpis if _id(c) == wanted), None)
    if force:
        return _forced(package, stored, who)
    if stored is None:
        return _ok("identity", f"{who} is new to the cluster{_beside(package.id, facts.cpis)}")
    same = stored.file_checksum.removeprefix("SHA-256:") == package.file_checksum.partition(":")[2]
    how = "as the very same file" if same else "with other content"
    return _refused("cpi-exists", f"{who} already exists, {how}")


def _beside(identity: PackageId, stored: tuple[StoredCpi, ...]) -> str:
    """Whether the cluster has other versions of the CPI, and whether one is newer."""
    versions = [
        c.version
        for c in stored
        if (c.name, c.signer_summary_hash) == (identity.name, identity.signer_summary_hash)
    ]
    if not versions:
        return ""
    newest = max(versions, key=cmp_to_key(compare_versions))
    order = "newer" if compare_versions(newest, identity.version) > 0 else "not newer"
    return f"; it has {len(versions)} other versions of it, the newest is {newest}, {order}"


def _id(stored: StoredCpi) -> tuple[str, str, str | None]:
    return stored.name, stored.version, stored.signer_summary_hash


def _forced(package: VerifiedPackage, stored: StoredCpi | None, who: str) -> Finding:
    if stored is None:
        return _refused("force-upload", "No instance of same CPI with previous version found")
    if stored.group_id is None:
        return _unknown("force-upload", f"the cluster does not tell the group id of {who}")
    group_id = parse_group_policy(package.group_policy or "").group_id
    if stored.group_id != group_id:
        return _refused(
            "force-upload",
            "Cannot force update a CPI with a different group ID: "
            f"stored is {stored.group_id}, the file has {group_id}",
        )
    return _ok("force-upload", f"replaces the stored {who}")


def _platform(package: VerifiedPackage, facts: ClusterFacts) -> Iterator[Finding]:
    offered = facts.platform_version
    if offered is None:
        yield _unknown("platform-version", "the cluster does not tell its platform version")
        return
    needed = max((cpk.min_platform_version for cpk in package.cpks), default=0)
    if needed <= offered:
        yield _ok("platform-version", f"needs {needed}, the cluster has {offered}")
    for cpk in package.cpks:
        if cpk.min_platform_version > offered:
            yield _refused(
                "platform-version",
                f"CPK {cpk.file_name} needs {cpk.min_platform_version}, the cluster has {offered}",
                cpk.file_name,
            )


def _code(package: VerifiedPackage, facts: ClusterFacts) -> Iterator[Finding]:
    runtimes = dict[str, str]()
    for cpk in package.cpks:
        if cpk.descriptor is None:
            message = f"CPK {cpk.file_name}: wasm/descriptor.json is missing"
            yield _refused("cpk-descriptor-missing", message, cpk.file_name)
        else:
            yield _made_by_the_host(cpk.file_name, cpk.descriptor)
            if cpk.descriptor.runtime is not None:
                runtimes[cpk.descriptor.runtime] = cpk.file_name
    for runtime, file_name in runtimes.items():
        if facts.runtimes is None:
            yield _unknown("runtime", f"whether the cluster has runtime {runtime}", file_name)
        elif runtime not in facts.runtimes:
            message = f"CPK {file_name} needs runtime {runtime}, which the cluster does not have"
            yield _refused("runtime", message, file_name)
        else:
            yield _ok("runtime", f"the cluster has {runtime}")


def _made_by_the_host(file_name: str, descriptor: CodeDescriptor) -> Finding:
    """What the host compares after the upload, when it makes and runs the code itself."""
    what = "image" if descriptor.form == "python" else "component"
    return _unknown(
        "code",
        f"whether the {what} is {descriptor.code_digest}: the host makes it itself",
        file_name,
    )


def _capabilities(package: VerifiedPackage, facts: ClusterFacts) -> Finding:
    wanted = sorted(
        {c for cpk in package.cpks if cpk.descriptor for c in cpk.descriptor.capabilities}
    )
    if facts.capabilities is None:
        return _unknown("capabilities", f"whether the cluster grants {', '.join(wanted) or 'any'}")
    missing = [capability for capability in wanted if capability not in facts.capabilities]
    if not missing:
        return _ok("capabilities", f"the cluster grants {', '.join(wanted) or 'what is needed'}")
    return Finding(
        check="capabilities",
        verdict=Verdict.WARNING,
        message=f"the cluster takes the CPI, but will not grant {', '.join(missing)}",
    )


def _ok(check: str, message: str) -> Finding:
    return Finding(check=check, verdict=Verdict.OK, message=message)


def _unknown(check: str, message: str, entry: str | None = None) -> Finding:
    return Finding(check=check, verdict=Verdict.UNKNOWN, message=message, entry=entry)


def _refused(check: str, message: str, entry: str | None = None) -> Finding:
    return Finding(check=check, verdict=Verdict.REFUSED, message=message, entry=entry)


def _refusals(refused: PackageRefusedError) -> list[Finding]:
    return [_refused(i.code.value, _line(i), i.entry) for i in refused.issues]


def _warnings(package: VerifiedPackage) -> list[Finding]:
    return [
        Finding(check=w.code.value, verdict=Verdict.WARNING, message=_line(w), entry=w.entry)
        for w in package.warnings
    ]


def _line(issue: Issue) -> str:
    known = issue.entry is None or issue.entry in issue.message
    return issue.message if known else f"{issue.entry}: {issue.message}"
