"""Fixtures of the ledger's tests."""

import pytest

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.clock import SimClock
from host.keys import SCHEMA as KEYS
from host.keys import SoftKeyStore
from host.ledger.protocols import finality, repair
from host.ledger.vault.tables import SCHEMA
from host.ports.programs import Call
from host.vault.idempotency import REQUESTS
from tests.ledger.ledger_nodes import NODES, Nodes
from tests.services.support import NOW, CountingEntropy, MemoryMasterKeys, holding


@pytest.fixture
def vault(tmp_path):
    """A node's vault; its statements are run in transactions of the test."""
    with Database.open(tmp_path / "vault.sqlite", [SCHEMA]) as database:
        yield database


@pytest.fixture
def node_stores(tmp_path):
    """Vaults and keys of the nodes of `tests.ledger.ledger_nodes`."""
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
    for name in NODES:
        vaults.create(holding(name).short_hash)
    with Database.open(tmp_path / "keys.sqlite", [KEYS]) as database:
        masters = MemoryMasterKeys()
        keys = SoftKeyStore(
            database, masters=masters, clock=SimClock(NOW), entropy=CountingEntropy()
        )
        yield vaults, keys
    vaults.close()


@pytest.fixture
def notary(monkeypatch):
    """Programs ask the notary of `tests.ledger.ledger_nodes` by a function."""

    def notarise(transaction_id, check):
        return (yield Call("notarise", {"id": transaction_id, "check": check}))

    monkeypatch.setattr(finality, "notarise", notarise)
    monkeypatch.setattr(repair, "notarise", notarise)


@pytest.fixture
def nodes(node_stores, notary):
    """A group with a notary that requires backchains."""
    return Nodes(*node_stores)
