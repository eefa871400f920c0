"""What a host asks of a database, and how it is told where the database is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host.adapters.os.system import SystemEntropy
from host.keys.errors import MasterKeyError, MasterKeyGoneError
from host.runtime.plugin_loading import make_plugin_manager
from host.settings.errors import SettingsInvalidError
from plugins.postgres.address import DatabaseUrlError, parse_address
from plugins.postgres.connections import Access
from plugins.postgres.master_keys import KEYS, TABLES, MasterKeyRows
from plugins.postgres.storage import (
    DatabaseUnsuitableError,
    PostgresStorage,
    access_of,
    check_database,
)
from plugins.postgres.tables import make_schema
from tests.support.hosts import settings_of
from tests.support.postgres import PostgresServer


def test_an_address_names_user_host_port_and_database() -> None:
    found = parse_address("postgresql://me@db.example.com:6000/cordbox")
    assert (found.user, found.host, found.port, found.database) == (
        "me",
        "db.example.com",
        6000,
        "cordbox",
    )
    assert parse_address("postgres://me@[::1]/cordbox").port == 5432
    assert str(found) == "cordbox at db.example.com:6000"
    local = parse_address("postgresql://me@/cordbox?host=/run/postgresql")
    assert local.socket == "/run/postgresql/.s.PGSQL.5432"


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("postgresql://me@localhost/c", True),
        ("postgresql://me@127.0.0.2/c", True),
        ("postgresql://me@[::1]/c", True),
        ("postgresql://me@/c?host=/run", True),
        ("postgresql://me@localhost.example.com/c", False),
        ("postgresql://me@10.0.0.1/c", False),
    ],
)
def test_a_server_elsewhere_is_reached_by_tls_alone(
    url: str, is_local: bool, tmp_path: Path
) -> None:
    assert parse_address(url).is_local is is_local
    (tmp_path / "phrase").write_text("p\n")
    settings = settings_of(tmp_path, database_url=url, master_passphrase_file=tmp_path / "phrase")
    assert (access_of(settings).tls is None) is is_local


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://me@h/c", "begins with 'mysql'"),
        ("postgresql://me:secret@h/c", "has a password"),
        ("postgresql://me@h:port/c", "is no URL"),
        ("postgresql://me@h/c?sslmode=disable", "parameter 'sslmode'"),
        ("postgresql://me@h/c?host=/run", "instead of a host"),
        ("postgresql://me@/c?host=run", "folder of a UNIX socket"),
        ("postgresql://me@/c", "names no host"),
        ("postgresql://h/c", "the user ''"),
        ("postgresql://me@h", "the database ''"),
        ("postgresql://me@h/a/b", "the database 'a/b'"),
    ],
)
def test_an_address_of_another_form_is_refused(url: str, message: str) -> None:
    with pytest.raises(DatabaseUrlError, match=message) as refused:
        parse_address(url)
    assert "secret" not in refused.value.message


def test_a_database_needs_the_passphrase_of_its_cluster(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalidError, match="master_passphrase_file"):
        settings_of(tmp_path, database_url="postgresql://me@localhost/c")


def test_the_plugin_is_loaded_with_the_setting_alone(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("p\n")
    given: dict[str, Any] = {"master_passphrase_file": tmp_path / "phrase"}
    embedded = settings_of(tmp_path)
    assert embedded.loaded_plugins == ("embedded", "console")
    on_database = settings_of(tmp_path, database_url="postgresql://me@localhost/c", **given)
    assert on_database.loaded_plugins == ("embedded", "console", "postgres")
    plugins = make_plugin_manager(("postgres",))
    assert plugins.hook.register_storage(settings=embedded, directory=None) is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("synchronous_commit = off", "synchronous_commit is off, expected on"),
    ],
)
def test_a_database_that_would_lose_commits_is_refused(
    postgres_server: PostgresServer, setting: str, message: str
) -> None:
    access = postgres_server.new_database(is_durable=True)
    check_database(access)
    postgres_server.execute(f"ALTER DATABASE {access.address.database} SET {setting}")
    with pytest.raises(DatabaseUnsuitableError, match=message):
        check_database(access)


def test_a_database_that_orders_texts_otherwise_is_refused(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    access = postgres_server.new_database(is_durable=True, options="LOCALE 'C.UTF-8'")
    with pytest.raises(DatabaseUnsuitableError, match=r"its collation is C\.UTF-8, expected C"):
        check_database(access)
    (tmp_path / "phrase").write_text("p\n")
    (tmp_path / "password").write_text(postgres_server.password)
    for secret in ("phrase", "password"):
        (tmp_path / secret).chmod(0o600)
    settings = settings_of(
        tmp_path,
        database_url=f"postgresql://{access.address.user}@127.0.0.1:{access.address.port}"
        f"/{access.address.database}",
        database_password_file=tmp_path / "password",
        master_passphrase_file=tmp_path / "phrase",
    )
    with pytest.raises(DatabaseUnsuitableError):
        PostgresStorage(settings)


@pytest.fixture
def with_salts(postgres_database: Access) -> Access:
    """A database with the table of salts."""
    make_schema(postgres_database, KEYS, TABLES)
    return postgres_database


def test_hosts_derive_one_master_key_from_one_passphrase(with_salts: Access) -> None:
    made: list[MasterKeyRows] = []

    def opened(passphrase: str) -> MasterKeyRows:
        rows = MasterKeyRows(with_salts, passphrase=passphrase, entropy=SystemEntropy())
        made.append(rows)
        return rows

    one, two, other = opened("right"), opened("right"), opened("wrong")
    key = one.make(1)
    assert two.get(1) == two.make(1) == key
    assert other.get(1) != key
    assert one.make(2) not in (key, other.get(1))
    one.destroy_before(2)
    with pytest.raises(MasterKeyGoneError, match="master key 1"):
        opened("right").get(1)
    with pytest.raises(MasterKeyError, match="empty"):
        opened("").get(2)
    for rows in made:
        assert not rows._sessions._idle, "nobody closes the master keys of a host that ends"
        rows.close()


def test_no_key_is_in_the_database(with_salts: Access) -> None:
    rows = MasterKeyRows(with_salts, passphrase="a secret", entropy=SystemEntropy())
    key = rows.make(1)
    ((stored,),) = rows._sessions.read(
        lambda session: session.run("SELECT parameters FROM master_salt")
    )
    rows.close()
    assert b"scrypt" in stored
    assert key not in stored
    assert b"a secret" not in stored


def test_a_password_is_not_shown(postgres_server: PostgresServer) -> None:
    access = replace(postgres_server.access("postgres"), session={})
    assert postgres_server.password not in f"{access} {access!r}"
