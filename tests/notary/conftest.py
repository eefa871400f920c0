"""A network with a notary, whose nodes run the CorDapp `asker`."""

from pathlib import Path

import pytest

from host.tools.cordapps.project import load_project
from host.tools.testkit.code import native_code
from host.tools.testkit.network import Network
from tests.notary.requests import NODE, SERVICE, Notaries

ASKER = Path(__file__).parent / "asker"
ALICE = "O=Alice, L=London, C=GB"


@pytest.fixture(scope="session")
def asker_code():
    return native_code(load_project(ASKER))


@pytest.fixture
def network(asker_code):
    with Network(asker_code) as network:
        yield network


@pytest.fixture
def notary(network):
    return network.notary(NODE, service=SERVICE)


@pytest.fixture
def notaries(network, notary):
    return Notaries(network, network.node(ALICE))
