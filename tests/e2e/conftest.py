import pytest

from tests.support.killable_host import KillableHost, make_packages


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A folder with the sample's CPI, and its signer's certificate."""
    return make_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def host_with(tmp_path):
    """Starts a host with the given options."""
    made = []

    def start(*options, environment=None):
        host = KillableHost(tmp_path, options, environment=environment)
        made.append(host)
        host.start()
        return host

    yield start
    for host in made:
        host.kill()
