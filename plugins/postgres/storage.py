"""What a host opens in the database that `database_url` names."""

from collections.abc import Callable, Sequence
from ssl import SSLContext

from host.adapters.files.secret_files import read_secret
from host.domain.errors import StorageError
from host.domain.ids import ShortHash
from host.keys import SoftKeyStore
from host.ports.clock import Clock, Entropy
from host.ports.database import Schema, SqlDatabase
from host.ports.keys import KeyStore
from host.ports.state import StateConflictError
from host.ports.units import FlowStore
from host.ports.vaults import VaultRegister
from host.settings import HostSettings
from plugins.postgres.address import DatabaseAddress, parse_address
from plugins.postgres.audit_key import TABLES as AUDIT_TABLES
from plugins.postgres.audit_key import AuditKeyRow
from plugins.postgres.carrying_store import CarryingStore
from plugins.postgres.connections import Access, Session, Sessions, tls_context
from plugins.postgres.cpi_files import FILES, CpiRows
from plugins.postgres.cpi_files import TABLES as CPI_TABLES
from plugins.postgres.database import REVISION_SCHEMA, PostgresDatabase
from plugins.postgres.database import SCHEMA as CLUSTER
from plugins.postgres.functions import FUNCTIONS_SCHEMA
from plugins.postgres.hints import PostgresHints
from plugins.postgres.master_keys import KEYS, MasterKeyRows
from plugins.postgres.master_keys import TABLES as KEY_TABLES
from plugins.postgres.node_sql import node_sql
from plugins.postgres.roles import check_host_role
from plugins.postgres.store import FLOWS, PostgresStore
from plugins.postgres.store import SCHEMA as FLOW
from plugins.postgres.tables import FUNCTIONS, check_tables
from plugins.postgres.vaults import UNIQUENESS, VAULT, NodeSchemas

_MAJOR_MIN = 15
ANSWER_SECONDS = 60.0
"""Statements of hosts take milliseconds, and wait for locks for at most 10 seconds."""
_DEMANDS = (
    ("server_encoding", ("UTF8",), "texts of all languages are stored"),
    ("fsync", ("on",), "a commit must survive a crash"),
    ("full_page_writes", ("on",), "pages must not be torn by a crash"),
    ("synchronous_commit", ("on", "local", "remote_write", "remote_apply"), "commits are durable"),
)
_FACTS = (
    "SELECT current_setting('server_version_num')::integer / 10000,"
    " (SELECT datcollate FROM pg_database WHERE datname = current_database())"
)


class DatabaseUnsuitableError(StorageError):
    """The database has a property with which Cordbox would lose or disorder data."""

    code = "database-unsuitable"


def access_of(settings: HostSettings) -> Access:
    """How to connect, by the settings.

    Raises:
        DatabaseUrlError: `database_url` has another form.
        HostError: the file of the password or of the certificates cannot be read.
    """
    address = parse_address(settings.database_url or "")
    file = settings.database_password_file
    return Access(
        address=address,
        password=None if file is None else read_secret(file),
        tls=_tls(settings, address),
        pool_max=settings.database_pool_max,
        answer_seconds=ANSWER_SECONDS,
    )


def _tls(settings: HostSettings, address: DatabaseAddress) -> SSLContext | None:
    is_plain = address.is_local or not settings.database_tls
    return None if is_plain else tls_context(settings.database_ca_file)


def check_database(access: Access) -> None:
    """Refuse a database that would lose or disorder data.

    Raises:
        DatabaseUnsuitableError: names the property, expected and found.
        StorageError: the database cannot be used.
    """
    sessions = Sessions(access)
    try:
        sessions.read(lambda session: _check(session, access))
    finally:
        sessions.close()


def _check(session: Session, access: Access) -> None:
    ((major, collation),) = session.run(_FACTS)
    if major < _MAJOR_MIN:
        raise DatabaseUnsuitableError(
            f"database {access.address}: PostgreSQL {major}, expected {_MAJOR_MIN} or later"
        )
    if collation not in ("C", "POSIX"):
        raise DatabaseUnsuitableError(
            f"database {access.address}: its collation is {collation}, expected C, in which texts"
            " are ordered by their bytes (CREATE DATABASE … TEMPLATE template0 LOCALE 'C')"
        )
    for name, expected, why in _DEMANDS:
        ((found,),) = session.run("SELECT current_setting(:n)", n=name)
        if found not in expected:
            raise DatabaseUnsuitableError(
                f"database {access.address}: {name} is {found}, expected {expected[0]}: {why}"
            )


