"""The reference page of vendored packages, from the list that tests/wheels tries in a sandbox."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import parse_wheel_filename

LIST = Path(__file__).resolve().parent.parent / "tests" / "wheels" / "packages.toml"


def python_packages_page() -> str:
    """Every package of the list, with what it needs in cordapp.toml or why it is refused."""
    packages: list[dict[str, Any]] = tomllib.loads(LIST.read_text(encoding="utf-8"))["package"]
    good = [each for each in packages if not _reason(each)]
    bad = [each for each in packages if _reason(each)]
    lines = [
        "# Python packages in sandboxes",
        "",
        f"{len(packages)} packages of PyPI that CorDapps are likely to vendor: the most downloaded",
        "ones of pure Python that fit flows and contracts, and packages for identifiers, money,",
        f"calendars and messages of finance. {len(good)} of them pass the import scan of a build,",
        "are imported in a sandbox and do there what their smoke test asks for (`tests/wheels`,",
        "which has the hash of each wheel); other versions may differ.",
        "",
        "Other packages work, too, if they are pure Python and use [the modules that a sandbox",
        "has](python-modules.md); [the build tells](cordapp-toml.md#imports).",
        "[How to vendor one](../how-to/write-cordapp-toml.md#use-a-package-from-pypi).",
        "",
        "## Packages that work",
        "",
        "*With* names further packages for the lock, and what to add in cordapp.toml.",
        "",
        "| package | version | for | with | limits |",
        "|---|---|---|---|---|",
        *map(_row, good),
        "",
        "## Packages that do not",
        "",
        "| package | version | for | reason |",
        "|---|---|---|---|",
        *(
            f"| {each['name']} | {_version(each)} | {each['why']} | {_reason(each)} |"
            for each in bad
        ),
    ]
    return "\n".join(lines) + "\n"


def _row(package: Mapping[str, Any]) -> str:
    cells = (package["name"], _version(package), package["why"], "; ".join(_with(package)))
    return f"| {' | '.join(cells)} | {package.get('limits', '')} |"


def _with(package: Mapping[str, Any]) -> Iterator[str]:
    if package.get("needs"):
        yield ", ".join(package["needs"])
    for key in ("data", "unreached"):
        if package.get(key):
            yield f"`{key}`: " + ", ".join(f"`{name}`" for name in package[key])


def _reason(package: Mapping[str, Any]) -> str:
    return str(package.get("reason", ""))


def _version(package: Mapping[str, Any]) -> str:
    return str(parse_wheel_filename(package["wheel"])[1])
