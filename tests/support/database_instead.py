"""STORAGE_UNDER_TEST=postgres: tests that open files of SQLite get databases of PostgreSQL instead.

Each path that a test opens stands for a database of its own, which keeps its content until the test ends, so that a
test may close and open it. Hosts that tests run in their process (`tests/support/hosts.py`) get the settings of a
cluster; those that are processes of their own are embedded as ever, so that tests of them are left out (`tests/postgres`
has such). What is about SQLite itself is left out, each with its reason: see `LEFT_OUT`.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from tests.postgres.made_nodes import EveryNode

if TYPE_CHECKING:
    from plugins.postgres.connections import Access
    from tests.support.postgres import PostgresServer

T = TypeVar("T")

IS_POSTGRES = os.environ.get("STORAGE_UNDER_TEST") == "postgres"
LEFT_OUT: Mapping[str, str] = {
    "tests/flow/test_flow_reads.py"
    "::test_a_flow_of_one_step_takes_few_statements": "SQLite's statements",
    "tests/flow/test_flow_workers.py"
    "::test_steps_cost_no_thread_no_connection_and_no_look_in_vain": "SQLite's statements",
    "tests/network/test_node_moves.py::test_a_member_moves_and_its_flows_go_on": "processes",
    "tests/notary/test_notary_kill.py": "processes",
    "tests/ledger/test_ledger_races.py": "processes that share files",
    "tests/quotas/test_quota_commands.py": "a directory that is made beforehand",
    "tests/quotas/test_quota_rest.py": "a directory that is made beforehand",
    "tests/quotas/test_quota_service.py"
    "::test_what_could_not_be_stored_is_stored_the_next_time": "a file that is gone",
    "tests/services/test_database.py": "files of SQLite",
    "tests/services/test_kept_connections.py": "connections to files",
    "tests/services/test_lazy_vaults.py": "files of vaults",
    "tests/services/test_node_bounds.py": "files, and statements of SQLite's engine",
    "tests/services/test_notary_databases.py": "files that are gone, empty, older or exchanged",
    "tests/services/test_prepared_statements.py": "statements that SQLite prepares",
    "tests/services/test_service_faults.py": "SQLite's errors",
    "tests/services/test_shared_commits.py": "commits that SQLite's vaults share",
    "tests/services/test_steady_view.py": "how SQLite tells of commits",
    "tests/services/test_vault_handles.py": "handles of files",
    "tests/services/test_vault_identity.py": "files that are exchanged",
    "tests/services/test_entity_order.py"
    "::test_an_index_of_order_keys_is_what_the_query_uses": "SQLite's plan",
    "tests/services/test_entity_order.py"
    "::test_a_vault_of_the_first_version_gets_order_keys": "older than PostgreSQL's",
    "tests/services/test_entity_queries.py"
    "::test_a_declared_index_is_what_the_query_uses": "SQLite's plan",
    "tests/services/test_entity_queries.py"
    "::test_a_query_that_takes_too_long_is_interrupted_and_the_vault_goes_on": "SQLite's progress",
    "tests/services/test_entity_queries.py"
    "::test_a_query_ends_within_its_time_whatever_its_instructions_do": "SQLite's progress",
    "tests/services/test_entity_queries.py"
    "::test_like_is_no_product_of_text_and_pattern": "our LIKE: PostgreSQL has its own, within a time",
    "tests/services/test_keys.py::test_no_secret_is_in_the_files_in_clear": "files of SQLite",
    "tests/services/test_key_rotation.py"
    "::test_wrapped_bytes_of_old_keys_are_gone_from_the_disk": "files of SQLite",
    "tests/services/test_ledger.py::test_vaults_are_separate": "files of vaults",
    "tests/services/test_ledger.py"
    "::test_a_page_of_states_that_are_not_there_ends_within_its_time": "SQLite's progress",
    "tests/services/test_ledger_queries.py"
    "::test_declared_indexes_are_made_used_and_dropped": "SQLite's plan",
    "tests/services/test_ledger_queries.py"
    "::test_a_full_vault_is_queried_without_its_indexes": "sizes of files",
    "tests/services/test_ledger_queries.py"
    "::test_a_query_that_takes_too_long_names_what_it_compares": "SQLite's progress",
}
"""Files and tests, and what they are about instead of storage: SQLite itself."""
_UNLIMITED = 2**40
_DROP_SCHEMAS = (
    "DO $$ DECLARE name text; BEGIN FOR name IN SELECT nspname FROM pg_namespace"
    r" WHERE nspname ~ '^(vault|uniqueness)[0-9]*_|^cordbox_cluster$'"
    " LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP; END $$"
)
_EMPTY_FILES = "DELETE FROM cordbox_files.cpi_file"


class Databases:
    """Databases of one server by the paths for which they stand; they are used again.

    Args:
        server: on which they are made.
    """

    def __init__(self, server: "PostgresServer") -> None:
        self._server = server
        self._free: list[_Reused] = []
        self._used: dict[Path, _Reused] = {}
        self._opened: dict[Path, list[Any]] = {}
        self._nodes: dict[Path, _Nodes] = {}
        self._clusters: dict[Path, Mapping[str, Any]] = {}

    def of(self, path: Path) -> "Access":
        """How to connect to the database that stands for a file, or for a folder of files."""
        path = path.absolute()
        if path not in self._used:
            self._used[path] = self._free.pop() if self._free else _Reused(self._server)
        return self._used[path].access

    def cluster(self, data_dir: Path) -> Mapping[str, Any]:
        """Settings of a host whose data directory this is: those of a cluster."""
        data_dir = data_dir.absolute()
        if data_dir not in self._clusters:
            folder = data_dir.with_name(f"{data_dir.name}-database")
            folder.mkdir(parents=True)
            settings = self._server.new_cluster(folder).settings
            names = ("database_url", "database_password_file", "master_passphrase_file")
            self._clusters[data_dir] = {name: getattr(settings, name) for name in names}
        return self._clusters[data_dir]

    def release(self, folder: Path) -> None:
        """Empty the databases of a test, whose folder this is, for the next one."""
        for path in [each for each in self._used if each.is_relative_to(folder)]:
            for opened in self._opened.pop(path, ()):
                opened.close()  # files need not be closed, and some tests do not
            database = self._used.pop(path)
            if database.empty():
                self._free.append(database)

    def note(self, path: Path, opened: T) -> T:
        """What was opened in the database that stands for a path: it is closed at the end."""
        self._opened.setdefault(path.absolute(), []).append(opened)
        return opened

    def nodes(self, root: Path) -> "_Nodes":
        """The register of the vaults in a folder, where a test has none."""
        return self._nodes.setdefault(root.absolute(), _Nodes())

    def close(self) -> None:
        for opened in [each for made in self._opened.values() for each in made]:
            opened.close()
        for database in (*self._free, *self._used.values()):
            database.close()


class _Nodes(EveryNode):
    """A register of the nodes that a test has made."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[ShortHash] = set()

    def is_made(self, short_hash: ShortHash) -> bool:
        if short_hash not in self.known:
            message = f"virtual node {short_hash} has no vault"
            raise NotFoundError(message, kind="vault", named=short_hash)
        return super().is_made(short_hash)


