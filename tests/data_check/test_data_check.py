"""`host check` finds nothing in a good directory, and names file, code and figures of each fault."""

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from host.adapters.files.container import TransferKeyDamagedError, cluster_identity
from host.adapters.files.data_directory import DataDirectoryLockedError
from host.adapters.os.system import SystemClock, SystemEntropy
from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs
from host.ledger.core.components import to_groups
from host.ledger.core.model import State, Transaction
from host.ledger.core.signed import unsigned
from host.ledger.vault.finish import finish
from host.ledger.vault.transactions import Origin
from host.nodes.audit_log.administrative.errors import ActNotRecordedError
from host.nodes.audit_log.service import AuditKeyMissingError, load_audit_key
from host.ports.keys import KeyCategory
from host.ports.state import StateWrite
from host.ports.units import Unit
from host.rest.tls import own_certificate
from host.runtime.wiring.offline_acts import offline_act
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NODE_SCHEMAS
from host.tools.data_check import check_directory
from host.tools.data_check.checking import NoDataDirectoryError
from tests.support.data_directories import ALICE, BOB, make_directory, notarise, parts_of

VAULT = f"vnodes/{ALICE.short_hash}/vault.sqlite"
UNIQUENESS = f"vnodes/{ALICE.short_hash}/uniqueness.sqlite"
LOG = f"vnodes/{ALICE.short_hash}/audit.log"


def check(folder, passphrase=None):
    report = check_directory(
        folder,
        passphrase=passphrase,
        cluster_schemas=CLUSTER_SCHEMAS,
        node_schemas=NODE_SCHEMAS,
    )
    return [(each.code, each.file) for each in report.findings]


def test_a_good_directory_has_no_findings(folder):
    assert check(folder) == []
    report = check_directory(
        folder, passphrase=None, cluster_schemas=CLUSTER_SCHEMAS, node_schemas=NODE_SCHEMAS
    )
    assert report.nodes == 2


def test_a_check_changes_nothing_and_a_host_starts_after_it(folder):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert check(folder) == []
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    with parts_of(folder) as parts:
        parts.write(ALICE, call=4)
    assert check(folder) == []


def test_a_directory_in_use_or_none_is_refused(folder, tmp_path):
    with parts_of(folder), pytest.raises(DataDirectoryLockedError, match="stop it first"):
        check(folder)
    with pytest.raises(NoDataDirectoryError):
        check(tmp_path / "none")


def test_no_host_starts_while_a_check_runs(folder, monkeypatch):
    def tried(*_):
        with (folder / "lock").open("rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return iter(())

    monkeypatch.setattr("host.tools.data_check.checking.check_places", tried)
    assert check(folder) == []


@pytest.mark.parametrize("name", ["cluster.sqlite", "flows.sqlite", "cordbox-id"])
def test_what_a_host_refuses_is_found(folder, name):
    (folder / name).unlink()
    assert ("data-file-missing", name) in check(folder)


def damage(path, place=0.5):
    """Overwrite a page in the middle of a database."""
    data = bytearray(path.read_bytes())
    page = int(len(data) * place) // 4096 * 4096
    data[page : page + 4096] = b"\xa5" * 4096
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["cluster.sqlite", "flows.sqlite", VAULT])
@pytest.mark.parametrize("place", [n / 20 for n in (3, 7, 12, 17)])
def test_damage_within_a_database_is_found(folder, name, place):
    damage(folder / name, place)
    found = check(folder)
    assert any(f == name and "damaged" in code for code, f in found), found


@pytest.mark.parametrize(
    ("table", "name"), [("vnode", "cluster.sqlite"), ("ledger", VAULT), (None, "flows.sqlite")]
)
def test_a_newer_schema_is_found(folder, table, name):
    where = "" if table is None else f"WHERE name = '{table}'"
    with sqlite3.connect(folder / name) as connection:
        connection.execute(f"UPDATE schema_version SET version = 99 {where}")
    assert check(folder) == [("storage-schema-too-new", name)]


def test_a_schema_that_is_gone_is_found(folder):
    with sqlite3.connect(folder / VAULT) as connection:
        connection.execute("DELETE FROM schema_version WHERE name = 'ledger'")
    assert check(folder) == [("schema-unknown", VAULT)]


def test_vaults_that_are_gone_empty_or_anothers_are_found(folder):
    vault, other = folder / VAULT, folder / "vnodes" / BOB.short_hash / "vault.sqlite"
    kept = vault.read_bytes()
    shutil.copy(other, vault)
    assert ("vault-foreign", VAULT) in check(folder)
    os.truncate(vault, 0)
    assert ("vault-empty", VAULT) in check(folder)
    vault.unlink()
    assert ("vault-missing", VAULT) in check(folder)
    vault.write_bytes(kept)
    vault.chmod(0o600)
    assert check(folder) == []


