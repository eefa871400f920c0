"""Fixtures of the services' tests."""

import pytest

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.clock import SimClock
from host.keys import SCHEMA as KEYS
from host.keys import SoftKeyStore
from host.ledger.vault.tables import SCHEMA as LEDGER
from host.vault.idempotency import REQUESTS
from tests.services.ledger_support import ALL_NODES, Net
from tests.services.support import NOW, CountingEntropy, MemoryMasterKeys, holding
from tests.support.repeated_transactions import run_transactions_twice


@pytest.fixture(autouse=True)
def _repeated(request, monkeypatch):
    """Runs each transaction twice, but in modules that count statements (`RUNS_ONCE`)."""
    if not getattr(request.module, "RUNS_ONCE", False):
        run_transactions_twice(monkeypatch)


@pytest.fixture
def clock():
    return SimClock(NOW)


@pytest.fixture
def entropy():
    return CountingEntropy()


@pytest.fixture
def keys(tmp_path, clock, entropy):
    with Database.open(tmp_path / "keys.sqlite", [KEYS]) as database:
        yield SoftKeyStore(database, masters=MemoryMasterKeys(), clock=clock, entropy=entropy)


@pytest.fixture
def net(tmp_path, keys):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, LEDGER])
    for name in ALL_NODES:
        vaults.create(holding(name).short_hash)
    yield Net(vaults, keys)
    vaults.close()
