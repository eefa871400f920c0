"""Steps 5 to 8: what a CPK, a CPB and a CPI must hold, each on top of the layer inside it."""

from collections import Counter

from cpi.archive.reading import Archive
from cpi.crypto.signer_hash import cpi_signer_summary_hash, cpk_signer_summary_hash
from cpi.digests import hash_text
from cpi.errors import Code, CpiError, Issue
from cpi.jar.signatures import SignedJar
from cpi.jar.verified_jar import Run, open_jar
from cpi.limits import DEFAULT_LIMITS
from cpi.package.attributes import read_cpk_attributes, read_name_and_version
from cpi.package.code_rules import code_issues
from cpi.package.contents import EntryContents
from cpi.package.dependencies import DEPENDENCIES_PATH, parse_dependencies, unsatisfied
from cpi.package.descriptor import DESCRIPTOR_PATH, CodeDescriptor, parse_descriptor
from cpi.package.external_channels import CHANNELS_PATH, channel_issues
from cpi.package.group_policy import GROUP_POLICY_PATH, parse_group_policy
from cpi.package.model import CpkDependency, PackageId, PackageType, VerifiedCpk, VerifiedPackage
from cpi.package.signer_values import signers_of
from cpi.package.verification_results import result_of

_LIBRARIES = "META-INF/privatelib/"
_JSON_READ = DEFAULT_LIMITS.json_bytes_max + 1
"""One byte more than any JSON parser here accepts."""


def verify_layer(jar: SignedJar, kind: PackageType, run: Run, checksum: str) -> VerifiedPackage:
    """Apply the rules of a package's type; what they find is added to `run`.

    Args:
        jar: the outermost archive, with valid signatures.
        kind: the type that it must be.
        run: judges the archives inside, and collects.
        checksum: of the whole file.

    Raises:
        CpiError: an error that ends the verification immediately.
    """
    return _BY_TYPE[kind](jar, run, checksum)


def _verify_cpk(jar: SignedJar, run: Run, checksum: str, file_name: str) -> VerifiedCpk | None:
    """Steps 5 and 8 for one CPK, and the parsing of its dependencies."""
    attributes, issues = read_cpk_attributes(jar.manifest.main)
    run.issues += issues
    entries = EntryContents(jar.archive, jar.content)
    dependencies = _dependencies(entries, run)
    if CHANNELS_PATH in entries:
        run.issues += channel_issues(_text(entries, CHANNELS_PATH, run))
    if attributes is None:
        return None
    signers = signers_of(jar)
    return VerifiedCpk(
        id=PackageId(
            name=attributes.name,
            version=attributes.version,
            signer_summary_hash=cpk_signer_summary_hash(s.chain for s in signers),
        ),
        symbolic_name=attributes.symbolic_name,
        file_name=file_name,
        file_checksum=checksum,
        world_type=attributes.kind,
        attributes=jar.manifest.main.attributes,
        entries=entries,
        libraries=tuple(name for name in jar.content if name.startswith(_LIBRARIES)),
        dependencies=dependencies,
        descriptor=_descriptor(entries, attributes.kind, run),
        min_platform_version=attributes.min_platform_version,
        signers=signers,
    )


def _dependencies(entries: EntryContents, run: Run) -> tuple[CpkDependency, ...]:
    if DEPENDENCIES_PATH not in entries:
        run.refuse(
            Code.DEPENDENCIES_INVALID,
            f"{DEPENDENCIES_PATH} not found in CPK main bundle",
            DEPENDENCIES_PATH,
        )
        return ()
    try:
        return parse_dependencies(_text(entries, DEPENDENCIES_PATH, run))
    except CpiError as error:
        run.issues += error.issues
        return ()


def _descriptor(entries: EntryContents, kind: str, run: Run) -> CodeDescriptor | None:
    if DESCRIPTOR_PATH not in entries:
        return None
    try:
        descriptor = parse_descriptor(_text(entries, DESCRIPTOR_PATH, run))
    except CpiError as error:
        run.issues += error.issues
        return None
    run.budget.spend(entries=0, unpacked_bytes=descriptor.component_size or 0)
    run.issues += code_issues(descriptor, entries, kind)
    return descriptor


def _text(entries: EntryContents | Archive, path: str, run: Run) -> bytes:
    """A document that is about to be parsed."""
    raw = entries.start(path, _JSON_READ)
    run.budget.spend_text(len(raw))
    return raw


def _single_cpk(jar: SignedJar, run: Run, checksum: str) -> VerifiedPackage:
    cpk = _verify_cpk(jar, run, checksum, "")
    return result_of(
        jar,
        PackageType.CPK,
        run,
        checksum,
        identity=cpk.id if cpk else None,
        cpks=(cpk,) if cpk else (),
    )