class _Reused:
    """A database with the tables of flows and packages; those of registers and nodes are made as they are opened."""

    def __init__(self, server: "PostgresServer") -> None:
        from plugins.postgres.cpi_files import FILES, TABLES
        from plugins.postgres.functions import make_functions
        from plugins.postgres.tables import make_schema
        from tests.support.postgres import FlowDatabase

        self._flows = FlowDatabase(server)
        self.access = self._flows.access
        make_functions(self.access)
        make_schema(self.access, FILES, TABLES)

    def close(self) -> None:
        self._flows.close()

    def empty(self) -> bool:
        """Delete what a test has stored; False if a connection that it left open is in the way."""
        from pg8000.exceptions import DatabaseError

        try:
            self._flows.empty()
            self._flows.run(_EMPTY_FILES)
            self._flows.run(_DROP_SCHEMAS)
        except DatabaseError:
            return False
        return True


class _Instead:
    """What classes of the embedded adapters make instead of themselves."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def database(self, path: Path, schemas: Sequence[Any], **_: object) -> Any:
        from tests.support.postgres import opened_database

        opened = opened_database(self._databases.of(path), schemas)
        opened.path = path  # type: ignore[attr-defined]  # by which tests open it again
        return self._databases.note(path, opened)

    def store(self, path: Path, *, clock: Any = None, hints: Any = None, mark: Any = None) -> Any:
        del mark
        from plugins.postgres.store import PostgresStore

        store = PostgresStore(self._databases.of(path), clock=clock, hints=hints)
        return self._databases.note(path, store)

    def vaults(self, root: Path, schemas: Sequence[Any], **more: Any) -> Any:
        from plugins.postgres.vaults import VAULT

        return self._node_schemas(VAULT, root, schemas, **more)

    def node_databases(self, file: Any, root: Path, schemas: Sequence[Any], **more: Any) -> Any:
        from host.adapters.sqlite.node_files import UNIQUENESS as FILE
        from plugins.postgres.vaults import UNIQUENESS, VAULT

        return self._node_schemas(UNIQUENESS if file is FILE else VAULT, root, schemas, **more)

    def cpi_files(self, folder: Path) -> Any:
        from plugins.postgres.cpi_files import CpiRows

        return self._databases.note(folder, CpiRows(self._databases.of(folder), kept_seconds=0))

    def _node_schemas(
        self,
        kind: Any,
        root: Path,
        schemas: Sequence[Any],
        *,
        register: Any = None,
        bytes_max_of: Callable[[Any], int] | None = None,
        **_: object,
    ) -> Any:
        from plugins.postgres.vaults import NodeSchemas

        nodes = self._databases.nodes(root)

        class Made(NodeSchemas):
            """With the method by which tests make a vault beforehand."""

            def create(self, node: Any) -> None:
                nodes.known.add(node)
                self._prepare(node)

        made = Made(
            kind,
            self._databases.of(root),
            schemas,
            register=register or nodes,
            bytes_max_of=bytes_max_of or (lambda _: _UNLIMITED),
        )
        return self._databases.note(root, made)


def _replace(patch: pytest.MonkeyPatch, kind: type, make: Callable[..., object]) -> None:
    """Have the constructor of a class, but not of those that inherit from it, return what `make` does."""

    def new(cls: type, *arguments: object, **named: object) -> object:
        return make(*arguments, **named) if cls is kind else object.__new__(cls)

    patch.setattr(kind, "__new__", new, raising=False)


@pytest.fixture(scope="session", autouse=IS_POSTGRES)
def _databases() -> Iterator[Databases]:
    """Replaces the embedded adapters until the run ends."""
    from host.adapters.files.cpi_files import CpiFolder
    from host.adapters.sqlite.database import Database
    from host.adapters.sqlite.node_databases import NodeDatabases
    from host.adapters.sqlite.store import SqliteStore
    from host.adapters.sqlite.vaults import Vaults
    from tests.support import hosts
    from tests.support.postgres import running_server

    with ExitStack() as stack:
        databases = Databases(stack.enter_context(running_server()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        instead = _Instead(databases)
        patch.setattr(Database, "open", staticmethod(instead.database))
        for kind, make in (
            (SqliteStore, instead.store),
            (Vaults, instead.vaults),
            (NodeDatabases, instead.node_databases),
            (CpiFolder, instead.cpi_files),
        ):
            _replace(patch, kind, make)
        patch.setattr(hosts, "database_settings", databases.cluster)
        try:
            yield databases
        finally:
            databases.close()


@pytest.fixture(autouse=IS_POSTGRES)
def _postgres_instead(_databases: Databases, tmp_path: Path) -> Iterator[None]:
    """Set up before what a test opens, so that all of it is closed at the end."""
    yield
    _databases.release(tmp_path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not IS_POSTGRES:
        return
    left = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in set(left)]


def _is_left_out(item: pytest.Item) -> bool:
    place = item.nodeid.partition("[")[0]
    return (
        place.partition("::")[0] in LEFT_OUT
        or place in LEFT_OUT
        or "memory" in item.nodeid.partition("[")[2]
    )
