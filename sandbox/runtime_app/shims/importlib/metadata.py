"""`importlib.metadata` of a sandbox: distributions whose METADATA is a data file of the bundle.

`cordapp.toml` lists these files as `NAME-VERSION.dist-info/METADATA`. Nothing else is installed.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

__all__ = [
    "Distribution", "DistributionFinder", "EntryPoint", "EntryPoints", "PackageMetadata",
    "PackageNotFoundError", "PackagePath", "distribution", "distributions", "entry_points", "files",
    "metadata", "packages_distributions", "requires", "version",
]  # fmt: skip


class PackageNotFoundError(ModuleNotFoundError):
    """No distribution of this name is installed."""

    def __str__(self) -> str:
        return f"no package metadata for {self.name}: the package brings no wheel of this name"

    @property
    def name(self) -> str:
        """The distribution's name."""
        (name,) = self.args
        return str(name)


class EntryPoint(NamedTuple):
    """A named object of a distribution."""

    name: str
    value: str
    group: str


class EntryPoints(tuple[EntryPoint, ...]):
    """Entry points, which can be selected by their attributes."""

    __slots__ = ()

    def select(self, **wanted: Any) -> "EntryPoints":
        """Those with the attributes."""
        return EntryPoints(
            e for e in self if all(getattr(e, key) == value for key, value in wanted.items())
        )

    @property
    def names(self) -> set[str]:
        """All names."""
        return {entry.name for entry in self}

    @property
    def groups(self) -> set[str]:
        """All groups."""
        return {entry.group for entry in self}


class PackageMetadata(dict[str, str]):
    """The headers of a distribution."""

    def get_all(self, name: str, failobj: Any = None) -> Any:
        """The values of a header, each of which stands once."""
        return [self[name]] if name in self else failobj


class Distribution:
    """A wheel that the bundle brings."""

    def __init__(self, headers: str) -> None:
        lines = (line.partition(": ") for line in headers.partition("\n\n")[0].splitlines())
        self.metadata = PackageMetadata(
            (key, value) for key, _, value in lines if value and not key.startswith(" ")
        )
        self.entry_points = EntryPoints()
        self.files: None = None
        self.requires: None = None

    @property
    def name(self) -> str:
        """The distribution's name."""
        return self.metadata["Name"]

    @property
    def version(self) -> str:
        """Its version."""
        return self.metadata["Version"]

    @classmethod
    def from_name(cls, name: str) -> "Distribution":
        """The distribution of a name.

        Raises:
            PackageNotFoundError: the bundle brings none.
        """
        return distribution(name)

    @classmethod
    def discover(cls, **_context: Any) -> Iterable["Distribution"]:
        """All of them."""
        return distributions()


class DistributionFinder:
    """Base class of what finds distributions."""


class PackagePath(str):
    """A file of a distribution."""

    __slots__ = ()


def distribution(distribution_name: str) -> Distribution:
    """The distribution of a name, however it is written.

    Raises:
        PackageNotFoundError: the bundle brings none.
    """
    wanted = _normal(distribution_name)
    for found in distributions():
        if _normal(found.name) == wanted:
            return found
    raise PackageNotFoundError(distribution_name)


def distributions(**_context: Any) -> Iterable[Distribution]:
    """All distributions of the bundle, by path."""
    for finder in sys.meta_path:
        for path in sorted(getattr(finder, "data_names", list)()):
            if re.fullmatch(r"[^/]+\.dist-info/METADATA", path):
                yield Distribution(finder.get_data(path).decode().replace("\r\n", "\n"))


def version(distribution_name: str) -> str:
    """The version of a distribution."""
    return distribution(distribution_name).version


def metadata(distribution_name: str) -> PackageMetadata:
    """The headers of a distribution."""
    return distribution(distribution_name).metadata


def files(distribution_name: str) -> None:
    """None, which says that the list of files is not known."""
    distribution(distribution_name)


def requires(distribution_name: str) -> None:
    """None, which says that the requirements are not known."""
    distribution(distribution_name)


def entry_points(**_wanted: Any) -> EntryPoints:
    """None."""
    return EntryPoints()


def packages_distributions() -> Mapping[str, list[str]]:
    """None: which modules a distribution brings is not known."""
    return {}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
