import pytest

from tests.network.two_hosts import TwoHosts


@pytest.fixture(scope="session")
def two_hosts(tmp_path_factory):
    """Two hosts with a network over both: one pair for all tests."""
    hosts = TwoHosts.started(tmp_path_factory.mktemp("two-hosts"))
    yield hosts
    hosts.stop()
