"""Commands on the database of a cluster: a lost password, the log's key, checks, and backups of its hosts."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from host.access import Users
from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import SystemClock, SystemEntropy
from host.cli import root
from host.domain.clock import SimClock
from host.domain.ids import HoldingIdentity
from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.administrative.tables import ENTRIES
from host.nodes.audit_log.service import load_audit_key
from host.rest.tls import own_certificate
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS
from plugins.postgres.connections import Session
from plugins.postgres.database import PostgresDatabase
from plugins.postgres.master_keys import KEYS
from plugins.postgres.storage import PostgresStorage, access_of
from tests.audit_log.test_audit_log_chain import ALICE as AUDITED
from tests.audit_log.test_audit_log_chain import call
from tests.support.data_directories import ALICE, BOB, CHECKSUM, make_directory
from tests.support.postgres import OWNER, Cluster, PostgresServer

pytestmark = pytest.mark.timeout(600)

Run = Callable[..., Result]
PASSWORD = "a-new-one"


@pytest.fixture
def run(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with the settings of a host of the cluster in its environment."""
    monkeypatch.chdir(tmp_path)
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return lambda *words: CliRunner().invoke(root, [str(word) for word in words])


@pytest.fixture
def database(cluster: Cluster) -> Iterator[PostgresDatabase]:
    with PostgresStorage(cluster.settings).open_database(CLUSTER_SCHEMAS) as opened:
        yield opened


def code_of(result: Result) -> str:
    return str(getattr(result.exception, "code", ""))


def commands_of(cluster: Cluster) -> list[str]:
    """What the administrative log says that commands have begun."""
    query = select(ENTRIES.c.entry).order_by(ENTRIES.c.seq)
    with (
        PostgresStorage(cluster.settings).open_database(CLUSTER_SCHEMAS) as database,
        database.read() as connection,
    ):
        entries = [json.loads(text) for text in connection.execute(query).scalars()]
    return [each["path"] for each in entries if each["kind"] == "intent"]


def found(result: Result) -> list[tuple[str, str]]:
    """Codes and places of the findings of a check."""
    assert result.output, result.exception
    return [(each["code"], each["file"]) for each in json.loads(result.output)["findings"]]


def test_a_lost_password_is_replaced_in_the_database_and_the_log_tells_of_it(
    run: Run, database: PostgresDatabase, tmp_path: Path
) -> None:
    users = Users(database, clock=SystemClock(), entropy=SystemEntropy())
    users.create("alice", full_name="Alice", password="forgotten")
    (tmp_path / "new").write_text(f"{PASSWORD}\n")
    (tmp_path / "new").chmod(0o600)
    words = ("user", "reset-password", "--password-file", tmp_path / "new", "--user")
    done = run(*words, "alice")
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.output == "user alice has a new password\n"
    assert users.knows("alice", PASSWORD)
    assert code_of(run(*words, "nobody")) == "not-found"
    both = run(*words, "alice", "--data-dir", tmp_path, "--settings", tmp_path / "new")
    assert (both.exit_code, "not both" in both.output) == (2, True)
    attacked = run("audit", "gauntlet", "--host", "--attack", "half-character")
    assert code_of(attacked) == "database-used"
    verified = json.loads(run("audit", "admin", "--verify", "--output", "json").output)
    # The genesis, and an intent and an outcome of each.
    assert (verified["good"], verified["authenticated"], verified["entries"]) == (True, True, 5)


