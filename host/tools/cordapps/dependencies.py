"""Contract CPKs of other signers that a CorDapp depends on, pinned by the hash of their file.

The file is packed into the CPB as it is, and its Python sources join the bundle of the CPK that
depends on it, as the host joins them when it runs the code.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cpi.errors import CpiError
from cpi.package.files import read_limited
from cpi.package.model import CpkDependency, PackageType, VerifiedCpk
from cpi.package.verify import read_package
from host.domain.errors import InvalidInputError
from host.guests.code import bundle_files
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.sources import SDK_PACKAGE

CPK_BYTES_MAX = 64 * 1024 * 1024


class DependencyRefusedError(InvalidInputError):
    """A file that a CorDapp names as a dependency cannot be one."""

    code = "cordapp-dependency-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCpk:
    """A signed contract CPK of another signer: `data` is its file, `sources` its Python files."""

    file_name: str
    data: bytes
    cpk: VerifiedCpk
    sources: Mapping[str, str]

    @property
    def dependency(self) -> CpkDependency:
        """The dependency on exactly this file."""
        return CpkDependency(
            name=self.cpk.symbolic_name,
            version=self.cpk.id.version,
            hash_algorithm="SHA-256",
            file_hash=hashlib.sha256(self.data).digest(),
        )


def foreign_cpks(plan: CpkPlan) -> tuple[ForeignCpk, ...]:
    """The CPKs that `dependencies` of a plan names, in the order of their names.

    Their signatures must be valid; the signers are not checked, since the hash pins the file.

    Raises:
        DependencyRefusedError: no CPK, no contract CPK, or two of one name.
    """
    found: dict[str, ForeignCpk] = {}
    for path in plan.dependency_files:
        try:
            data = read_limited(path, CPK_BYTES_MAX)
            (cpk,) = read_package(data, package_type=PackageType.CPK).cpks
        except CpiError as refused:
            raise DependencyRefusedError(f"{path.name}: {refused.message}") from refused
        except OSError as refused:
            raise DependencyRefusedError(f"{path.name}: {refused.strerror}") from refused
        if cpk.world_type != "contract":
            raise DependencyRefusedError(
                f"{path.name}: is a {cpk.world_type} CPK, expected a contract CPK"
            )
        if not path.name.endswith(".jar"):
            raise DependencyRefusedError(f"{path.name}: expected a name that ends in .jar")
        if cpk.symbolic_name in found or cpk.symbolic_name == plan.symbolic_name:
            raise DependencyRefusedError(
                f"{path.name}: the name {cpk.symbolic_name} is taken by another CPK"
            )
        found[cpk.symbolic_name] = ForeignCpk(
            file_name=path.name, data=data, cpk=cpk, sources=bundle_files(cpk, ())
        )
    return tuple(found[name] for name in sorted(found))


def merged_sources(base: Mapping[str, str], foreign: Sequence[ForeignCpk]) -> dict[str, str]:
    """Sources of all CPKs that one CPK depends on.

    Files of the SDK may differ: the dependent CPK uses those of its own SDK.

    Raises:
        DependencyRefusedError: two CPKs have different files at one path.
    """
    result = dict(base)
    for other in foreign:
        for path, text in other.sources.items():
            if result.get(path, text) != text and not path.startswith(f"{SDK_PACKAGE}/"):
                raise DependencyRefusedError(
                    f"{other.file_name}: {path} differs from what another dependency has there"
                )
            result[path] = text
    return result
