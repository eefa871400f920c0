"""pytest plugin: mounts a CorDapp's sources for its tests and gives them a network.

Switch it on with `pytest_plugins = ["cordapp_testkit.pytest_plugin"]` in the root conftest.py.
Imports stand inside the functions: a test run without CorDapps does not pay for the host.
"""

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from host.tools.cordapps.project import CordappProject
    from host.tools.testkit.code import KitCode
    from host.tools.testkit.cpi_file import CpiFile
    from host.tools.testkit.network import Network

_CODES = pytest.StashKey[dict[Path, "KitCode"]]()
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
    if is_test and _is_below_cordapp(file_path):
        from host.domain.errors import HostError  # noqa: PLC0415  # see above
        from host.tools.testkit.own_frames import explained  # noqa: PLC0415  # see above
        from host.tools.testkit.project import mount, project_above  # noqa: PLC0415  # see above

        try:
            project = project_above(file_path)
        except HostError as refused:
            raise pytest.Collector.CollectError(explained(refused)) from None
        if project is not None:
            mount(project)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Leave frames of the SDK and the kit out of a CorDapp's failures, unless `--full-trace` is on.

    pytest itself would only hide them where each function says so, and not those of causes.
    """
    if (
        call.excinfo is not None
        and _is_below_cordapp(item.path)
        and not item.config.getoption("fulltrace", default=False)
    ):
        from host.tools.testkit.own_frames import (  # noqa: PLC0415  # see above
            hide_frames,
            refusal_of,
        )

        refusal = refusal_of(call.excinfo.value) if call.when == "setup" else None
        hide_frames(call.excinfo.value)
        report = yield
        if refusal is not None:
            report.longrepr = refusal
        return report
    return (yield)


@pytest.fixture
def cordapp_settings() -> "Mapping[str, Any]":
    """Settings of the network's host; a test module that wants others overrides this fixture."""
    return {}


@pytest.fixture(params=["native", "sandbox"])
def cordapp_network(
    request: pytest.FixtureRequest, cordapp_settings: "Mapping[str, Any]"
) -> "Iterator[Network]":
    """A new network of the CorDapp around the test's file: each test runs both ways."""
    open_network = native if request.param == "native" else sandboxed
    with open_network(request, cordapp_settings) as network:
        yield network


@pytest.fixture
def native_network(
    request: pytest.FixtureRequest, cordapp_settings: "Mapping[str, Any]"
) -> "Iterator[Network]":
    """A new network that runs the CorDapp as plain Python."""
    with native(request, cordapp_settings) as network:
        yield network


@pytest.fixture
def sandbox_network(
    request: pytest.FixtureRequest, cordapp_settings: "Mapping[str, Any]"
) -> "Iterator[Network]":
    """A new network that runs the CorDapp in the WebAssembly sandbox."""
    with sandboxed(request, cordapp_settings) as network:
        yield network


@pytest.fixture(scope="session")
def cordapp_cpi(request: pytest.FixtureRequest) -> "CpiFile":
    """The contracts of the CPI that --cordapp-cpi names, in the WebAssembly sandbox."""
    from host.tools.testkit.cpi_file import CpiFile  # noqa: PLC0415  # see above

    path = request.config.getoption(_CPI_OPTION)
    if path is None:
        raise pytest.UsageError(f"the fixture cordapp_cpi needs {_CPI_OPTION}")
    certificates = request.config.getoption(_CERTIFICATE_OPTION)
    return CpiFile.open(path, certificates=certificates)


def native(request: pytest.FixtureRequest, settings: "Mapping[str, Any]") -> "Network":
    """A native network for the test of `request`, which closes it."""
    from host.tools.testkit.code import native_code  # noqa: PLC0415  # see above
    from host.tools.testkit.network import Network  # noqa: PLC0415  # see above

    return Network(native_code(_project(request)), settings=settings)


def sandboxed(request: pytest.FixtureRequest, settings: "Mapping[str, Any]") -> "Network":
    """A sandboxed network for the test of `request`; its code is made once a session."""
    from host.runtime.plugin_loading import make_plugin_manager  # noqa: PLC0415  # see above
    from host.tools.cache import default_cache_dir  # noqa: PLC0415  # see above
    from host.tools.cordapps.toolchains import component_builder  # noqa: PLC0415  # see above
    from host.tools.testkit.code import sandboxed_code  # noqa: PLC0415  # see above
    from host.tools.testkit.network import Network  # noqa: PLC0415  # see above
    from sandbox.runtime import Sandbox  # noqa: PLC0415  # see above

    project = _project(request)
    codes = request.config.stash.setdefault(_CODES, {})
    if project.root not in codes:
        tell = announce(request.config)
        sandbox = Sandbox(cache_dir=default_cache_dir(), progress=tell)
        build = component_builder(make_plugin_manager(("toolchains",)))
        codes[project.root] = sandboxed_code(project, sandbox, build_component=build)
    return Network(codes[project.root], settings=settings)


def announce(config: pytest.Config) -> Callable[[str], None]:
    """Writes to the terminal's standard error, past pytest's capturing, what takes seconds."""

    def tell(step: str) -> None:
        capturing = config.pluginmanager.get_plugin("capturemanager")
        shown = capturing.global_and_fixture_disabled() if capturing else nullcontext()
        with shown:
            sys.stderr.write(f"cordapp: {step} ...\n")
            sys.stderr.flush()

    return tell


def _is_below_cordapp(path: Path) -> bool:
    return any((folder / _PROJECT_FILE).is_file() for folder in path.parents)


def _project(request: pytest.FixtureRequest) -> "CordappProject":
    from host.tools.testkit.project import project_above  # noqa: PLC0415  # see above

    project = project_above(request.path)
    if project is None:
        pytest.fail(f"{request.path}: no cordapp.toml in the folders above", pytrace=False)
    return project
