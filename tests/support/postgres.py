"""A PostgreSQL server of its own for a test run, from the machine's server programs.

The server listens on the loopback interface and on a UNIX socket, takes passwords only, and synchronises its log as
by default. Databases that are made with `is_durable=False` do not wait for that: for tests that are not of
durability.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_hex

import pytest

from host.ports.database import Schema
from host.ports.storage import Administrator
from host.runtime.plugin_loading import declared_settings
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS
from host.settings import HostSettings, load_settings
from plugins.postgres.address import DatabaseAddress
from plugins.postgres.connections import Access, Session
from plugins.postgres.database import SCHEMA as REGISTERS
from plugins.postgres.database import PostgresDatabase
from plugins.postgres.errors import CONNECTION_ERRORS
from plugins.postgres.functions import make_functions
from plugins.postgres.store import SCHEMA, make_tables
from plugins.postgres.upkeep import PostgresUpkeep
from tests.support.ports import STARTS_MAX, free_ports

OWNER, HOST = "superuser", "cordbox_host"
MISSING = "PostgreSQL's server programs are not installed here"


def server_programs() -> Path | None:
    """The folder with `initdb` and `postgres`; None if they are not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    for folder in (*reversed(debian), *map(Path, os.get_exec_path())):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A database that hosts share, and how they are told of it."""

    name: str
    environment: Mapping[str, str]
    settings: HostSettings


class PostgresServer:
    """A running server, whose files are in a folder of their own."""

    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cordbox-pg-"))
        self.password = token_hex(16)
        self.port = 0
        self._programs = programs
        self._numbers = count(1)
        try:
            secret = self.folder / "password"
            secret.write_text(self.password)
            if os.getuid() == 0:
                # The server refuses to run as root.
                for path in (self.folder, secret):
                    os.chown(path, _other_user().pw_uid, _other_user().pw_gid)
            self._run("initdb", "--auth=scram-sha-256", f"--pwfile={secret}", f"--username={OWNER}",
                      "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")  # fmt: skip
            self._start_on_a_free_port()
        except BaseException:
            self.close()
            raise

    def _start_on_a_free_port(self) -> None:
        for left in reversed(range(STARTS_MAX)):
            (self.port,) = free_ports(1)
            try:
                return self.start()
            except RuntimeError:
                if not left:
                    raise
        raise AssertionError

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c shared_buffers=32MB -c max_connections=200"
        self._run("pg_ctl", "start", "-w", "-s", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `immediate` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-s", "-m", mode)

    def close(self) -> None:
        """Stop the server and delete its files."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def access(self, database: str, **session: str) -> Access:
        """How to connect to a database of the server, as its owner, over TCP."""
        address = DatabaseAddress(user=OWNER, database=database, host="127.0.0.1", port=self.port)
        return Access(address=address, password=self.password, session=session)

    def new_database(self, *, is_durable: bool = False, options: str = "") -> Access:
        """Make a database, with further options of `CREATE DATABASE`."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        if not is_durable:
            self.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        return self.access(name)

    def new_cluster(self, folder: Path, *, is_durable: bool = True, partitions: int = 8) -> Cluster:
        """Make a database for hosts, as `cordbox database init` does.

        Args:
            folder: gets the files of the password and of the passphrase.
            is_durable: whether commits wait for the disk, without which hosts refuse to start.
            partitions: of every topic.
        """
        name = f"cluster_{next(self._numbers)}"
        environment = {"CORDBOX_DATABASE_URL": f"postgresql://{HOST}@127.0.0.1:{self.port}/{name}"}
        for setting, secret in (
            ("DATABASE_PASSWORD", self.password),
            ("MASTER_PASSPHRASE", "the same on all hosts"),
        ):
            file = folder / setting.lower()
            file.write_text(f"{secret}\n")
            file.chmod(0o600)
            environment[f"CORDBOX_{setting}_FILE"] = str(file)
        settings = load_settings(
            options={"data_dir": folder},
            file=None,
            environment=environment,
            declare=declared_settings,
        )
        by = Administrator(name=OWNER, password=self.password)
        PostgresUpkeep(settings).init(CLUSTER_SCHEMAS, by=by, partitions=partitions)
        if not is_durable:
            self.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        return Cluster(name=name, environment=environment, settings=settings)

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Execute a statement as the owner."""
        session = Session(self.access(database))
        try:
            session.simple(sql)
        finally:
            session.close()

    def _run(self, program: str, *arguments: str) -> None:
        data = self.folder / "data"
        command = [str(self._programs / program), "-D", str(data), *arguments]
        user = (
            {"user": _other_user().pw_uid, "group": _other_user().pw_gid, "extra_groups": []}
            if os.getuid() == 0
            else {}
        )
        done = subprocess.run(
            command,
            capture_output=program == "initdb",
            stdout=None if program == "initdb" else subprocess.DEVNULL,
            check=False,
            cwd=self.folder,
            **user,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr!r}")


def _other_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def opened_database(
    access: Access, schemas: Sequence[Schema], *, name: str = REGISTERS
) -> PostgresDatabase:
    """A database of registers in a schema of PostgreSQL, whose tables are made if they are missing."""
    make_functions(access)
    database = PostgresDatabase(access, name=name)
    try:
        database.make_tables(schemas)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server for the block; skips the test where the machine has none."""
    programs = server_programs()
    if programs is None:
        pytest.skip(MISSING)
    server = PostgresServer(programs)
    try:
        yield server
    finally:
        server.close()


class FlowDatabase:
    """One database for the flow stores of many tests, emptied before each."""

    work_positions = f"{SCHEMA}.work_position_seq"

    def __init__(self, server: PostgresServer) -> None:
        self.access = server.new_database()
        make_tables(self.access)
        self._session = Session(self.access)
        tables = self._session.run(
            "SELECT tablename FROM pg_tables WHERE schemaname = :s", s=SCHEMA
        )
        kept = ("schema_version", "meta")
        self._empty = ";".join(f"DELETE FROM {SCHEMA}.{t}" for (t,) in tables if t not in kept)

    def empty(self) -> Access:
        """Delete all rows; no store may be open."""
        try:
            self.run(self._empty)
        except CONNECTION_ERRORS:  # a test has stopped the server
            self._session.close()
            self._session = Session(self.access)
            self.run(self._empty)
        return self.access

    def run(self, sql: str) -> None:
        """Execute statements in the database."""
        self._session.simple(sql)

    def close(self) -> None:
        """Close the connection by which rows are deleted."""
        self._session.close()