def _single_cpb(jar: SignedJar, run: Run, checksum: str) -> VerifiedPackage:
    cpks = _verify_cpb(jar, run)
    names, _ = read_name_and_version(jar.manifest.main, PackageType.CPB)
    identity = (
        PackageId(
            name=names.name,
            version=names.version,
            signer_summary_hash=cpk_signer_summary_hash(s.block.chain for s in jar.signers),
        )
        if names
        else None
    )
    return result_of(jar, PackageType.CPB, run, checksum, identity=identity, cpks=cpks)


def _verify_cpb(jar: SignedJar, run: Run) -> tuple[VerifiedCpk, ...]:
    """Steps 5 and 6 for one CPB."""
    run.issues += read_name_and_version(jar.manifest.main, PackageType.CPB)[1]
    cpks = []
    for name in _members(jar, ".jar", run):
        inner = run.nested()
        try:
            cpk_jar = open_jar(jar.archive.open(name), inner)
            checksum = hash_text(jar.archive.digest(name, "sha256"))
            cpk = _verify_cpk(cpk_jar, inner, checksum, name)
            cpks += [cpk] if cpk else []
        except CpiError as error:
            inner.issues += error.issues
        run.take(inner, name)
    if not cpks and not run.issues:
        run.refuse(Code.PACKAGE_EMPTY, "No CPK found in CPB")
    for name, count in Counter(cpk.id.name for cpk in cpks).items():
        if count > 1:
            run.refuse(Code.CPK_DUPLICATE, f"Multiple CPKs share the Corda-CPK-Cordapp-Name {name}")
    if not run.issues:
        run.issues += unsatisfied(cpks, jar.archive.digest)
    return tuple(cpks)


def _verify_cpi(jar: SignedJar, run: Run, checksum: str) -> VerifiedPackage:
    """Steps 5 and 7 for one CPI, and the CPB inside it."""
    names, issues = read_name_and_version(jar.manifest.main, PackageType.CPI)
    run.issues += issues
    policy = _group_policy(jar, run)
    bundles = _members(jar, ".cpb", run)
    if len(bundles) > 1:
        run.refuse(Code.PACKAGE_LAYOUT, f"Multiple CPBs found in CPI: {', '.join(bundles)}")
    cpks: tuple[VerifiedCpk, ...] = ()
    for name in bundles[:1]:
        inner = run.nested()
        try:
            cpks = _verify_cpb(open_jar(jar.archive.open(name), inner), inner)
        except CpiError as error:
            inner.issues += error.issues
        run.take(inner, name)
    chains = [signer.block.chain for signer in jar.signers]
    if any(len(chain) > 1 for chain in chains):
        run.warnings.append(
            Issue(
                code=Code.CERTIFICATE_CHAIN_LENGTH,
                message="the signature holds a certificate chain: the CPI's identity changes when "
                "an issuer or the length of the chain changes",
            )
        )
    identity = (
        PackageId(
            name=names.name,
            version=names.version,
            signer_summary_hash=cpi_signer_summary_hash(chains),
        )
        if names
        else None
    )
    return result_of(
        jar, PackageType.CPI, run, checksum, identity=identity, cpks=cpks, group_policy=policy
    )


def _group_policy(jar: SignedJar, run: Run) -> str | None:
    ending = [name for name in jar.content if name.lower().endswith("grouppolicy.json")]
    if ending != [GROUP_POLICY_PATH]:
        run.refuse(
            Code.PACKAGE_LAYOUT,
            f"Group policy not found in CPI: expected {GROUP_POLICY_PATH} alone, "
            f"found {', '.join(ending) or 'none'}",
            GROUP_POLICY_PATH,
        )
        return None
    raw = _text(jar.archive, GROUP_POLICY_PATH, run)
    try:
        parse_group_policy(raw)
        return raw.decode()
    except CpiError as error:
        run.issues += [
            Issue(code=i.code, message=f"Group policy: {i.message}", entry=GROUP_POLICY_PATH)
            for i in error.issues
        ]
        return None


def _members(jar: SignedJar, suffix: str, run: Run) -> list[str]:
    """The packages of the next layer: at the root, with the suffix in lower case."""
    found = [name for name in jar.content if name.lower().endswith(suffix)]
    for name in found:
        if "/" in name or not name.endswith(suffix):
            run.refuse(
                Code.PACKAGE_LAYOUT,
                f"{name} must lie at the root and end in {suffix}: Corda's verifier and loader "
                "disagree on whether it belongs to the package",
                name,
            )
    return [name for name in found if "/" not in name and name.endswith(suffix)]


_BY_TYPE = {
    PackageType.CPK: _single_cpk,
    PackageType.CPB: _single_cpb,
    PackageType.CPI: _verify_cpi,
}
