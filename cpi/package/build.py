"""Building signed CPKs, CPBs and CPIs: bytes in, bytes out, the same bytes every time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cpi.crypto.keys import SigningKey
from cpi.errors import Code, Issue, ManifestError, PackageRefusedError
from cpi.jar.signing import Stamp, sign_entries
from cpi.package.attributes import FORMAT_VERSION, GROUPS
from cpi.package.dependencies import DEPENDENCIES_PATH, encode_dependencies
from cpi.package.group_policy import GROUP_POLICY_PATH, parse_group_policy
from cpi.package.model import CordappKind, CpkDependency


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkSpec:
    """The contents of a CPK to build.

    Attributes:
        symbolic_name: OSGi name, which other CPKs' dependencies refer to.
        version: bundle version, any text.
        cordapp_kind: which of the two attribute groups the manifest gets.
        cordapp_name, cordapp_version, vendor, licence: the values of that group.
        entries: contents by name.
        dependencies: written to `META-INF/CPKDependencies.json`.
        attributes: further main attributes, such as `Corda-Contract-Classes`.
        min_platform_version, target_platform_version: platform versions such as 50000.
    """

    symbolic_name: str
    version: str
    cordapp_kind: CordappKind
    cordapp_name: str
    cordapp_version: int
    vendor: str
    licence: str
    entries: Mapping[str, bytes]
    dependencies: tuple[CpkDependency, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    min_platform_version: int = 50000
    target_platform_version: int = 50200


def build_cpk(
    spec: CpkSpec,
    keys: Sequence[SigningKey],
    *,
    signature_name: str | None = None,
    stamp: Stamp | None = None,
) -> bytes:
    """A signed CPK (`.jar`).

    Raises:
        CpiError: an attribute or entry cannot be used.
    """
    group = GROUPS[spec.cordapp_kind]
    attributes = {
        "Corda-CPK-Format": FORMAT_VERSION,
        "Bundle-ManifestVersion": "2",
        "Bundle-SymbolicName": spec.symbolic_name,
        "Bundle-Version": spec.version,
        f"{group}-Name": spec.cordapp_name,
        f"{group}-Version": str(spec.cordapp_version),
        f"{group}-Vendor": spec.vendor,
        f"{group}-Licence": spec.licence,
        "Min-Platform-Version": str(spec.min_platform_version),
        "Target-Platform-Version": str(spec.target_platform_version),
    }
    own = {name.lower() for name in (*attributes, "Manifest-Version")}
    for name in sorted(spec.attributes):
        if name.lower() in own:
            raise ManifestError(
                Code.MANIFEST_ATTRIBUTE, f"attribute {name} is set by the builder itself"
            )
        attributes[name] = spec.attributes[name]
    entries = {**spec.entries, DEPENDENCIES_PATH: encode_dependencies(spec.dependencies)}
    return sign_entries(
        attributes, entries, keys, signature_name=signature_name, stamp=stamp, portable=True
    )


def build_cpb(
    *,
    name: str,
    version: str,
    cpks: Mapping[str, bytes],
    keys: Sequence[SigningKey],
    upgrade: bool = False,
    signature_name: str | None = None,
    stamp: Stamp | None = None,
) -> bytes:
    """A signed CPB of signed CPKs, by file name (`*.jar`).

    Raises:
        PackageRefusedError: there is no CPK, or a file name that Corda would not find.
        CpiError: an attribute or entry cannot be used.
    """
    if not cpks:
        raise _refused(Code.PACKAGE_EMPTY, "a CPB needs at least one CPK", None)
    for file_name in cpks:
        _check_member(file_name, ".jar")
    return sign_entries(
        _attributes("CPB", name, version, upgrade=upgrade),
        cpks,
        keys,
        signature_name=signature_name,
        stamp=stamp,
        portable=True,
    )


def build_cpi(
    *,
    name: str,
    version: str,
    cpb: tuple[str, bytes] | None,
    group_policy: str,
    keys: Sequence[SigningKey],
    upgrade: bool = False,
    signature_name: str | None = None,
    stamp: Stamp | None = None,
) -> bytes:
    """A signed CPI of a group policy and, unless it is an MGM's, a signed CPB (name, bytes).

    Raises:
        GroupPolicyError: the policy is not valid.
        PackageRefusedError: the CPB has a file name that Corda would not find.
        CpiError: an attribute or entry cannot be used.
    """
    parse_group_policy(group_policy)
    entries = {GROUP_POLICY_PATH: group_policy.encode()}
    if cpb is not None:
        _check_member(cpb[0], ".cpb")
        entries[cpb[0]] = cpb[1]
    return sign_entries(
        _attributes("CPI", name, version, upgrade=upgrade),
        entries,
        keys,
        signature_name=signature_name,
        stamp=stamp,
        portable=True,
    )


def _attributes(kind: str, name: str, version: str, *, upgrade: bool) -> dict[str, str]:
    return {
        f"Corda-{kind}-Format": FORMAT_VERSION,
        f"Corda-{kind}-Name": name,
        f"Corda-{kind}-Version": version,
        f"Corda-{kind}-Upgrade": "true" if upgrade else "false",
    }


def _check_member(file_name: str, suffix: str) -> None:
    if "/" in file_name or not file_name.endswith(suffix):
        raise _refused(
            Code.PACKAGE_LAYOUT,
            f"{file_name!r} must end in {suffix} and lie at the root, or Corda does not find it",
            file_name,
        )


def _refused(code: Code, message: str, entry: str | None) -> PackageRefusedError:
    return PackageRefusedError([Issue(code=code, message=message, entry=entry)])
