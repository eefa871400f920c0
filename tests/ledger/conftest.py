"""Fixtures of the ledger's tests."""

import pytest

from host.adapters.sqlite.database import Database
from host.ledger import SCHEMA


@pytest.fixture
def vault(tmp_path):
    """A node's vault; its statements are run in transactions of the test."""
    with Database.open(tmp_path / "vault.sqlite", [SCHEMA]) as database:
        yield database