def test_migrate_gives_a_database_without_a_key_of_the_log_one(
    run: Run, cluster: Cluster, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    (tmp_path / "administrator").write_text(postgres_server.password)
    (tmp_path / "administrator").chmod(0o600)
    by = ("--administrator", OWNER, "--administrator-password-file", tmp_path / "administrator")
    shared = PostgresStorage(cluster.settings).shared_audit_key(SystemEntropy())
    assert run("database", "migrate", *by).exit_code == 0
    key = shared.get()
    assert key is not None
    (tmp_path / "new").write_text(f"{PASSWORD}\n")
    (tmp_path / "new").chmod(0o600)
    reset = run("user", "reset-password", "--password-file", tmp_path / "new", "--user", "nobody")
    assert code_of(reset) == "not-found"
    # As an earlier release has left it: entries, and no key.
    execute(cluster, f"DELETE FROM {KEYS}.audit_key")
    refused = run("database", "migrate", *by)
    assert code_of(refused) == "audit-key-missing"
    assert "--audit-key" in str(refused.exception)
    (tmp_path / "key").write_bytes(key)
    given = run("database", "migrate", *by, "--audit-key", tmp_path / "key")
    assert given.exit_code == 0, given.exception
    assert shared.get() == key
    assert commands_of(cluster) == ["database migrate", "user reset-password", "database migrate"]
    assert json.loads(run("audit", "admin", "--verify", "--output", "json").output)["good"]
    (tmp_path / "key").write_bytes(b"short")
    assert run("database", "migrate", *by, "--audit-key", tmp_path / "key").exit_code == 2


@pytest.fixture
def imported(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    """Two nodes, a package, keys, vaults, in the database."""
    make_directory(tmp_path / "embedded")
    done = run("database", "import", tmp_path / "embedded")
    assert done.exit_code == 0, (done.output, done.exception)
    assert commands_of(cluster)[-1] == "database import"


@pytest.mark.usefixtures("imported")
def test_faults_of_the_database_are_found_as_those_of_a_directory_are(
    run: Run, cluster: Cluster, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    good = run("database", "check")
    assert good.exit_code == 0, good.output
    assert good.output.endswith("good, 2 virtual nodes\n")
    alice, bob = ALICE.short_hash, BOB.short_hash
    for sql in (
        "UPDATE cordbox_files.cpi_file SET data = data || '\\x00'::bytea",
        f"UPDATE cordbox_cluster.key_signing SET wrapped = '\\x00' WHERE tenant = '{bob}'",
        "INSERT INTO cordbox_flow.accounts VALUES"
        f" ('{alice}', 'bus', '', 5, 1, 0) ON CONFLICT (node, name, peer) DO UPDATE SET bytes = 5",
        f"DROP SCHEMA vault_{bob.lower()} CASCADE",
    ):
        postgres_server.execute(sql, cluster.name)
    bad = run("database", "check", "--output", "json")
    assert bad.exit_code == 1
    assert sorted(found(bad)) == sorted(
        [
            ("account-differs", "cordbox_flow"),
            ("package-damaged", CHECKSUM),
            ("key-unusable", "cordbox_cluster"),
            ("node-schema-missing", f"vault_{bob.lower()}"),
        ]
    ), bad.output


@pytest.mark.usefixtures("imported")
def test_a_host_s_own_files_are_checked_backed_up_and_restored(
    run: Run, tmp_path: Path, database: PostgresDatabase
) -> None:
    own = tmp_path / "own"
    make_own_files(own, AUDITED)
    good = run("host", "check", own)
    assert (good.exit_code, good.output) == (0, f"{own}: good, 2 virtual nodes\n"), good.output
    (tmp_path / "phrase").write_text("a long one\n")
    (tmp_path / "phrase").chmod(0o600)
    phrase = ("--passphrase-file", tmp_path / "phrase")
    written = run("host", "backup", own, tmp_path / "a.backup", *phrase)
    assert written.exit_code == 0, (written.output, written.exception)
    assert "PostgreSQL's own means (pg_basebackup" in written.stderr
    restored = run("host", "restore", tmp_path / "a.backup", tmp_path / "back", *phrase)
    assert restored.exit_code == 0, (restored.output, restored.exception)
    for name in ("secrets/audit-key", "tls/private-key.pem"):
        assert (tmp_path / "back" / name).read_bytes() == (own / name).read_bytes()
    log = f"vnodes/{AUDITED.short_hash}/audit.log"
    lines = [(folder / log).read_bytes().splitlines() for folder in (own, tmp_path / "back")]
    assert len(lines[1]) == len(lines[0]) + 1
    assert b'"cause":"restored"' in lines[1][-1]
    assert run("host", "check", tmp_path / "back").exit_code == 0
    (own / log).write_bytes(b"\n".join(lines[0][:-2]) + b"\n")
    (own / "stranger").touch(0o600)
    bad = run("host", "check", own, "--output", "json")
    assert bad.exit_code == 1
    assert {code for code, _ in found(bad)} == {"file-unknown", "audit-log-truncated"}, bad.output
    acts = json.loads(run("audit", "admin", "--verify", "--output", "json").output)
    assert acts["good"], acts


def make_own_files(folder: Path, holding: HoldingIdentity) -> None:
    """What a host of a cluster keeps itself."""
    directory = DataDirectory.hold(folder)
    try:
        own_certificate(folder / "tls", listen_host="127.0.0.1", clock=SystemClock())
        key = load_audit_key(
            directory.secrets,
            entropy=SystemEntropy(),
            logs=directory.virtual_nodes,
            newest_act=None,
        )
        logs = NodeAuditLogs(directory.virtual_nodes, key=key, clock=SimClock())
        for number in range(3):
            logs.record(call(number, holding=holding))
        logs.close()
    finally:
        directory.release()


def execute(cluster: Cluster, sql: str) -> None:
    session = Session(access_of(cluster.settings))
    try:
        session.simple(sql)
    finally:
        session.close()