def test_spent_states_of_a_notary_that_are_gone_empty_older_or_anothers_are_found(folder, tmp_path):
    for node in (ALICE, BOB):
        with parts_of(folder) as parts:
            notarise(parts, node, 1)
    assert check(folder) == []
    file = folder / UNIQUENESS
    shutil.copy(file, tmp_path / "old")
    for node in (ALICE, BOB):
        with parts_of(folder) as parts:
            notarise(parts, node, 2)
    kept = file.read_bytes()
    shutil.copy(tmp_path / "old", file)
    assert check(folder) == [("uniqueness-older", UNIQUENESS)]
    shutil.copy(folder / "vnodes" / BOB.short_hash / "uniqueness.sqlite", file)
    assert ("uniqueness-foreign", UNIQUENESS) in check(folder)
    os.truncate(file, 0)
    assert ("uniqueness-empty", UNIQUENESS) in check(folder)
    file.unlink()
    assert ("uniqueness-missing", UNIQUENESS) in check(folder)
    file.write_bytes(kept)
    file.chmod(0o600)
    assert check(folder) == []


def test_an_older_vault_is_found_by_the_registers_and_by_its_audit_log(folder, tmp_path):
    shutil.copy(folder / VAULT, tmp_path / "old")
    with parts_of(folder) as parts:
        parts.write(ALICE, call=4)
    shutil.copy(tmp_path / "old", folder / VAULT)
    assert check(folder) == [("vault-older", VAULT), ("vault-behind-audit-log", VAULT)]


def test_effects_that_a_vault_lacks_are_found_by_its_audit_log_alone(folder, tmp_path):
    """As after a power failure before the registers noted how far the vault had come."""
    shutil.copy(folder / VAULT, tmp_path / "old")
    marks = (folder / "cordbox-marks").read_bytes()
    with parts_of(folder) as parts:
        parts.write(ALICE, call=4)
        noted = parts.register.noted(ALICE.short_hash)
    with sqlite3.connect(folder / "cluster.sqlite") as connection:
        connection.execute("UPDATE vault_note SET generation = 3")
    shutil.copy(tmp_path / "old", folder / VAULT)
    (folder / "cordbox-marks").write_bytes(marks)
    assert noted <= 4
    assert check(folder) == [("vault-behind-audit-log", VAULT)]


def test_a_vault_of_no_node_is_found(folder):
    stranger = folder / "vnodes" / ("C" * 12)
    shutil.copytree((folder / VAULT).parent, stranger)
    assert check(folder) == [("vault-unregistered", f"vnodes/{'C' * 12}/vault.sqlite")]


@pytest.mark.parametrize("content", ["CREATE TABLE other (n)", "CREATE TABLE schema_version (x)"])
@pytest.mark.parametrize("name", ["cluster.sqlite", "flows.sqlite", VAULT])
def test_databases_of_other_kinds_are_found_whatever_they_hold(folder, name, content):
    (folder / name).unlink()
    with sqlite3.connect(folder / name) as connection:
        connection.execute(content)
    (folder / name).chmod(0o600)
    assert any(file == name for _, file in check(folder))


def test_an_account_that_is_not_the_sum_of_its_rows_is_found(folder):
    with parts_of(folder) as parts:
        charge = Charge(node=ALICE.short_hash, account=Account.BUS, peer=BOB.short_hash)
        write = StateWrite(key="k", value=b"12", expected=0, charge=charge)
        parts.store.commit(Unit(states=(write,)))
    assert check(folder) == []
    with sqlite3.connect(folder / "flows.sqlite") as connection:
        connection.execute("UPDATE accounts SET bytes = 70 WHERE peer = ''")
    report = check_directory(
        folder, passphrase=None, cluster_schemas=CLUSTER_SCHEMAS, node_schemas=NODE_SCHEMAS
    )
    (found,) = report.findings
    assert (found.code, found.file) == ("account-differs", "flows.sqlite")
    assert f"account bus of node {ALICE.short_hash} says" in found.message
    assert found.expected == "3 bytes in 1 rows, 1 of them lasting"
    assert found.found == "70 bytes in 1 rows, 1 of them lasting"


def test_audit_logs_that_were_cut_changed_or_lost_are_found(folder):
    log = folder / LOG
    kept = log.read_bytes()
    log.write_bytes(b"".join(kept.splitlines(keepends=True)[:-1]))
    assert check(folder) == [("audit-log-truncated", LOG)]
    log.write_bytes(kept.replace(b'"call":2', b'"call":7'))
    assert check(folder) == [("audit-hash-wrong", LOG)]
    for file in log.parent.glob("audit*"):
        file.unlink()
    assert check(folder) == [("audit-log-missing", LOG)]


