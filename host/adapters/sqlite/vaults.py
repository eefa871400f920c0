"""The vaults of virtual nodes, as SQLite files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from host.adapters.files.identity import Marks
from host.adapters.sqlite.node_databases import OPEN_MAX, NodeDatabases
from host.adapters.sqlite.node_files import VAULT
from host.domain.ids import ShortHash
from host.ports.database import Schema
from host.ports.vaults import VaultRegister


class Vaults(NodeDatabases):
    """Opens `<root>/<short hash>/vault.sqlite`; a node's code only ever gets its own.

    See `NodeDatabases` for what the arguments do.
    """

    def __init__(
        self,
        root: Path,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister | None = None,
        cluster_id: str = "",
        marks: Marks | None = None,
        open_max: int = OPEN_MAX,
        bytes_max_of: Callable[[ShortHash], int] | None = None,
    ) -> None:
        super().__init__(
            VAULT,
            root,
            schemas,
            register=register,
            cluster_id=cluster_id,
            marks=marks,
            open_max=open_max,
            bytes_max_of=bytes_max_of,
        )
