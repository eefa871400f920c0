"""What the REST tests share: a real cluster database with users, and small sources of input."""

import os

import pytest

from host.db import Database
from host.domain.clock import SimClock
from host.rbac import RBAC_SCHEMA, Users


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
