"""What an operation on a virtual node costs does not grow with the number of nodes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.ids import ShortHash, short_hash_of
from host.domain.vnode import AsyncStatus
from host.entities import SCHEMA as PERSISTENCE
from host.entities import EntityTypes, VaultSchemas
from host.nodes.vnode import SCHEMA, MadeVaults, VirtualNodeService
from host.ports.live import Fixed
from host.vault.idempotency import REQUESTS
from tests.services.support import CLAIMANT, cpi
from tests.services.test_virtual_nodes import ALLOWED, Later, StoredPackages
from tests.support.statements import watched

NODES = 10
RUNS_ONCE = True
"""Its tests count what transactions do."""
CREATE_COMMITS = 2
"""One when the creation is accepted, one when the node exists."""


class Statements:
    """What was executed on a database, in order."""

    def __init__(self) -> None:
        self.executed: list[tuple[str, object]] = []

    def add(self, statement: str, parameters: object) -> None:
        if statement != "COMMIT":
            self.executed.append((statement, parameters))

    @property
    def writes(self) -> int:
        return sum(statement == "BEGIN IMMEDIATE" for statement, _ in self.executed)

    def scans(self, database: Database) -> list[str]:
        """Statements that visit all rows of a table."""
        found = []
        with database.read() as connection:
            for statement, parameters in self.executed:
                if statement.startswith("BEGIN"):
                    continue
                # Statements that were prepared give their values to the driver as a list.
                values = tuple(parameters) if isinstance(parameters, list) else parameters
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                if any(row.detail.startswith("SCAN") for row in plan):
                    found.append(statement)
        return found


@contextmanager
def statements_on(database: Database) -> Iterator[Statements]:
    statements = Statements()
    with watched(database, statements.add):
        yield statements


class Nodes:
    def __init__(self, folder: Path, clock, entropy) -> None:
        self.folder = folder / "vnodes"
        self.database = Database.open(folder / "cluster.sqlite", [SCHEMA])
        register = MadeVaults(database=self.database, clock=clock)
        self.vaults = Vaults(self.folder, [REQUESTS, PERSISTENCE], register=register)
        self.later = Later()
        self.service = VirtualNodeService(
            database=self.database,
            schemas=VaultSchemas(self.vaults, EntityTypes(), clock),
            packages=StoredPackages(cpi()),
            clock=clock,
            entropy=entropy,
            claimant=CLAIMANT,
            background=self.later.submit,
            allowed_capabilities=Fixed(ALLOWED),
        )
        self.number = 0

    def create(self) -> ShortHash:
        self.number += 1
        checksum = short_hash_of(cpi().file_checksum)
        request_id = self.service.create(checksum, f"O=Idle {self.number}, L=London, C=GB")
        self.later.run()
        done = self.service.operation(request_id)
        assert done.status is AsyncStatus.SUCCEEDED
        assert done.resource_id is not None
        return done.resource_id

    def use_vault(self, node: ShortHash) -> None:
        with self.vaults.read(node):
            pass


@pytest.fixture
def nodes(tmp_path, clock, entropy):
    nodes = Nodes(tmp_path, clock, entropy)
    yield nodes
    nodes.vaults.close()
    nodes.database.close()


def test_making_a_node_is_two_commits_and_no_file_however_many_there_are(nodes: Nodes) -> None:
    with statements_on(nodes.database) as first:
        nodes.create()
    for _ in range(NODES):
        nodes.create()
    with statements_on(nodes.database) as last:
        nodes.create()
    assert [s for s, _ in last.executed] == [s for s, _ in first.executed]
    assert last.writes == CREATE_COMMITS
    assert not nodes.folder.exists()


@pytest.mark.parametrize(
    "use",
    [
        lambda nodes, _node: nodes.create(),
        lambda nodes, node: nodes.service.get(node),
        lambda nodes, node: nodes.service.set_state(node, "MAINTENANCE"),
        lambda nodes, node: nodes.use_vault(node),
        lambda nodes, node: nodes.vaults.used_bytes(node),
        lambda nodes, _node: nodes.service.resume_interrupted(),
    ],
    ids=["create", "get", "set state", "first use", "used bytes", "resume"],
)
def test_no_operation_on_a_node_visits_the_others(
    nodes: Nodes, use: Callable[[Nodes, ShortHash], object]
) -> None:
    for _ in range(NODES):
        node = nodes.create()
    with statements_on(nodes.database) as statements:
        use(nodes, node)
    assert statements.executed
    assert statements.scans(nodes.database) == []


def test_a_list_of_all_nodes_is_one_statement(nodes: Nodes) -> None:
    for _ in range(NODES):
        nodes.create()
    with statements_on(nodes.database) as statements:
        listed = nodes.service.all()
    assert len(listed) == NODES
    assert [statement for statement, _ in statements.executed if statement != "BEGIN"] == [
        statements.executed[-1][0]
    ]
    assert statements.scans(nodes.database) == [statements.executed[-1][0]]


def test_the_first_use_of_a_vault_notes_it_once(nodes: Nodes) -> None:
    node = nodes.create()
    with statements_on(nodes.database) as first:
        nodes.use_vault(node)
    with statements_on(nodes.database) as second:
        nodes.use_vault(node)
    assert first.writes == 1
    assert second.executed == []