class BusDiffersError(StorageError):
    """The other hosts of the cluster use another bus (setting `bus`)."""

    code = "database-bus-differs"


class PostgresStorage:
    """The port `Storage` in schemas of one database."""

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings
        self._access = access_of(settings)
        check_database(self._access)
        check_host_role(self._access)
        check_tables(self._access, FUNCTIONS, (FUNCTIONS_SCHEMA,))

    def store_id(self) -> str:
        sessions = Sessions(self._access.within(FLOW))
        try:
            return sessions.read(lambda s: str(s.run("SELECT store_id::text FROM meta")[0][0]))
        finally:
            sessions.close()

    def open_database(self, schemas: Sequence[Schema]) -> PostgresDatabase:
        check_tables(self._access, CLUSTER, (*schemas, REVISION_SCHEMA))
        return PostgresDatabase(self._access)

    def open_vaults(
        self,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister,
        bytes_max_of: Callable[[ShortHash], int],
    ) -> NodeSchemas:
        return NodeSchemas(
            VAULT, self._access, schemas, register=register, bytes_max_of=bytes_max_of
        )

    def open_uniqueness(
        self,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister,
        bytes_max_of: Callable[[ShortHash], int],
    ) -> NodeSchemas:
        return NodeSchemas(
            UNIQUENESS, self._access, schemas, register=register, bytes_max_of=bytes_max_of
        )

    def vault_sql(self, schemas: Sequence[Schema]) -> str:
        return node_sql(VAULT, schemas)

    def uniqueness_sql(self, schemas: Sequence[Schema]) -> str:
        return node_sql(UNIQUENESS, schemas)

    def open_cpi_files(self) -> CpiRows:
        check_tables(self._access, FILES, (CPI_TABLES,))
        return CpiRows(self._access)

    def shared_audit_key(self, entropy: Entropy) -> AuditKeyRow:
        check_tables(self._access, KEYS, (AUDIT_TABLES,))
        phrase = _passphrase(self._settings)
        return AuditKeyRow(self._access, passphrase=phrase, entropy=entropy)


def open_flow_store(settings: HostSettings) -> FlowStore:
    """The flow store.

    Raises:
        BusDiffersError: hosts of the cluster that run have another setting `bus`.
        TablesNotReadyError: its tables are missing or older.
    """
    access = access_of(settings)
    check_tables(access, FLOW, (FLOWS,))
    _agree_on_bus(access, settings.bus)
    kind = CarryingStore if settings.bus == "kafka" else PostgresStore
    return kind(access, hints=PostgresHints(access))


def _agree_on_bus(access: Access, wanted: str) -> None:
    """Have all hosts use one bus: it is changed if none of them runs.

    Raises:
        BusDiffersError: hosts that run use another one.
    """
    sessions = Sessions(access.within(FLOW))
    try:
        sessions.use(lambda session: session.run("SELECT change_bus(:b)", b=wanted))
    except StateConflictError as refused:
        raise BusDiffersError(f"bus = {wanted}: {refused.message}") from refused
    finally:
        sessions.close()


def open_key_store(
    settings: HostSettings, database: SqlDatabase, clock: Clock, entropy: Entropy
) -> KeyStore:
    """Keys in the registers, wrapped under the master key of the cluster's passphrase."""
    masters = open_master_keys(settings, entropy)
    return SoftKeyStore(database, masters=masters, clock=clock, entropy=entropy)


def open_master_keys(settings: HostSettings, entropy: Entropy) -> MasterKeyRows:
    """The master keys of the cluster's passphrase."""
    access = access_of(settings)
    check_tables(access, KEYS, (KEY_TABLES,))
    return MasterKeyRows(access, passphrase=_passphrase(settings), entropy=entropy)


def _passphrase(settings: HostSettings) -> str:
    file = settings.master_passphrase_file
    assert file is not None  # noqa: S101  # the settings refuse `database_url` without it
    return read_secret(file)
