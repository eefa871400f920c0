"""The list of packages, their wheels, and their sources as a build collects them."""

import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import parse_wheel_filename

from host.domain.packages import CodeWorld
from host.tools.cache import default_cache_dir
from host.tools.cordapps.package_data import package_data
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.sources import CollectedSources, collect_sources, unreached_of
from host.tools.cordapps.vendoring import vendored_packages
from sandbox.files import locked

FOLDER = Path(__file__).parent
SMOKE = FOLDER / "smoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of `packages.toml`; see there for the meaning of each field."""

    name: str
    wheel: str
    sha256: str
    rank: int = 0
    why: str = ""
    needs: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    limits: str = ""
    reason: str = ""
    refused: str = ""
    fails: str = ""

    @property
    def version(self) -> str:
        return str(parse_wheel_filename(self.wheel)[1])

    @property
    def module(self) -> str:
        """The module of `smoke` that tries it."""
        return self.name.replace("-", "_")


def _read() -> tuple[tuple[Package, ...], tuple[Package, ...]]:
    document = tomllib.loads((FOLDER / "packages.toml").read_text(encoding="utf-8"))
    first, second = (
        tuple(
            Package(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
            for entry in document[kind]
        )
        for kind in ("package", "needed")
    )
    return first, second


LISTED, NEEDED = _read()
BY_NAME: Mapping[str, Package] = {each.name: each for each in (*LISTED, *NEEDED)}


def with_needs(names: Iterable[str]) -> list[Package]:
    """Packages with those that they need, as far as wheels of them are listed."""
    found: dict[str, Package] = {}
    pending = list(names)
    while pending:
        package = BY_NAME.get(pending.pop(0))
        if package is not None and package.name not in found:
            found[package.name] = package
            pending += package.needs
    return sorted(found.values(), key=lambda each: each.name)


def lock_of(packages: Iterable[Package]) -> str:
    return "".join(f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in packages)


def downloaded(seconds: int) -> Path | str:
    """The folder of all wheels, or why pip could not download them."""
    folder = default_cache_dir() / "test-wheels"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):  # several processes of one test run
        missing = [p for p in BY_NAME.values() if not (folder / p.wheel).is_file()]
        return _downloaded(missing, folder, seconds) if missing else folder


def _downloaded(missing: list[Package], folder: Path, seconds: int) -> Path | str:
    requirements = folder / "requirements.txt"
    requirements.write_text(lock_of(missing), encoding="utf-8")
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    words += ["--disable-pip-version-check", "--retries", "1", "--timeout", "10"]
    words += ["--only-binary=:all:", "--platform", "any", "--implementation", "py", "--abi", "none"]
    words += ["--python-version", "3.14", "--require-hashes", "-r", str(requirements)]
    words += ["-d", str(folder)]
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"pip did not download the wheels in {seconds} s"
    if done.returncode:
        return f"pip cannot download the wheels: {done.stderr.strip()[-200:]}"
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A project whose flow would use one package."""

    folder: Path
    package: Package
    wheels: Path
    rules: SourceRules = field(default_factory=SourceRules.of_default_runtime)

    def collected(self) -> CollectedSources:
        """The sources of the project, with the package and what it needs.

        Raises:
            SourceRefusedError, VendoringRefusedError: as a build.
        """
        source = self.folder / "src"
        smoke = source / "smoke"
        smoke.mkdir(parents=True)
        text = (SMOKE / f"{self.package.module}.py").read_text(encoding="utf-8")
        (smoke / f"{self.package.module}.py").write_text(text, encoding="utf-8")
        packages = with_needs([self.package.name])
        lock = self.folder / "requirements.lock"
        lock.write_text(lock_of(packages), encoding="utf-8")
        plan = CpkPlan(
            world=CodeWorld.WORKFLOW,
            symbolic_name="com.example.trial",
            version=1,
            source=source,
            modules=(f"smoke.{self.package.module}",),
            component=None,
            capabilities=(),
            vendor_lock=lock,
            vendor_wheels=self.wheels,
            data=self.package.data,
            unreached=self.package.unreached,
        )
        vendored = vendored_packages(plan)
        return collect_sources(
            source,
            plan.modules,
            rules=self.rules,
            base={},
            vendored=vendored.modules,
            data=package_data(plan, vendored.data),
            unreached=unreached_of(plan),
        )
