"""Values that describe a verified package; everything in them was checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from cpi.errors import Issue

if TYPE_CHECKING:
    from cpi.crypto.certificate import Certificate
    from cpi.package.contents import EntryContents
    from cpi.package.descriptor import CodeDescriptor


class PackageType(StrEnum):
    """The three layers of Corda's package format 2.0."""

    CPK = "CPK"
    CPB = "CPB"
    CPI = "CPI"


CordappKind = Literal["contract", "workflow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageId:
    """Identity of a package; `signer_summary_hash` is `SHA-256:HEX`.

    A CPI's hash follows the CPI rule, those of a CPK and a CPB the CPK rule.
    """

    name: str
    version: str
    signer_summary_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One signature of an archive: `name` is its files' base name, `timestamp` a TSA's time."""

    name: str
    subject: str
    issuer: str
    serial_number: int
    key: str
    algorithm: str
    not_before: datetime
    not_after: datetime
    timestamp: datetime | None
    chain: "tuple[Certificate, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkDependency:
    """A CPK that another one needs in the same CPB, by symbolic name and exact version.

    With `file_hash`, the dependency's file must have that digest; without, it must be signed by
    the same leaf certificates as the CPK that needs it.
    """

    name: str
    version: str
    hash_algorithm: str | None = None
    file_hash: bytes | None = None

    def __str__(self) -> str:
        rule = f"{self.hash_algorithm} file hash" if self.file_hash else "same signer"
        return f"{self.name} {self.version} ({rule})"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCpk:
    """A CPK with valid signatures that satisfies the rules.

    Attributes:
        id: cordapp name (or symbolic name), bundle version, hash by the CPK rule.
        symbolic_name: OSGi name, which dependencies refer to.
        file_name: its name in the CPB.
        file_checksum: `SHA-256:HEX` over the whole file.
        world_type: from the manifest's attribute group.
        attributes: the manifest's main attributes.
        entries: contents by name, without manifest, signature files and directories; each is
            read from the package's source when asked for.
        libraries: names under `META-INF/privatelib/`.
        dependencies: as `META-INF/CPKDependencies.json` lists them.
        descriptor: of its WebAssembly code; None for a CPK without any.
        min_platform_version: the lowest platform that may run it.
        signers: in archive order.
    """

    id: PackageId
    symbolic_name: str
    file_name: str
    file_checksum: str
    world_type: CordappKind
    attributes: Mapping[str, str]
    entries: "EntryContents"
    libraries: tuple[str, ...]
    dependencies: tuple[CpkDependency, ...]
    descriptor: "CodeDescriptor | None"
    min_platform_version: int
    signers: tuple[Signer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPackage:
    """A package that was accepted.

    Attributes:
        type: which of the three layers; None for a JAR that is none of them, which only a
            signature-only verification accepts.
        id: None only after a signature-only verification.
        file_checksum: `SHA-256:HEX` over the whole file.
        signers: of the outermost archive.
        cpk_signer_summary_hash: of the outermost archive's signers, by the CPK rule.
        cpi_signer_summary_hash: the same by the CPI rule.
        cpks: all CPKs inside, in archive order.
        group_policy: text of a CPI's `META-INF/GroupPolicy.json`.
        warnings: problems that do not prevent acceptance.
    """

    type: PackageType | None
    id: PackageId | None
    file_checksum: str
    signers: tuple[Signer, ...]
    cpk_signer_summary_hash: str
    cpi_signer_summary_hash: str
    cpks: tuple[VerifiedCpk, ...]
    group_policy: str | None
    warnings: tuple[Issue, ...]
