"""The adapters of databases, vaults and package files that the contract tests are run on.

A further adapter is a further entry in each of the three tables.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from host.adapters.files.cpi_files import CpiFolder
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.ids import ShortHash
from host.ports.cpi_files import CpiFiles
from host.ports.database import Schema, SqlDatabase
from host.ports.vaults import VaultAccess, VaultRegister
from host.runtime.wiring.schemas import VAULT_SCHEMAS

BYTES_MAX = 512 * 1024
"""Of each vault under test."""

OpenDatabase = Callable[[Path, Sequence[Schema]], AbstractContextManager[SqlDatabase]]
OpenVaults = Callable[[Path, Sequence[Schema], VaultRegister], AbstractContextManager[VaultAccess]]


def _sqlite_file(place: Path, schemas: Sequence[Schema]) -> Database:
    return Database.open(place / "cluster.sqlite", schemas)


def _bytes_max(_node: ShortHash) -> int:
    return BYTES_MAX


@contextmanager
def _sqlite_vaults(place: Path, schemas: Sequence[Schema], register: VaultRegister):
    vaults = Vaults(
        place / "vnodes", (*VAULT_SCHEMAS, *schemas), register=register, bytes_max_of=_bytes_max
    )
    try:
        yield vaults
    finally:
        vaults.close()


DATABASES: Mapping[str, OpenDatabase] = {"sqlite": _sqlite_file}
VAULTS: Mapping[str, OpenVaults] = {"sqlite": _sqlite_vaults}
CPI_FILES: Mapping[str, Callable[[Path], CpiFiles]] = {"folder": CpiFolder}
