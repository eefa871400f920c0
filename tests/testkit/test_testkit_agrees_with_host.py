"""One suite for the kit, natively and in the sandbox, and a whole host: outcomes, journals, messages."""

import base64
import random
import uuid

import pytest

from host.flow.core.journal import REQUEST_CHARACTERS_MAX
from host.tools.cache import default_cache_dir
from host.tools.cordapps.project import load_project
from host.tools.testkit.code import native_code, sandboxed_code
from sandbox.runtime import Sandbox
from tests.support.keystores import make_key
from tests.testkit.conftest import PROBE
from tests.testkit.rows import ROWS
from tests.testkit.sides import KitSide, Words, host_of, text_of

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


@pytest.mark.parametrize("layout", range(40))
def test_requests_that_were_cut_compare_whatever_their_signatures_measure(layout):
    seen = {_cut_request(random.Random(layout), random.Random(each)) for each in range(60)}
    assert len(seen) == 60
    assert len({Words().of_cut(each) for each in seen}) == 1


def _cut_request(layout, chance):
    """Words that vary in any order, and signatures of 66 to 72 bytes, most of them of 70 to 72."""
    made = {
        "id": lambda: str(uuid.UUID(bytes=chance.randbytes(16), version=4)),
        "key": lambda: (
            "-----BEGIN PUBLIC KEY-----\\n"
            + base64.b64encode(chance.randbytes(91)).decode()
            + "\\n-----END PUBLIC KEY-----"
        ),
        "transaction": lambda: f"SHA-256D:{chance.randbytes(32).hex().upper()}",
        "signature": lambda: _signature(chance),
        "plain": lambda: "words that do not vary",
    }
    text = ""
    while len(text) < 2 * REQUEST_CHARACTERS_MAX:
        kind = layout.choice([*made, "signature"])
        text += f'{{"{kind}":"{made[kind]()}",' + "-" * layout.randrange(30)
    return text[:REQUEST_CHARACTERS_MAX]


def _signature(chance):
    size = chance.choice([66, 69, 70, 70, 71, 71, 72])
    head = bytes((0x30, size - 2, 2))
    return base64.b64encode(head + chance.randbytes(size - 3)).decode()