def test_a_lost_audit_key_is_found_and_no_other_is_made(folder):
    (folder / "secrets" / "audit-key").unlink()
    assert check(folder) == [("audit-key-missing", "secrets/audit-key")]
    with pytest.raises(AuditKeyMissingError):
        load_audit_key(
            folder / "secrets", entropy=SystemEntropy(), logs=folder / "vnodes", newest_act=None
        )
    assert not (folder / "secrets" / "audit-key").exists()


def test_the_key_of_the_administrative_log_alone_is_missed_when_it_is_lost(folder):
    with offline_act(folder, "test one"):
        pass
    for file in folder.glob("vnodes/*/audit*"):
        file.unlink()
    (folder / "secrets" / "audit-key").unlink()
    assert ("audit-key-missing", "secrets/audit-key") in check(folder)
    with pytest.raises(ActNotRecordedError, match="audit-key is missing"), offline_act(folder, "x"):
        pass
    assert not (folder / "secrets" / "audit-key").exists()


def test_another_hosts_audit_key_signs_nothing(folder, tmp_path):
    """Neither in nodes' logs nor, where there are none, in the administrative one."""
    other = make_directory(tmp_path / "other") / "secrets" / "audit-key"
    with offline_act(folder, "test one"):
        pass
    own = (folder / "secrets" / "audit-key").read_bytes()
    shutil.copy(other, folder / "secrets" / "audit-key")
    assert ("audit-mac-wrong", LOG) in check(folder)
    with pytest.raises(ActNotRecordedError, match="audit-key is another host's"):
        offline_act(folder, "test two").__enter__()
    for file in folder.glob("vnodes/*/audit*"):
        file.unlink()
    with pytest.raises(ActNotRecordedError, match="audit-key is another host's"):
        offline_act(folder, "test two").__enter__()
    (folder / "secrets" / "audit-key").write_bytes(own)
    with offline_act(folder, "test two"):
        pass


def test_an_audit_key_that_was_cut_is_found(folder):
    with (folder / "secrets" / "audit-key").open("r+b") as stream:
        stream.truncate(31)
    assert check(folder) == [("audit-key-damaged", "secrets/audit-key")]


def test_a_changed_administrative_log_is_found(folder):
    with offline_act(folder, "test one"), offline_act(folder, "test two"):
        pass
    assert check(folder) == []
    with sqlite3.connect(folder / "cluster.sqlite") as connection:
        connection.execute("DELETE FROM administrative_log WHERE seq = 2")
    ((code, file),) = check(folder)
    assert (code.partition("-")[0], file) == ("administrative", "cluster.sqlite")


def test_an_audit_log_that_was_set_back_together_with_its_head_is_found(folder, tmp_path):
    shutil.copytree((folder / LOG).parent, tmp_path / "old")
    with parts_of(folder) as parts:
        parts.write(ALICE, call=4)
    for file in (tmp_path / "old").glob("audit*"):
        shutil.copy(file, folder / "vnodes" / ALICE.short_hash / file.name)
    assert check(folder) == [("audit-log-truncated", LOG)]


def test_packages_that_are_gone_or_changed_are_found(folder):
    (package,) = folder.glob("packages/*.cpi")
    name = f"packages/{package.name}"
    package.write_bytes(b"other")
    assert check(folder) == [("package-damaged", name)]
    package.unlink()
    assert check(folder) == [("package-missing", name)]


def test_keys_that_the_master_key_does_not_open_are_found(folder):
    key = folder / "secrets" / "master-key"
    kept = key.read_bytes()
    key.write_bytes(bytes(32))
    assert set(check(folder)) == {("key-unusable", "cluster.sqlite")}
    key.unlink()
    assert set(check(folder)) == {("key-unusable", "cluster.sqlite")}
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o600)
    with sqlite3.connect(folder / "cluster.sqlite") as connection:
        connection.execute("UPDATE key_signing SET wrapped = zeroblob(60) WHERE rowid = 1")
    assert check(folder) == [("key-unusable", "cluster.sqlite")]


@pytest.mark.parametrize("name", [VAULT, "flows.sqlite", "secrets/master-key", "secrets", "."])
def test_what_others_can_read_is_found(folder, name):
    path = folder / name
    path.chmod(path.stat().st_mode | 0o040)
    assert check(folder)[0] == ("file-permissions", name)


@pytest.mark.parametrize(
    "name",
    [
        "lock",
        "joined",
        "cordbox-id",
        "cluster.sqlite",
        "flows.sqlite",
        "secrets/audit-key",
        "secrets/master-key",
        VAULT,
        LOG,
        f"vnodes/{ALICE.short_hash}/audit.head",
        "packages",
        "tls/private-key.pem",
    ],
)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_stands_where_a_file_should_is_found_and_stops_no_check(folder, name, make):
    path = next(folder.glob("packages/*.cpi")) if name == "packages" else folder / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    make(path)
    assert ("file-irregular", str(path.relative_to(folder))) in check(folder)


