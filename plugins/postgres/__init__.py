"""The stores of a cluster in one PostgreSQL database, which several hosts may share.

Needs the extra `postgres`, and is loaded by the setting `database_url`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from host.runtime.hookspecs import hookimpl

if TYPE_CHECKING:
    from host.ports.clock import Clock, Entropy
    from host.ports.database import SqlDatabase
    from host.ports.keys import KeyStore
    from host.ports.storage import DatabaseUpkeep, Storage
    from host.ports.units import FlowStore
    from host.settings import HostSettings

# The driver of these imports is an extra: without it, plugins are listed all the same.


@hookimpl
def register_storage(settings: HostSettings) -> Storage | None:
    """Registers, vaults and CPIs in schemas of the database."""
    if settings.database_url is None:
        return None
    from plugins.postgres.storage import PostgresStorage  # noqa: PLC0415  # see above

    return PostgresStorage(settings)


@hookimpl
def register_database_upkeep(settings: HostSettings) -> DatabaseUpkeep | None:
    """Looks after the database that `database_url` names."""
    if settings.database_url is None:
        return None
    from plugins.postgres.upkeep import PostgresUpkeep  # noqa: PLC0415  # see above

    return PostgresUpkeep(settings)


@hookimpl
def register_bus(settings: HostSettings) -> FlowStore | None:
    """Messages, flow states and journals in the schema `cordbox_flow`."""
    if settings.database_url is None:
        return None
    from plugins.postgres.storage import open_flow_store  # noqa: PLC0415  # see above

    return open_flow_store(settings)


@hookimpl
def register_key_store(
    settings: HostSettings, database: SqlDatabase, clock: Clock, entropy: Entropy
) -> KeyStore | None:
    """Keys in the registers, wrapped under a key that all hosts derive from one passphrase."""
    if settings.database_url is None:
        return None
    from plugins.postgres.storage import open_key_store  # noqa: PLC0415  # see above

    return open_key_store(settings, database, clock, entropy)
