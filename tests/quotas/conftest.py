from pathlib import Path

import pytest

from host.adapters.sqlite.database import Database
from host.nodes.quotas.tables import SCHEMA
from tests.rest.conftest import (  # noqa: F401  # fixtures of a whole host
    _quiet_log,
    alice,
    api,
    cpi,
    data_dir,
    host,
    node_of,
    polled,
    services,
    somebody,
)


@pytest.fixture
def cluster(tmp_path: Path):
    """A cluster's database with the tables of quotas."""
    with Database.open(tmp_path / "cluster.sqlite", [SCHEMA]) as database:
        yield database
