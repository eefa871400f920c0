"""What the REST tests share: a real cluster database with users, and small sources of input."""

import os

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from host.db import Database
from host.domain.clock import SimClock
from host.rbac import RBAC_SCHEMA, Users
from host.rbac.permissions import ALLOW_ALL
from host.rest.app import create_app
from host.rest.services import RestServices

PASSWORD = "secret"
BODY_MAX = 100_000


class SystemEntropy:
    def random_bytes(self, count):
        return os.urandom(count)


@pytest.fixture
def clock():
    return SimClock()


@pytest.fixture
def entropy():
    return SystemEntropy()


@pytest.fixture
def cluster_database(tmp_path):
    with Database.open(tmp_path / "cluster.sqlite", [RBAC_SCHEMA]) as database:
        yield database


@pytest.fixture
def users(cluster_database, clock, entropy):
    return Users(cluster_database, clock=clock, entropy=entropy)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def services(users):
    return RestServices(
        packages=None,
        certificates=None,
        virtual_nodes=None,
        flows=None,
        membership=None,
        members=None,
        users=users,
    )


@pytest.fixture
def api(services, registry):
    """The REST application of a host with the user `admin` (password `secret`), in process."""
    services.users.create("admin", PASSWORD, full_name="Administrator", permissions=(ALLOW_ALL,))
    app = create_app(services, max_content_length=BODY_MAX, registry=registry)
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        client.auth = ("admin", PASSWORD)
        yield client
