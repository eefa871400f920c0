"""Fixtures of the services' tests."""

import pytest

from host.db import Database
from host.domain.clock import SimClock
from host.keys import SCHEMA as KEYS
from host.keys import SoftKeyStore
from tests.services.support import MASTER_KEY, NOW, CountingEntropy


@pytest.fixture
def clock():
    return SimClock(NOW)


@pytest.fixture
def entropy():
    return CountingEntropy()


@pytest.fixture
def keys(tmp_path, clock, entropy):
    with Database.open(tmp_path / "keys.sqlite", [KEYS]) as database:
        yield SoftKeyStore(database, master_key=MASTER_KEY, clock=clock, entropy=entropy)
