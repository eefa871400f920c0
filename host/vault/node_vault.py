"""The contents of a node's own database, as items of its file."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from host.database.node_rows import delete_rows, dump_rows, load_rows, tables_of
from host.domain.ids import HoldingIdentity
from host.ports.database import Schema
from host.ports.vaults import VaultAccess

_BATCH_BYTES = 1024 * 1024


class NodeDatabase:
    """`NodeContents` of one kind of node's database: a vault, or what a notary keeps.

    Args:
        name: of the section.
        vaults: the databases of all nodes.
        schemas: their tables; indexes that depend on a CPI are made again when it is used.
    """

    version = 1

    def __init__(self, name: str, vaults: VaultAccess, schemas: Sequence[Schema]) -> None:
        self._name = name
        self._vaults = vaults
        found = tables_of(each.metadata for each in schemas if each.metadata is not None)
        self._tables = dict.fromkeys(found)

    @property
    def name(self) -> str:
        return self._name

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        if self._vaults.is_made(holding.short_hash):
            with self._vaults.read(holding.short_hash) as connection:
                yield from dump_rows(connection, self._tables)

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        del version  # there is one
        batch, size = list[bytes](), 0
        for item in items:
            batch.append(item)
            size += len(item)
            if size >= _BATCH_BYTES:
                self._store(holding, batch)
                batch, size = [], 0
        if batch:
            self._store(holding, batch)

    def erase(self, holding: HoldingIdentity) -> None:
        if self._vaults.is_made(holding.short_hash):
            self._vaults.transact(holding.short_hash, lambda c: delete_rows(c, self._tables))

    def _store(self, holding: HoldingIdentity, batch: Sequence[bytes]) -> None:
        def store(connection: Connection) -> None:
            for item in batch:
                # All of it is the node's: others have databases of their own.
                load_rows(connection, item, self._tables, lambda _table, _row: True)

        self._vaults.transact(holding.short_hash, store)
