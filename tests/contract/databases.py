"""The adapters of databases, vaults and package files that the contract tests are run on.

A further adapter is a further entry in each of the three tables.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

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

OpenDatabase = Callable[
    [pytest.FixtureRequest, Sequence[Schema]], AbstractContextManager[SqlDatabase]
]
OpenVaults = Callable[
    [pytest.FixtureRequest, Sequence[Schema], VaultRegister], AbstractContextManager[VaultAccess]
]
OpenFiles = Callable[[pytest.FixtureRequest], AbstractContextManager[CpiFiles]]
"""Each opens the same database again when it is called again in a test."""


def _folder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("tmp_path")
    return folder


def _sqlite_file(request: pytest.FixtureRequest, schemas: Sequence[Schema]) -> Database:
    return Database.open(_folder(request) / "cluster.sqlite", schemas)


def _postgres_schema(
    request: pytest.FixtureRequest, schemas: Sequence[Schema]
) -> AbstractContextManager[SqlDatabase]:
    access = request.getfixturevalue("postgres_database")
    from tests.support.postgres import opened_database  # of an extra

    return opened_database(access, schemas)


def _bytes_max(_node: ShortHash) -> int:
    return BYTES_MAX


@contextmanager
def _sqlite_vaults(
    request: pytest.FixtureRequest, schemas: Sequence[Schema], register: VaultRegister
) -> Iterator[VaultAccess]:
    vaults = Vaults(
        _folder(request) / "vnodes",
        (*VAULT_SCHEMAS, *schemas),
        register=register,
        bytes_max_of=_bytes_max,
    )
    try:
        yield vaults
    finally:
        vaults.close()


@contextmanager
def _postgres_vaults(
    request: pytest.FixtureRequest, schemas: Sequence[Schema], register: VaultRegister
) -> Iterator[VaultAccess]:
    access = request.getfixturevalue("postgres_database")
    from plugins.postgres.functions import make_functions  # of an extra
    from plugins.postgres.vaults import VAULT, NodeSchemas

    make_functions(access)
    vaults = NodeSchemas(
        VAULT,
        access,
        (*VAULT_SCHEMAS, *schemas),
        register=register,
        bytes_max_of=_bytes_max,
    )
    try:
        yield vaults
    finally:
        vaults.close()


@contextmanager
def _folder_of_files(request: pytest.FixtureRequest) -> Iterator[CpiFiles]:
    yield CpiFolder(_folder(request) / "packages")


@contextmanager
def _postgres_files(request: pytest.FixtureRequest) -> Iterator[CpiFiles]:
    access = request.getfixturevalue("postgres_database")
    from plugins.postgres.cpi_files import FILES, TABLES, CpiRows  # of an extra
    from plugins.postgres.tables import make_schema

    make_schema(access, FILES, TABLES)
    files = CpiRows(access, kept_seconds=0)
    yield files
    files.close()


DATABASES: Mapping[str, OpenDatabase] = {"sqlite": _sqlite_file, "postgres": _postgres_schema}
VAULTS: Mapping[str, OpenVaults] = {"sqlite": _sqlite_vaults, "postgres": _postgres_vaults}
CPI_FILES: Mapping[str, OpenFiles] = {"folder": _folder_of_files, "postgres": _postgres_files}
