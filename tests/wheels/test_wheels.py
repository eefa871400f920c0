"""The packages that CorDapps are likely to vendor: built, imported and used in a sandbox.

Wheels are downloaded once into the cache directory. The modules that a smoke test reaches are given
to one guest, whose importer serves them as those of a CPK; so no package needs a derivation of its
own, and each has a fresh instance.
"""

import json
from pathlib import Path

import pytest

from host.domain.errors import InvalidInputError
from host.tools.cache import default_cache_dir
from host.tools.cordapps.sources import CollectedSources
from sandbox.guest import Guest
from sandbox.limits import MIB, Limits
from sandbox.outcome import Returned
from sandbox.python_source import PythonSource, is_data
from sandbox.runnable import RunRequest
from sandbox.runtime import Sandbox
from sandbox.world import World
from tests.sandbox.conftest import GUEST_PY
from tests.wheels.listed import LISTED, SMOKE, Package, Trial, downloaded

_SECONDS_MAX = 60
_LIMITS = Limits(
    fuel_max=50_000_000_000,
    memory_bytes_max=256 * MIB,
    wall_ms_max=120_000,
    payload_bytes_max=8 * MIB,
)
_RUN = """
import importlib, json, sys, traceback
finder = next(each for each in sys.meta_path if type(each).__name__ == "BundleFinder")
finder._files.update(json.loads({files!r}))
try:
    importlib.import_module({module!r}).check()
    result = "ok"
except BaseException as exc:
    places = (f"{{each.filename}}:{{each.lineno}}" for each in traceback.extract_tb(exc.__traceback__))
    result = f"{{type(exc).__name__}}: {{exc}} ({{' < '.join(list(places)[::-1][:5])}})"
"""


@pytest.fixture(scope="session")
def wheels() -> Path:
    found = downloaded(_SECONDS_MAX)
    if isinstance(found, str):
        pytest.skip(f"no wheels of the list: {found}")
    return found


@pytest.fixture(scope="session")
def guest() -> Guest:
    """The workflow of tests/sandbox, which runs its argument; its image is made once for both."""
    sandbox = Sandbox(cache_dir=default_cache_dir())
    source = PythonSource({"cordapp/guest.py": GUEST_PY}, ("cordapp.guest",))
    return sandbox.guest(World.WORKFLOW, sandbox.make_image(World.WORKFLOW, source).digest)


def test_the_list_is_whole() -> None:
    assert len({each.name for each in LISTED}) == len(LISTED) == 60
    assert {f"{each.module}.py" for each in LISTED} == {path.name for path in SMOKE.glob("*.py")}
    assert [each.name for each in LISTED if not each.why or not each.rank] == []
    assert [
        each.name for each in LISTED if bool(each.reason) != bool(each.refused or each.fails)
    ] == []
    assert len([each for each in LISTED if not each.reason]) >= 45


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("package", LISTED, ids=lambda each: each.name)
def test_a_build_and_a_sandbox_do_with_a_package_what_the_list_says(
    package: Package, wheels: Path, guest: Guest, tmp_path: Path
) -> None:
    trial = Trial(folder=tmp_path, package=package, wheels=wheels)
    if package.refused:
        with pytest.raises(InvalidInputError, match=package.refused):
            trial.collected()
        return
    files = json.dumps(_used(trial.collected(), package))
    text = _RUN.format(files=files, module=f"smoke.{package.module}")
    outcome = guest.run(RunRequest(export="run", argument=text, limits=_LIMITS))
    assert isinstance(outcome, Returned), outcome
    if package.fails:
        assert package.fails in (outcome.value or "")
    else:
        assert outcome.value == "ok"


def _used(sources: CollectedSources, package: Package) -> dict[str, str]:
    """The modules that imports lead to, those that the package imports by name, and data files."""
    dynamic = tuple(name.replace(".", "/") for name in package.dynamic)
    return {
        path: text
        for path, text in sources.files.items()
        if path in sources.reached
        or is_data(path)
        or path.removesuffix(".py") in dynamic
        or path.startswith(tuple(f"{name}/" for name in dynamic))
    }
