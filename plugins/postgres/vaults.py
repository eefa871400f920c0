"""Databases of virtual nodes: a schema of PostgreSQL for each node and kind, made at first use.

The size of a database is the sum of its rows as text, which triggers count: the size of files is
not that of their live rows. It is checked in the transaction that makes it grow.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from host.domain.accounts import Account, QuotaExceededError
from host.domain.errors import StorageError
from host.domain.ids import ShortHash
from host.ports.database import Schema
from host.ports.vaults import VaultRegister
from plugins.postgres.connections import Access
from plugins.postgres.database import run_again, upgrade
from plugins.postgres.dialect import NAME
from plugins.postgres.engine import EngineSessions
from plugins.postgres.errors import translated
from plugins.postgres.tables import FUNCTIONS

T = TypeVar("T")

_COUNTED = (
    "SELECT coalesce(nullif(current_setting('cordbox.bytes', true), ''), '0')::bigint, held"
    " FROM node_bytes"
)
_FIND = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
_MAKE = f"SELECT {FUNCTIONS}.make_node_schema(%s)"
_COUNT = "UPDATE node_bytes SET held = held + %s"
_OWN = (
    "CREATE TABLE node_bytes (held bigint NOT NULL)",
    "INSERT INTO node_bytes VALUES (0)",
    # Counts the effects of calls, as a file of SQLite does.
    "CREATE TABLE file_identity (generation bigint NOT NULL)",
    "INSERT INTO file_identity VALUES (0)",
)
_TRIGGER = (
    "CREATE TRIGGER counts_bytes AFTER INSERT OR UPDATE OR DELETE ON {}"
    f" FOR EACH ROW EXECUTE FUNCTION {FUNCTIONS}.count_bytes()"
)


class SchemaMissingError(StorageError):
    """The schema of a node's database is gone; it can only be restored from a backup."""

    code = "node-schema-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKind:
    """A kind of database that each node may have one of."""

    called: str
    prefix: str
    account: Account

    def schema(self, node: ShortHash) -> str:
        """The schema of PostgreSQL; short hashes are hexadecimal digits."""
        return f"{self.prefix}_{node.lower()}"

    def role(self, node: ShortHash) -> str:
        """The role without login that owns the schema, and has no other right."""
        return f"cordbox_{self.schema(node)}"


VAULT = NodeKind(called="vault", prefix="vault", account=Account.VAULT)
UNIQUENESS = NodeKind(
    called="database of spent states", prefix="uniqueness", account=Account.UNIQUENESS
)


class NodeSchemas:
    """One kind of database of all nodes: the port `VaultAccess`. Thread-safe.

    All statements on a node's tables run under the role of that node: they cannot reach another's,
    nor the tables of the host. Transactions of one node wait for each other, those of different
    nodes do not.

    Args:
        kind: which databases.
        access: how to connect.
        schemas: the tables of each.
        register: knows the nodes, and which have a database.
        bytes_max_of: the maximum size of a node's database.
    """

    def __init__(
        self,
        kind: NodeKind,
        access: Access,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister,
        bytes_max_of: Callable[[ShortHash], int],
    ) -> None:
        self._kind = kind
        self._schemas = tuple(schemas)
        self._register = register
        self._bytes_max_of = bytes_max_of
        self._place = str(access.address)
        self._engine = EngineSessions(access, search_path=FUNCTIONS)
        self._lock = threading.Lock()
        self._ready: set[ShortHash] = set()
        self._writing = threading.local()

    def is_made(self, short_hash: ShortHash) -> bool:
        return short_hash in self._ready or self._register.is_made(short_hash)

    @contextmanager
    def read(self, short_hash: ShortHash) -> Iterator[Connection]:
        self._prepare(short_hash)
        with (
            translated(self._place),
            self._engine.reading(within=self._within(short_hash)) as connection,
        ):
            yield connection

    def transact(self, short_hash: ShortHash, work: Callable[[Connection], T]) -> T:
        nodes: set[ShortHash] = self._writing.__dict__.setdefault("nodes", set())
        if short_hash in nodes:
            raise RuntimeError(
                f"a second transaction on the {self._kind.called} of {short_hash} inside the first"
            )
        self._prepare(short_hash)
        nodes.add(short_hash)
        try:
            return run_again(lambda: self._once(short_hash, work), self._place)
        finally:
            nodes.discard(short_hash)

    def used_bytes(self, short_hash: ShortHash) -> int:
        if not self.is_made(short_hash):
            return 0
        with self.read(short_hash) as connection:
            held: int = connection.exec_driver_sql("SELECT held FROM node_bytes").scalar_one()
            return held

    def note(self) -> None:
        """Nothing: a node's schema cannot be older than the register beside it."""

    def close(self) -> None:
        self._engine.close()

    def _once(self, short_hash: ShortHash, work: Callable[[Connection], T]) -> T:
        with self._written(short_hash) as connection:
            result = work(connection)
            more, held = connection.exec_driver_sql(_COUNTED).one()
            if more:
                self._check_grown(short_hash, held, more)
                connection.exec_driver_sql(_COUNT, (more,))
        return result

    def _check_grown(self, short_hash: ShortHash, held: int, more: int) -> None:
        bytes_max = self._bytes_max_of(short_hash)
        if more > 0 and held + more > bytes_max:
            raise QuotaExceededError.of(
                short_hash, self._kind.account, held=held, more=more, most=bytes_max
            )

    @contextmanager
    def _written(self, short_hash: ShortHash) -> Iterator[Connection]:
        lock = f"cordbox {self._kind.schema(short_hash)}"
        with self._engine.writing(lock, within=self._within(short_hash)) as connection:
            yield connection

    def _within(self, short_hash: ShortHash) -> str:
        path = f"{self._kind.schema(short_hash)}, {FUNCTIONS}"
        return f"SET LOCAL search_path = {path}; SET LOCAL ROLE {self._kind.role(short_hash)}"

    def _prepare(self, short_hash: ShortHash) -> None:
        """Make or migrate the node's schema, at the first use by this process.

        Raises:
            NotFoundError: no such virtual node.
            SchemaMissingError: it had one, which is gone.
        """
        if short_hash in self._ready:
            return
        was_made = self._register.is_made(short_hash)
        name = self._kind.schema(short_hash)
        with (
            translated(self._place),
            # Without the schema's name in the search path: see `make_namespace`.
            self._engine.writing(f"cordbox {name}") as connection,
        ):
            if was_made and connection.exec_driver_sql(_FIND, (name,)).first() is None:
                raise SchemaMissingError(
                    f"the {self._kind.called} of virtual node {short_hash} is gone: database"
                    f" {self._place} has no schema {name}",
                    database=self._place,
                )
            connection.exec_driver_sql(_MAKE, (name,))
            connection.exec_driver_sql(f"SET LOCAL ROLE {self._kind.role(short_hash)}")
            upgrade(connection, name, with_counts(self._schemas), place=self._place)
        if not was_made:
            self._register.note_made(short_hash)
        with self._lock:
            self._ready.add(short_hash)


def with_counts(schemas: Sequence[Schema]) -> Sequence[Schema]:
    """The tables of a node, the count of its bytes, and the triggers that keep it."""
    tables = [
        table.name
        for schema in schemas
        if schema.metadata is not None
        for table in schema.metadata.sorted_tables
    ]
    # The rows of new tables are still few: they need not be counted.
    triggers = (_TRIGGER.format(f'"{table}"') for table in tables)
    return (*schemas, Schema(name="node", statements={NAME: (*_OWN, *triggers)}))
