"""Reads the stored sections of a data directory, also while its host runs; writes nothing."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from host.domain.errors import StorageError
from host.settings.live import StoredSection
from host.settings.store import TABLE, newest_of

_DATABASE = "cluster.sqlite"


def read_stored(data_dir: Path) -> Mapping[str, StoredSection]:
    """The newest stored versions by section; empty if no host has ever started.

    Raises:
        StorageError: the database cannot be read.
    """
    file = data_dir / _DATABASE
    if not file.exists():
        return {}
    uri = f"{file.absolute().as_uri()}?mode=ro"
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            # The file was created by an earlier release.
            is_there = inspect(connection).has_table(TABLE)
            return newest_of(connection) if is_there else {}
    except DatabaseError as error:
        raise StorageError(f"{file} cannot be read: {error.orig}", path=str(file)) from error
    finally:
        engine.dispose()
