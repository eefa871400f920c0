"""Connections to the server: TLS that checks it, and pools that end somewhere."""

import datetime as dt
import ipaddress
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, text

from host.domain.errors import DatabaseAwayError, StorageBusyError
from plugins.postgres import connections
from plugins.postgres.address import parse_address
from plugins.postgres.connections import Access, Session, Sessions, tls_context
from plugins.postgres.database import PostgresDatabase
from plugins.postgres.engine import EngineSessions
from plugins.postgres.errors import CONNECTION_ERRORS, translated
from plugins.postgres.storage import access_of
from tests.support.hosts import settings_of
from tests.support.postgres import PostgresServer

IS_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def _certificate(folder: Path, name: str, address: str) -> Path:
    """A self-signed certificate for an address, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


def _serve(server: PostgresServer, certificate: Path | None) -> None:
    """Have the server take TLS with a certificate, or no TLS."""
    if certificate is None:
        server.execute("ALTER SYSTEM SET ssl = off")
    else:
        owner = (server.folder / "data").stat()
        for name, source in (
            ("server.crt", certificate),
            ("server.key", certificate.with_suffix(".key")),
        ):
            file = server.folder / "data" / name
            file.write_bytes(source.read_bytes())
            file.chmod(0o600)
            os.chown(file, owner.st_uid, owner.st_gid)
        server.execute("ALTER SYSTEM SET ssl = on")
    server.stop()
    server.start()


@pytest.fixture
def certificate(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Path]:
    """Of the server's certificate, by which it takes TLS until the test's end."""
    made = _certificate(tmp_path, "server", "127.0.0.1")
    _serve(postgres_server, made)
    yield made
    _serve(postgres_server, None)


def test_a_server_is_known_by_its_certificate_and_name(
    postgres_server: PostgresServer, certificate: Path, tmp_path: Path
) -> None:
    plain = postgres_server.access("postgres")
    checked = replace(plain, tls=tls_context(certificate))
    sessions = Sessions(checked)
    assert sessions.read(lambda session: session.run(IS_TLS)) == [[True]]
    sessions.close()
    engine = EngineSessions(checked, search_path="public")
    with engine.reading() as connection:
        assert connection.exec_driver_sql(IS_TLS).scalar_one() is True
    engine.close()
    _refused(replace(plain, tls=tls_context(_certificate(tmp_path, "other", "127.0.0.1"))))
    elsewhere = _certificate(tmp_path, "elsewhere", "127.0.0.9")
    _serve(postgres_server, elsewhere)
    _refused(replace(plain, tls=tls_context(elsewhere)))
    _serve(postgres_server, None)
    _refused(checked)


def _refused(access: Access) -> None:
    with pytest.raises(CONNECTION_ERRORS):
        Session(access)


@pytest.mark.parametrize(
    ("host", "tls", "is_checked"),
    [("db.example.com", True, True), ("db.example.com", False, False), ("localhost", True, False)],
)
def test_a_server_elsewhere_is_reached_in_plain_only_if_a_setting_says_so(
    tmp_path: Path, host: str, tls: bool, is_checked: bool
) -> None:
    (tmp_path / "phrase").write_text("p\n")
    settings = settings_of(
        tmp_path,
        database_url=f"postgresql://me@{host}/c",
        database_tls=tls,
        master_passphrase_file=tmp_path / "phrase",
    )
    assert (access_of(settings).tls is not None) is is_checked
    assert parse_address(f"postgresql://me@{host}/c").is_local is (host == "localhost")


def test_a_pool_ends_and_calls_wait_for_its_connections(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(replace(postgres_server.access("postgres"), pool_max=2))
    in_use, go_on = threading.Barrier(3), threading.Event()

    def hold(session: Session) -> int:
        in_use.wait()
        go_on.wait()
        ((pid,),) = session.run("SELECT pg_backend_pid()")
        return int(pid)

    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(sessions.use, hold) for _ in range(2)]
        in_use.wait()
        monkeypatch.setattr(connections, "POOL_WAIT_SECONDS", 0.01)
        with pytest.raises(StorageBusyError, match="all connections of this process are in use"):
            sessions.use(lambda session: session.run("SELECT 1"))
        go_on.set()
        assert len({each.result() for each in held}) == 2
    assert sessions.use(lambda session: session.run("SELECT 1")) == [[1]]
    sessions.close()


def test_transactions_of_features_wait_for_connections_too(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.postgres import engine as engines

    monkeypatch.setattr(engines, "POOL_WAIT_SECONDS", 0.01)
    engine = EngineSessions(
        replace(postgres_server.access("postgres"), pool_max=4), search_path="public"
    )
    try:
        with ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(engine.reading())
            with pytest.raises(StorageBusyError, match="are in use"), translated("here"):
                stack.enter_context(engine.reading())
        with engine.reading() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    finally:
        engine.close()


def _socket_of(connection: Connection) -> socket.socket:
    driver = connection.connection.driver_connection
    assert driver is not None
    found: socket.socket = driver._usock
    return found


def test_a_connection_that_is_in_use_is_closed_at_the_end_of_its_transaction(
    postgres_server: PostgresServer,
) -> None:
    sessions = EngineSessions(postgres_server.new_database(), search_path="public")
    with sessions.reading() as connection:
        used = _socket_of(connection)
        sessions.close()
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    assert used.fileno() == -1


def test_a_lost_connection_leaves_no_socket(postgres_server: PostgresServer) -> None:
    sessions = EngineSessions(postgres_server.new_database(), search_path="public")
    with sessions.reading() as connection:
        lost = _socket_of(connection)
    lost.shutdown(socket.SHUT_RDWR)
    sessions.close()
    assert lost.fileno() == -1


def test_a_transaction_that_stands_still_loses_its_locks_and_its_connection(
    postgres_server: PostgresServer,
) -> None:
    """As that of a process that is stopped, within less than the time until it counts as dead."""
    session = {"idle_in_transaction_session_timeout": "50"}
    access = postgres_server.new_database()
    still = EngineSessions(replace(access, session=session), search_path="public")
    other = EngineSessions(access, search_path="public")
    shown = ("idle_in_transaction_session_timeout", "lock_timeout", "tcp_user_timeout")

    def stand_still() -> None:
        with translated("here"), still.writing("a lock") as held:
            with other.writing("a lock") as free:
                found = [free.exec_driver_sql(f"SHOW {name}").scalar_one() for name in shown]
                assert found == ["15s", "3s", "11000"]
            held.exec_driver_sql("SELECT 1")

    try:
        with pytest.raises(DatabaseAwayError):
            stand_still()
        with still.writing("a lock") as again:
            assert again.exec_driver_sql("SELECT 1").scalar_one() == 1
    finally:
        still.close()
        other.close()


def test_writers_of_one_process_wait_as_long_for_each_other(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.postgres.database.LOCK_SECONDS", 0.01)
    with (
        PostgresDatabase(postgres_server.new_database()) as database,
        ThreadPoolExecutor(1) as pool,
    ):
        database.make_tables([])

        def within(_: Connection) -> None:
            with pytest.raises(StorageBusyError, match="another connection holds a lock"):
                pool.submit(database.transact, lambda _: None).result()

        database.transact(within)
        pool.submit(database.transact, lambda _: None).result()
