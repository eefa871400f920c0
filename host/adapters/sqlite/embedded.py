"""Storage of a host on one machine: a database, a vault for each node, a folder of CPIs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from host.adapters.files.cpi_files import CpiFolder
from host.adapters.files.identity.marks import Marks
from host.adapters.os.descriptors import descriptor_limit
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.node_databases import NodeDatabases
from host.adapters.sqlite.node_files import UNIQUENESS
from host.adapters.sqlite.vaults import Vaults
from host.domain.ids import ShortHash
from host.ports.clock import Entropy
from host.ports.database import Schema
from host.ports.vaults import VaultRegister

_VAULTS_OPEN_MAX = 64
_NOTARIES_OPEN_MAX = 8
_DESCRIPTORS_FOR_VAULT = 32
"""An open vault uses up to 6 descriptors: with this share, most remain for other uses."""


class EmbeddedStorage:
    """The port `Storage` in files of a data directory."""

    def __init__(
        self,
        *,
        cluster_database: Path,
        virtual_nodes: Path,
        packages: Path,
        cluster_id: str,
        store_id: str,
        marks: Marks,
    ) -> None:
        self._cluster_database = cluster_database
        self._virtual_nodes = virtual_nodes
        self._packages = packages
        self._cluster_id = cluster_id
        self._store_id = store_id
        self._marks = marks

    def store_id(self) -> str:
        return self._store_id

    def open_database(self, schemas: Sequence[Schema]) -> Database:
        file = self._cluster_database
        return Database.open(file, schemas, mark=self._marks.of(file.name))

    def open_vaults(
        self,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister,
        bytes_max_of: Callable[[ShortHash], int],
    ) -> Vaults:
        return Vaults(
            self._virtual_nodes,
            schemas,
            register=register,
            cluster_id=self._cluster_id,
            marks=self._marks,
            open_max=max(4, min(_VAULTS_OPEN_MAX, descriptor_limit() // _DESCRIPTORS_FOR_VAULT)),
            bytes_max_of=bytes_max_of,
        )

    def open_uniqueness(
        self,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister,
        bytes_max_of: Callable[[ShortHash], int],
    ) -> NodeDatabases:
        return NodeDatabases(
            UNIQUENESS,
            self._virtual_nodes,
            schemas,
            register=register,
            cluster_id=self._cluster_id,
            marks=self._marks,
            open_max=_NOTARIES_OPEN_MAX,
            bytes_max_of=bytes_max_of,
        )

    def vault_sql(self, schemas: Sequence[Schema]) -> None:
        """None: a vault is a file of its own, which the host makes at the first use."""

    def uniqueness_sql(self, schemas: Sequence[Schema]) -> None:
        """None: as for vaults."""

    def open_cpi_files(self) -> CpiFolder:
        return CpiFolder(self._packages)

    def shared_audit_key(self, entropy: Entropy) -> None:
        """None: the one host has the key in its data directory."""
        del entropy
