"""The CorDapp that the tests of the kit run."""

from pathlib import Path

import pytest

from host.tools.cache import default_cache_dir
from host.tools.cordapps.project import load_project
from host.tools.testkit.code import native_code, sandboxed_code
from host.tools.testkit.network import Network
from sandbox.runtime import Sandbox

PROBE = Path(__file__).parent / "probe"


class Codes(dict):
    """The probe's code by the way in which it runs, made when it is asked for."""

    def __missing__(self, way):
        project = load_project(PROBE)
        if way == "native":
            self[way] = native_code(project)
        else:
            self[way] = sandboxed_code(project, Sandbox(cache_dir=default_cache_dir()))
        return self[way]


@pytest.fixture(scope="session")
def probe_codes():
    return Codes()


@pytest.fixture
def native(probe_codes):
    with Network(probe_codes["native"]) as network:
        yield network


@pytest.fixture(params=["native", "sandbox"])
def network(request, probe_codes):
    with Network(probe_codes[request.param]) as network:
        yield network
