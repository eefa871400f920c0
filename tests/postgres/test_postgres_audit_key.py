"""The administrative log that hosts of a cluster write together: one chain, under one key."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host.adapters.os.system import SystemEntropy
from host.cli import main
from host.domain.clock import SimClock
from host.keys.errors import MasterKeyError
from host.nodes.audit_log.administrative import (
    SCHEMA,
    AdministrativeRegister,
    acts,
)
from host.nodes.audit_log.administrative.acts import Act
from host.nodes.audit_log.administrative.shared_key import load_shared_key
from host.nodes.audit_log.service import AuditKeyMissingError
from plugins.postgres.audit_key import AuditKeyRow
from plugins.postgres.connections import Session
from plugins.postgres.database import PostgresDatabase
from plugins.postgres.master_keys import KEYS
from plugins.postgres.storage import PostgresStorage, access_of
from tests.support.postgres import Cluster

Verify = Callable[..., tuple[object, str]]


@pytest.fixture
def database(cluster: Cluster) -> Iterator[PostgresDatabase]:
    with PostgresStorage(cluster.settings).open_database((SCHEMA,)) as opened:
        yield opened


def register_of_a_host(cluster: Cluster, database: PostgresDatabase) -> AdministrativeRegister:
    """As a host's process that serves REST has it."""
    entropy = SystemEntropy()
    shared = PostgresStorage(cluster.settings).shared_audit_key(entropy)
    key = load_shared_key(shared, database, entropy)
    return AdministrativeRegister(database, key=key, clock=SimClock())


def act(host: AdministrativeRegister, user: str) -> None:
    content = Act(
        source="rest",
        user=user,
        address="192.0.2.1",
        request_id="r",
        method="POST",
        path="/user",
        operation="/user",
        parameters={},
    )
    host.append((acts.intent(content, at=1),))


@pytest.fixture
def verify(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Verify:
    """Verifies the log of the cluster; gives the exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as left:
            main(["audit", "admin", "--verify", *words])
        printed = capsys.readouterr()
        return left.value.code, printed.out + printed.err

    return run


def execute(cluster: Cluster, sql: str) -> None:
    session = Session(access_of(cluster.settings))
    try:
        session.simple(sql)
    finally:
        session.close()


def test_what_two_hosts_write_in_turns_is_one_chain_of_one_key(
    cluster: Cluster, database: PostgresDatabase, tmp_path: Path, verify: Verify
) -> None:
    one = register_of_a_host(cluster, database)
    act(one, "alice")
    two = register_of_a_host(cluster, database)
    for host, user in ((two, "bob"), (one, "carol"), (two, "dave")):
        act(host, user)
    code, printed = verify("--output", "json")
    found = json.loads(printed)
    # The genesis and four acts: the second host has found nothing to recover.
    assert (code, found["authenticated"], found["entries"]) == (0, True, 5), found
    assert verify("--anchor", found["anchor"])[0] == 0
    # A host with a key of its own breaks the chain's authenticity.
    act(AdministrativeRegister(database, key=bytes(32), clock=SimClock()), "mallory")
    code, printed = verify()
    assert (code, "entry 5: [administrative-mac-wrong]" in printed) == (1, True), printed


def test_a_cluster_or_a_directory_is_verified_and_not_both(tmp_path: Path, verify: Verify) -> None:
    (tmp_path / "cordbox.toml").write_text("")
    code, printed = verify(str(tmp_path), "--settings", "cordbox.toml")
    assert (code, "not both" in printed) == (2, True), printed


def test_a_key_that_is_lost_or_under_another_passphrase_is_refused_and_not_replaced(
    cluster: Cluster, database: PostgresDatabase
) -> None:
    access = access_of(cluster.settings)
    host = register_of_a_host(cluster, database)
    other = AuditKeyRow(access, passphrase="another", entropy=SystemEntropy())
    with pytest.raises(MasterKeyError, match="not wrapped under this host's master passphrase"):
        other.get()
    with pytest.raises(MasterKeyError, match="not wrapped under this host's master passphrase"):
        other.keep(bytes(32))
    act(host, "alice")
    execute(cluster, f"DELETE FROM {KEYS}.audit_key")
    with pytest.raises(AuditKeyMissingError, match="has no key of the administrative log"):
        register_of_a_host(cluster, database)


def test_the_key_of_before_stays_and_is_not_readable_in_the_database(
    cluster: Cluster, database: PostgresDatabase
) -> None:
    entropy = SystemEntropy()
    shared = PostgresStorage(cluster.settings).shared_audit_key(entropy)
    assert shared.get() is None
    before = bytes(range(32))
    assert shared.keep(before) == before
    assert shared.keep(bytes(32)) == before
    assert load_shared_key(shared, database, entropy) == before
    session = Session(access_of(cluster.settings))
    ((parameters, wrapped),) = session.run(f"SELECT parameters, wrapped FROM {KEYS}.audit_key")
    session.close()
    assert before not in bytes(parameters) + bytes(wrapped)
