"""The sandbox's Python reads and writes types as the host's does, and says the same of mistakes."""

import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from host.guests.code import CodeRefusedError
from host.tools.cache import default_cache_dir
from host.tools.cordapps.project import load_project
from host.tools.testkit.code import sandboxed_code
from host.tools.testkit.network import Network
from sandbox.runtime import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROJECT = """
[cordapp]
name = "types"
version = "1.0.0"
vendor = "Tests"
licence = "none"
[workflow]
name = "com.example.types"
source = "workflows"
modules = ["types_flows"]
version = 1
capabilities = []
[limits]
fuelMax = 200000000000
"""
FLOWS = '''
from dataclasses import dataclass
from cordapp.flows import ClientStartableFlow
from round_trip_types import check


class Source:
    """Numbers of a linear congruential generator, in the words of `random.Random`."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def getrandbits(self, count: int) -> int:
        made = 0
        for _ in range(0, count, 32):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            made = made << 32 | self.state >> 32
        return made % 2**count

    def randrange(self, start: int, stop: int | None = None) -> int:
        low, high = (0, start) if stop is None else (start, stop)
        return low + self.getrandbits(256) % (high - low)

    def random(self) -> float:
        return self.getrandbits(53) / 2**53

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def choice(self, items):
        return items[self.randrange(len(items))]


@dataclass(frozen=True)
class Ask:
    first: int
    count: int


class Check(ClientStartableFlow[Ask, int]):
    def call(self, request_body: Ask) -> int:
        for seed in range(request_body.first, request_body.first + request_body.count):
            check(Source(seed))
        return request_body.count
'''
MISTAKES = """
from dataclasses import dataclass
from cordapp.flows import ClientStartableFlow, initiating_flow


@dataclass(frozen=True)
class Offer:
    price: complex  # line 8


@initiating_flow("p")
class Ask(ClientStartableFlow[str, str]):
    async def call(self, request_body: str) -> str:  # line 13
        session = self.flow_messaging.initiate_flow(request_body)
        session.receive(Offer | str)  # line 15
        return ""
"""


@pytest.fixture
def project(tmp_path):
    def make(flows):
        (tmp_path / "workflows").mkdir()
        (tmp_path / "workflows" / "types_flows.py").write_text(dedent(flows))
        shutil.copy(Path(__file__).with_name("round_trip_types.py"), tmp_path / "workflows")
        (tmp_path / "cordapp.toml").write_text(PROJECT)
        return load_project(tmp_path)

    return make


def test_generated_values_come_back_with_their_types_in_the_sandbox(project):
    code = sandboxed_code(project(FLOWS), Sandbox(cache_dir=default_cache_dir()))
    with Network(code) as network:
        node = network.node("O=Alice, L=London, C=GB")
        assert node.start("types_flows.Check", {"first": 0, "count": 150}) == 150


def test_a_build_names_every_mistake_with_its_place(project):
    with pytest.raises(CodeRefusedError) as refused:
        sandboxed_code(project(MISTAKES), Sandbox(cache_dir=default_cache_dir()))
    assert refused.value.message.split("\n") == [
        "com.example.types: 2 declarations cannot work:",
        "types_flows.py:13: Ask.call: is async, and nothing awaits it: write a plain def",
        "types_flows.py:15: a message: types_flows.py:8: Offer.price: complex has no JSON form:"
        " write a dataclass for it",
    ]
