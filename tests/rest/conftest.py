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
from host.system import SystemEntropy

PASSWORD = "secret"
BODY_MAX = 100_000


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


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A REST application over real services, with the user `admin`, for one module's tests."""
    folder = tmp_path_factory.mktemp("rest")
    with Database.open(folder / "cluster.sqlite", [RBAC_SCHEMA]) as database:
        users = Users(database, clock=SimClock(), entropy=SystemEntropy())
        users.create("admin", PASSWORD, full_name="Administrator", permissions=(ALLOW_ALL,))
        services = RestServices(
            packages=None,
            certificates=None,
            virtual_nodes=None,
            flows=None,
            membership=None,
            members=None,
            users=users,
        )
        registry = CollectorRegistry()
        app = create_app(services, max_content_length=BODY_MAX, registry=registry)
        yield app, services


@pytest.fixture
def services(served):
    return served[1]


@pytest.fixture
def api(served):
    """A client of the application that is logged in as `admin`."""
    client = TestClient(served[0], raise_server_exceptions=False, follow_redirects=False)
    client.auth = ("admin", PASSWORD)
    with client:
        yield client


@pytest.fixture
def somebody(services):
    """Login name and password of a user that only one test uses."""
    login_name = f"user-{os.urandom(4).hex()}"
    services.users.create(login_name, "first", full_name="Some Body", permissions=(ALLOW_ALL,))
    return login_name, "first"