def test_a_certificate_and_a_key_that_do_not_belong_together_are_found(folder, tmp_path):
    own = own_certificate(folder / "tls", listen_host="127.0.0.1", clock=SystemClock())
    other = own_certificate(tmp_path / "other", listen_host="127.0.0.1", clock=SystemClock())
    names = ("tls/certificate.pem", "tls/private-key.pem")
    assert check(folder) == []
    kept = own.certificate_file.read_bytes()
    own.certificate_file.write_bytes(b"")
    assert check(folder) == [("tls-pair-unusable", names[0])]
    own.certificate_file.write_bytes(other.certificate_file.read_bytes())
    assert check(folder) == [("tls-pair-unusable", names[1])]
    own.certificate_file.write_bytes(kept)
    own.private_key_file.write_bytes(b"no key")
    assert check(folder) == [("tls-pair-unusable", names[1])]
    own.private_key_file.unlink()
    assert check(folder) == [("tls-pair-unusable", names[1])]
    own.certificate_file.unlink()
    assert check(folder) == []


def test_a_package_or_certificate_that_others_can_write_is_found(folder):
    (package,) = folder.glob("packages/*.cpi")
    package.chmod(0o644)
    assert check(folder) == []
    package.chmod(0o664)
    assert check(folder) == [("file-permissions", f"packages/{package.name}")]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"AGE-SECRET-KEY-1BAD\n"])
def test_a_transfer_key_that_nobody_can_use_is_found(folder, content):
    transfer = folder / "transfers" / "00000000-0000-0000-0000-000000000000"
    transfer.mkdir(parents=True, mode=0o700)
    for name in ("node.cbxnode", ".node.cbxnode", "vault"):
        (transfer / name).touch(0o600)
    cluster_identity(folder / "secrets")
    assert check(folder) == []
    (folder / "secrets" / "transfer-key").write_bytes(content)
    assert check(folder) == [("key-unusable", "secrets/transfer-key")]
    with pytest.raises(TransferKeyDamagedError):
        cluster_identity(folder / "secrets")


def test_files_that_no_host_makes_are_found(folder):
    (folder / "notes.txt").touch(mode=0o600)
    (folder / "vnodes" / ALICE.short_hash / "vault.sqlite.old").touch(mode=0o600)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "set-aside-2026").mkdir()
    (folder / "set-aside-2026" / "anything").touch()
    assert check(folder) == [
        ("file-unknown", "link"),
        ("file-unknown", "notes.txt"),
        ("file-unknown", f"vnodes/{ALICE.short_hash}/vault.sqlite.old"),
    ]


def record(parts, node, number, key):
    """A transaction in a node's vault, one output of which concerns the owner of `key`."""
    state = State(type="x.S", contract="x.C", value={}, participants=(key,), encumbrance=None)
    content = Transaction(
        metadata={},
        notary=None,
        time_window=None,
        signatories=(),
        outputs=(state,),
        commands=(),
        inputs=(),
        references=(),
    )
    signed = unsigned(bytes([number]) * 32, to_groups(content))

    def work(connection):
        finish(connection, signed, content, facts=(), origin=Origin.OWN, now=EpochMs(1))

    parts.vaults.transact(node.short_hash, work)


def test_a_transaction_that_only_one_side_has_is_found_unless_flows_are_open(folder):
    bobs = f"vnodes/{BOB.short_hash}/vault.sqlite"
    with parts_of(folder) as parts:
        key = parts.keys.create(
            BOB.short_hash, KeyCategory.LEDGER, "second", "CORDA.ECDSA.SECP256R1"
        ).public_key
        record(parts, ALICE, 1, key)
        record(parts, BOB, 1, key)
    assert check(folder) == []
    with parts_of(folder) as parts:
        record(parts, ALICE, 2, key)
    assert check(folder) == [("ledger-differs", bobs)]
    with parts_of(folder) as parts:
        state = StateWrite(key="flow/open", expected=0, value=b"x", due_at=None)
        parts.store.commit(Unit(states=(state,)))
    assert check(folder) == []


def cordbox(*words):
    command = "from host.cli import main; import sys; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", command, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_ends_with_0_or_1_and_tells_all(folder):
    done = cordbox("host", "check", folder)
    assert (done.returncode, done.stdout) == (0, f"{folder}: good, 2 virtual nodes\n")
    os.truncate(folder / VAULT, 0)
    done = cordbox("host", "check", folder, "--output", "json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "bad"
    assert told["findings"][0] == {
        "code": "vault-empty",
        "file": VAULT,
        "message": f"{VAULT}: has no content",
        "expected": "a vault",
        "found": "0 bytes",
    }
