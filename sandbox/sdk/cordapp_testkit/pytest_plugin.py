"""pytest plugin: mounts a CorDapp's sources for its tests and gives them a network.

Switch it on with `pytest_plugins = ["cordapp_testkit.pytest_plugin"]` in the root conftest.py.
Imports stand inside the functions: a test run without CorDapps does not pay for the host.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cordapp_testkit.cpi_file import CpiFile
    from cordapp_testkit.network import Network
    from host.toolkit.project import CordappProject

_ENGINES = pytest.StashKey[dict[Path, Any]]()
_PROJECT_FILE = "cordapp.toml"
_CPI_OPTION = "--cordapp-cpi"
_CERTIFICATE_OPTION = "--cordapp-certificate"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The CPI that `cordapp_cpi` opens, and whom it trusts."""
    group = parser.getgroup("cordapp", "CorDapps")
    group.addoption(_CPI_OPTION, type=Path, metavar="FILE", help="CPI for `cordapp_cpi`.")
    group.addoption(
        _CERTIFICATE_OPTION,
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="PEM file with certificates that `cordapp_cpi` trusts; repeatable.",
    )


def pytest_collect_file(file_path: Path) -> None:
    """Make a CorDapp's modules importable before its tests are imported."""
    is_test = file_path.name.startswith("test_") and file_path.suffix == ".py"
    if is_test and any((folder / _PROJECT_FILE).is_file() for folder in file_path.parents):
        from cordapp_testkit.project import mount, project_above  # noqa: PLC0415  # see above

        project = project_above(file_path)
        if project is not None:
            mount(project)


@pytest.fixture(params=["native", "sandbox"])
def cordapp_network(request: pytest.FixtureRequest) -> "Network":
    """A new network of the CorDapp around the test's file: each test runs both ways."""
    return native(request) if request.param == "native" else sandboxed(request)


@pytest.fixture
def native_network(request: pytest.FixtureRequest) -> "Network":
    """A new network that runs the CorDapp as plain Python."""
    return native(request)


@pytest.fixture
def sandbox_network(request: pytest.FixtureRequest) -> "Network":
    """A new network that runs the CorDapp in the WebAssembly sandbox."""
    return sandboxed(request)


@pytest.fixture(scope="session")
def cordapp_cpi(request: pytest.FixtureRequest) -> "CpiFile":
    """The contracts of the CPI that --cordapp-cpi names, in the WebAssembly sandbox."""
    from cordapp_testkit.cpi_file import CpiFile  # noqa: PLC0415  # see above

    path = request.config.getoption(_CPI_OPTION)
    if path is None:
        raise pytest.UsageError(f"the fixture cordapp_cpi needs {_CPI_OPTION}")
    certificates = request.config.getoption(_CERTIFICATE_OPTION)
    return CpiFile.open(path, certificates=certificates)


def native(request: pytest.FixtureRequest) -> "Network":
    """A native network for the test of `request`."""
    from cordapp_testkit.engines import NativeEngine  # noqa: PLC0415  # see above
    from cordapp_testkit.network import Network  # noqa: PLC0415  # see above

    return Network(NativeEngine(_project(request)))


def sandboxed(request: pytest.FixtureRequest) -> "Network":
    """A sandboxed network for the test of `request`; its code is derived once a session."""
    from cordapp_testkit.network import Network  # noqa: PLC0415  # see above
    from cordapp_testkit.sandboxed import SandboxEngine  # noqa: PLC0415  # see above
    from host.toolkit.cache import default_cache_dir  # noqa: PLC0415  # see above

    project = _project(request)
    engines = request.config.stash.setdefault(_ENGINES, {})
    if project.root not in engines:
        engines[project.root] = SandboxEngine(project, cache_dir=default_cache_dir())
    return Network(engines[project.root])


def _project(request: pytest.FixtureRequest) -> "CordappProject":
    from cordapp_testkit.project import project_above  # noqa: PLC0415  # see above

    project = project_above(request.path)
    if project is None:
        pytest.fail(f"{request.path}: no cordapp.toml in the folders above", pytrace=False)
    return project
