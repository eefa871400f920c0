"""The sources that a pinned runtime is built from, and their digest.

They are the loader (`runtime_app`), the shims of standard modules and the zones below it, and the
modules of this package that run on both sides.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from sandbox import missing_calls, module_changes, module_table, zones
from sandbox.digests import digest_of
from sandbox.errors import ToolMissingError
from sandbox.files import write_whole

LOADER_DIRECTORY = Path(__file__).parent / "runtime_app"
ZONES_FILE = LOADER_DIRECTORY / "zones.bin"
SHELF = "shelf.bin"
"""The file beside these sources that `sandbox.runtime_build` makes first."""
_SHARED = (module_table, module_changes, zones)


def runtime_sources() -> Mapping[str, bytes]:
    """Path in the folder that componentize-py builds from -> content, sorted by path."""
    found = [*LOADER_DIRECTORY.rglob("*.py"), ZONES_FILE]
    sources = {file.relative_to(LOADER_DIRECTORY).as_posix(): file.read_bytes() for file in found}
    for module in _SHARED:
        file = Path(str(module.__file__))
        sources[file.name] = file.read_bytes()
    return dict(sorted(sources.items()))


def loader_digest() -> str:
    """Digest over these sources, and over what changes the built component."""
    files = {**runtime_sources(), "../missing_calls.py": Path(missing_calls.__file__).read_bytes()}
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return digest_of(json.dumps(digests, sort_keys=True).encode())


def write_zones(file: Path = ZONES_FILE) -> None:
    """Make the data set of time zones anew from the installed package tzdata, for new runtimes.

    Raises:
        ToolMissingError: the package is not installed.
    """
    try:
        package = import_module("tzdata")
    except ModuleNotFoundError as exc:
        reason = "tzdata is not installed: pip install cordbox[runtime-build]"
        raise ToolMissingError(reason) from exc
    root = Path(str(package.__file__)).parent
    names = (root / "zones").read_text(encoding="utf-8").split()
    content = {name: (root / "zoneinfo" / name).read_bytes() for name in names}
    data = zones.packed(str(package.__version__), str(package.IANA_VERSION), content)
    write_whole(file, data, mode=0o644)


def zones_version() -> str:
    """The version of the package tzdata whose zones are in the runtime."""
    zones.keep(ZONES_FILE.read_bytes())
    return zones.version()
