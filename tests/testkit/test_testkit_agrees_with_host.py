"""One suite for the kit, natively and in the sandbox, and a whole host: outcomes, journals, messages."""

import pytest

from host.tools.cache import default_cache_dir
from host.tools.project import load_project
from host.tools.testkit.code import native_code, sandboxed_code
from sandbox.runtime import Sandbox
from tests.support.keystores import make_key
from tests.testkit.conftest import PROBE
from tests.testkit.rows import ROWS
from tests.testkit.sides import KitSide, host_of, text_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # a cold cache compiles ten components
ROOT = PROBE.parents[2]
PROJECTS = {
    "probe_flows": PROBE,
    "kit_flows": ROOT / "tests" / "sdk" / "kit_cordapp",
    "hello_flows": ROOT / "sample_cordapps" / "hello",
    "iou_flows": ROOT / "sample_cordapps" / "iou",
    "negotiation_flows": ROOT / "sample_cordapps" / "negotiation",
    "delivery_flows": ROOT / "sample_cordapps" / "delivery",
}
"""CorDapps by the module of their flows."""


@pytest.fixture(scope="module")
def kits():
    """The kit's sides, by CorDapp and by the way in which its code runs."""
    sandbox = Sandbox(cache_dir=default_cache_dir())
    loaded = {name: load_project(project) for name, project in PROJECTS.items()}
    return {
        name: {
            "native": KitSide(native_code(project)),
            "sandbox": KitSide(sandboxed_code(project, sandbox)),
        }
        for name, project in loaded.items()
    }


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """A host's sides, by CorDapp."""
    folder = tmp_path_factory.mktemp("host")
    with host_of(folder, PROJECTS, make_key(folder, "me")) as sides:
        yield sides


def cordapp_of(given):
    return given.starts[0][1].partition("_")[0] + "_flows"


@pytest.mark.parametrize("given", ROWS, ids=[given.id for given in ROWS])
def test_the_kit_agrees_with_a_host(kits, hosts, given):
    name = cordapp_of(given)
    native = kits[name]["native"].run(given)
    assert text_of(kits[name]["sandbox"].run(given)) == text_of(native)
    assert text_of(hosts[name].run(given, native)) == text_of(native)
