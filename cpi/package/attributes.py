"""The manifest main attributes of CPK, CPB and CPI: which are required, and their allowed values.

The stricter of Corda's verifier and loader on each point: exactly one of the contract and workflow
groups, integers that are integers, names and versions that fit Corda's database columns.

Source: corda-runtime-os `CordappManifest.kt`, `CpkV2Verifier.kt`, `CpbV2Verifier.kt`.
"""

import re
from dataclasses import dataclass

from cpi.errors import Code, Issue, ManifestError
from cpi.jar.manifest import Section
from cpi.package.model import CordappKind, PackageType

FORMAT_VERSION = "2.0"
PLATFORM_VERSION = 50200
DEFAULT_MIN_PLATFORM_VERSION = 50000
GROUPS: dict[CordappKind, str] = {"contract": "Cordapp-Contract", "workflow": "Cordapp-Workflow"}
_MANIFEST = "META-INF/MANIFEST.MF"
_TEXT_MAX = 255
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_INTEGERS = range(-(2**31), 2**31)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkAttributes:
    """The attributes in a CPK's manifest."""

    name: str
    symbolic_name: str
    version: str
    kind: CordappKind
    min_platform_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NameAndVersion:
    """The attributes in the manifest of a CPB or CPI."""

    name: str
    version: str


class _Reader:
    """Reads attributes and collects their problems."""

    def __init__(self, main: Section) -> None:
        self._main = main
        self.issues: list[Issue] = []

    def refuse(self, message: str, code: Code = Code.MANIFEST_ATTRIBUTE) -> None:
        self.issues.append(Issue(code=code, message=message, entry=_MANIFEST))

    def format(self, package: PackageType) -> None:
        name = f"Corda-{package}-Format"
        value = self._main.get(name)
        if value != FORMAT_VERSION:
            shown = "null" if value is None else value
            others = [] if value is not None else _types(self._main)
            meant = f": this is a {others[0]}, not a {package}" if others else ""
            self.refuse(
                f'Manifest has invalid attribute "{name}" value "{shown}", '
                f'expected "{FORMAT_VERSION}"{meant}',
                Code.PACKAGE_FORMAT,
            )

    def text(self, name: str) -> str:
        value = self._main.get(name)
        if value is None or not value.strip():
            self.refuse(f'Manifest is missing required attribute "{name}"')
            return ""
        if len(value) > _TEXT_MAX:
            self.refuse(f'attribute "{name}" has {len(value)} characters, at most {_TEXT_MAX}')
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._main.get(name)
        if value is None and default is not None:
            return default
        text = self.text(name)
        if text and (not _INTEGER.fullmatch(text) or int(text) not in _INTEGERS):
            self.refuse(f"Attribute {name} is not a valid integer: {text!r}")
            return 0
        return int(text or 0)


def type_or_none(main: Section, expected: PackageType | None) -> PackageType | None:
    """The package type by the manifest; None for a JAR that is not a package.

    Raises:
        ManifestError: it has several types, or another one than expected.
    """
    found = _types(main)
    if len(found) > 1:
        return detect_type(main)
    if expected is not None and found != [expected]:
        raise ManifestError(
            Code.PACKAGE_TYPE,
            f"expected a {expected}, the manifest has no attribute Corda-{expected}-Format",
            entry=_MANIFEST,
        )
    return found[0] if found else None


def _types(main: Section) -> list[PackageType]:
    return [kind for kind in PackageType if main.get(f"Corda-{kind}-Format") is not None]


def detect_type(main: Section) -> PackageType:
    """The package type whose format attribute the manifest has.

    Raises:
        ManifestError: it has none of them, or several.
    """
    found = _types(main)
    if len(found) != 1:
        raise ManifestError(
            Code.PACKAGE_TYPE,
            "package type cannot be determined: the manifest must have one of Corda-CPK-Format, "
            f"Corda-CPB-Format and Corda-CPI-Format, it has {len(found)}",
            entry=_MANIFEST,
        )
    return found[0]


def read_cpk_attributes(main: Section) -> tuple[CpkAttributes | None, list[Issue]]:
    """A CPK's attributes, or None, and all problems found in them."""
    reader = _Reader(main)
    reader.format(PackageType.CPK)
    symbolic_name = reader.text("Bundle-SymbolicName")
    version = reader.text("Bundle-Version")
    name = symbolic_name
    if main.get("Corda-CPK-Cordapp-Name") is not None:
        name = reader.text("Corda-CPK-Cordapp-Name")
    kinds = [kind for kind, group in GROUPS.items() if main.get(f"{group}-Name") is not None]
    if not kinds:
        reader.refuse(
            'One of attributes "Cordapp-Workflow-Name", "Cordapp-Contract-Name" has to be set.'
        )
    if len(kinds) > 1:
        reader.refuse("CPK is both contract and workflow: Corda's tools disagree on which it is")
    for kind in kinds:
        for suffix in ("Name", "Vendor", "Licence"):
            reader.text(f"{GROUPS[kind]}-{suffix}")
        reader.integer(f"{GROUPS[kind]}-Version")
    minimum = reader.integer("Min-Platform-Version", DEFAULT_MIN_PLATFORM_VERSION)
    reader.integer("Target-Platform-Version", minimum)
    if minimum > PLATFORM_VERSION:
        reader.refuse(
            f"Platform version {PLATFORM_VERSION} is lower than minimum platform version "
            f"{minimum} of CPK {name}",
            Code.PLATFORM_VERSION,
        )
    if reader.issues:
        return None, reader.issues
    return CpkAttributes(
        name=name,
        symbolic_name=symbolic_name,
        version=version,
        kind=kinds[0],
        min_platform_version=minimum,
    ), []


def read_name_and_version(
    main: Section, package: PackageType
) -> tuple[NameAndVersion | None, list[Issue]]:
    """Name and version of a CPB or CPI, and all problems found in its attributes."""
    reader = _Reader(main)
    reader.format(package)
    name = reader.text(f"Corda-{package}-Name")
    version = reader.text(f"Corda-{package}-Version")
    if reader.issues:
        return None, reader.issues
    return NameAndVersion(name=name, version=version), []
