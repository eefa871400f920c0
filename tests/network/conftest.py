import pytest

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
