import pytest

from tests.network.dynamic_networks import copied_network, member_name
from tests.network.two_hosts import TwoHosts


@pytest.fixture(scope="session")
def two_hosts(tmp_path_factory):
    """Two hosts with a network over both: one pair for all tests. The first one sends traces."""
    traced = {
        "CORDBOX_PLUGINS": "embedded,otel",
        "CORDBOX_OTEL_ENDPOINT": "http://127.0.0.1:9/v1/traces",  # nobody takes them
    }
    hosts = TwoHosts.started(tmp_path_factory.mktemp("two-hosts"), of_first=traced)
    yield hosts
    hosts.stop()


@pytest.fixture
def network(tmp_path):
    """Two clusters with an MGM and a member that has the newest list; many files have another one."""
    made = copied_network(tmp_path, clusters=2, seed=0)
    made.join(member_name(0), 1)
    made.settle()
    yield made
    made.close()
