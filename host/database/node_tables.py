"""Contents of a node in tables of the registers whose rows name it in one column."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table

from host.database.node_rows import delete_rows, dump_rows, load_rows, read_rows
from host.domain.ids import HoldingIdentity
from host.ports.database import SqlDatabase

_BATCH_BYTES = 1024 * 1024
CheckRow = Callable[[HoldingIdentity, Table, Mapping[str, Any]], None]


class NodeTables:
    """`NodeContents` of tables.

    Args:
        name: of the section.
        database: the cluster's.
        tables: the column with the node's short hash, by table.
        check: refuses a row of a file that is not the node's, or cannot be used.
    """

    version = 1

    def __init__(
        self,
        name: str,
        database: SqlDatabase,
        tables: Mapping[Table, str],
        check: CheckRow = lambda _holding, _table, _row: None,
    ) -> None:
        self._name = name
        self._check = check
        self._database = database
        self._tables = tables

    @property
    def name(self) -> str:
        return self._name

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        with self._database.read() as connection:
            yield from dump_rows(connection, self._where(holding))

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        del version  # there is one
        batch, size = list[bytes](), 0
        for item in items:
            table, rows = read_rows(item, self._tables)
            for row in rows:
                self._check(holding, table, row)
            batch.append(item)
            size += len(item)
            if size >= _BATCH_BYTES:
                self._store(holding, batch)
                batch, size = [], 0
        self._store(holding, batch)

    def _store(self, holding: HoldingIdentity, batch: Sequence[bytes]) -> None:
        def is_own(table: Table, row: Mapping[str, Any]) -> bool:
            return bool(row.get(self._tables[table]) == holding.short_hash)

        def store(connection: Connection) -> None:
            for item in batch:
                load_rows(connection, item, self._tables, is_own)

        self._database.transact(store)

    def erase(self, holding: HoldingIdentity) -> None:
        self._database.transact(lambda connection: delete_rows(connection, self._where(holding)))

    def _where(self, holding: HoldingIdentity) -> Mapping[Table, Any]:
        return {
            table: table.columns[column] == holding.short_hash
            for table, column in self._tables.items()
        }
