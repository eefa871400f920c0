"""A backup is one cut, encrypted, whole or absent; a restore brings it back proved, or nothing."""

import base64
import fcntl
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager

import pyrage
import pytest

from host.adapters.files.container import (
    ContainerDamagedError,
    ContainerInvalidError,
    ContainerKeyError,
    Opener,
    Sealer,
    write_container,
)
from host.adapters.files.container.format import VERSION, Header
from host.adapters.files.data_directory import DataDirectory, DataDirectoryLockedError
from host.adapters.files.identity import DataFileMissingError, inspect, read_directory_id
from host.adapters.files.identity.files import file_state
from host.adapters.os.system import SystemClock
from host.adapters.sqlite.errors import UniquenessRestoredError
from host.domain.errors import DiskFullError, NotFoundError, StorageError
from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.verification import read_entries, verify_log
from host.ports.live import Fixed
from host.ports.state import StateWrite
from host.ports.units import Unit
from host.runtime.wiring.administrative_reading import register_of
from host.tools.backup import back_up, restore, writing
from host.tools.backup import cut as cut_module
from host.tools.backup.cut import taken_cut
from host.tools.backup.errors import (
    BackupBusyError,
    BackupContentError,
    BackupExistsError,
    BackupSourceError,
    RestoreTargetError,
)
from host.tools.backup.layout import MAGIC, is_name
from host.tools.backup.restored_notaries import resume_notary
from tests.support.data_directories import ALICE, BOB, PACKAGE, log_call, notarise, parts_of

CLOCK = SystemClock()


@pytest.fixture
def keys(identity):
    return Sealer.to_recipient(str(identity.to_public())), Opener(identities=str(identity))


def back(folder, file, keys, report=lambda *_: None):
    return back_up(folder, file, sealer=keys[0], clock=CLOCK, report=report)


def bring(file, folder, keys, progress=lambda *_: None):
    return restore(file, folder, opener=keys[1], clock=CLOCK, progress=progress)


def generation(folder, node):
    return file_state(folder / "vnodes" / node.short_hash / "vault.sqlite").identity.generation


def audit_log(folder, node):
    return folder / "vnodes" / node.short_hash / "audit.log"


def rows(path, table):
    with sqlite3.connect(path) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_restored_notary_decides_nothing_until_its_states_are_said_to_be_current(
    folder, tmp_path, keys
):
    with parts_of(folder) as parts:
        notarise(parts, ALICE, 1)
    back(folder, tmp_path / "b", keys)
    bring(tmp_path / "b", tmp_path / "new", keys)
    name = f"vnodes/{ALICE.short_hash}/uniqueness.sqlite"
    assert rows(tmp_path / "new" / name, "notarised") == rows(folder / name, "notarised") != []
    with parts_of(tmp_path / "new") as parts, pytest.raises(UniquenessRestoredError):
        notarise(parts, ALICE, 2)
    with pytest.raises(NotFoundError, match="no notary that came from a backup"):
        resume_notary(tmp_path / "new", BOB.short_hash)
    with parts_of(tmp_path / "new"), pytest.raises(DataDirectoryLockedError):
        resume_notary(tmp_path / "new", ALICE.short_hash)
    resume_notary(tmp_path / "new", ALICE.short_hash)
    with parts_of(tmp_path / "new") as parts:
        notarise(parts, ALICE, 2)


def test_what_was_backed_up_is_restored(folder, tmp_path, keys):
    written = back(folder, tmp_path / "b", keys)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    known = read_directory_id(folder)
    assert (written.cluster_id, written.store_id) == (known.cluster_id, known.store_id)
    restored = bring(tmp_path / "b", tmp_path / "new", keys)
    anew = read_directory_id(tmp_path / "new")
    assert restored.cluster_id == anew.cluster_id == known.cluster_id
    assert restored.store_id == anew.store_id != known.store_id
    assert restored.at == written.at
    new = tmp_path / "new"
    for table in ("virtual_node", "key_signing", "cpi", "vault_note", "audit_end"):
        assert rows(new / "cluster.sqlite", table) == rows(folder / "cluster.sqlite", table)
    assert [p.read_bytes() for p in new.glob("packages/*.cpi")] == [PACKAGE]
    assert (generation(new, ALICE), generation(new, BOB)) == (3, 3)
    for secret in ("master-key", "audit-key"):
        assert (new / "secrets" / secret).read_bytes() == (folder / "secrets" / secret).read_bytes()
    left = ("lock", "joined", "flows.sqlite-writer", "flows.sqlite-place", "cordbox-marks")
    expected = {n for n in names(folder) if n not in left}
    assert set(names(new)) == expected
    for path in [new, *new.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert inspect(new) == []


def test_a_restored_host_starts_and_its_logs_tell_of_the_restore(folder, tmp_path, keys):
    written = back(folder, tmp_path / "b", keys)
    restored = bring(tmp_path / "b", tmp_path / "new", keys)
    with parts_of(tmp_path / "new") as parts:
        parts.write(ALICE, call=4)
    entries = list(read_entries(audit_log(tmp_path / "new", ALICE)))
    assert [e["kind"] for e in entries[-2:]] == ["recovery", "call"]
    told = entries[-2]
    assert (told["cause"], told["of"], told["storeId"]) == (
        "restored",
        written.at,
        restored.store_id,
    )
    key = (tmp_path / "new" / "secrets" / "audit-key").read_bytes()
    verified = verify_log(audit_log(tmp_path / "new", ALICE), key=key, node=ALICE.short_hash)
    assert verified.problem is None
    assert verified.recovered == 1
    untouched = list(read_entries(audit_log(folder, ALICE)))
    assert entries[: len(untouched)] == untouched


def test_the_administrative_logs_tell_who_backed_up_and_restored(folder, tmp_path, keys):
    back(folder, tmp_path / "b", keys)
    bring(tmp_path / "b", tmp_path / "new", keys)
    with register_of(folder) as register, register.reading() as reading:
        made = [text for _, text in reading.entries()]
    with register_of(tmp_path / "new") as register, register.reading() as reading:
        brought = [text for _, text in reading.entries()]
    assert "host backup" in made[-2]
    assert brought[:-2] == made[:-1]
    assert "host restore" in brought[-2]


def test_the_cut_is_of_one_moment_while_writers_go_on(folder, tmp_path, keys):
    """Each writer has an effect in a vault, logs it, then commits that it knows; as a step does."""
    with parts_of(folder) as parts:
        over, counts = threading.Event(), {}

        def work(node):
            number = 10
            while not over.is_set():
                parts.write(node, flow=f"w{node.short_hash}", call=number)
                state = StateWrite(
                    key=f"known/{node.short_hash}/{number}", expected=0, value=b"", due_at=None
                )
                parts.store.commit(Unit(states=(state,)))
                counts[node] = number
                number += 1

        threads = [threading.Thread(target=work, args=(node,)) for node in (ALICE, BOB)]
        for thread in threads:
            thread.start()
        try:
            for number in range(4):
                back(folder, tmp_path / f"b{number}", keys)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert min(counts.values()) > 10
    for number in range(4):
        new = tmp_path / f"new{number}"
        bring(tmp_path / f"b{number}", new, keys)
        for node in (ALICE, BOB):
            known = [
                int(key.rpartition("/")[2])
                for key, *_ in rows(new / "flows.sqlite", "states")
                if key.startswith(f"known/{node.short_hash}/")
            ]
            vault = new / "vnodes" / node.short_hash / "vault.sqlite"
            effects = [
                int(request.rpartition("-")[2])
                for request, *_ in rows(vault, "request_answer")
                if request.startswith("call:w")
            ]
            logged = [
                e["call"]
                for e in read_entries(audit_log(new, node))
                if e.get("flow", "")[:1] == "w"
            ]
            # The flow store knows of nothing that the log or the vault lacks.
            assert max(known, default=9) <= max(logged, default=9) <= max(effects, default=9)
            assert max(effects, default=9) <= max(known, default=9) + 1


def test_commits_wait_for_the_moment_of_the_cut_only(folder, tmp_path, keys, monkeypatch):
    """While databases are copied and encrypted, commits go through."""
    with parts_of(folder) as parts:
        committed = []

        def report(stage, _done, _total):
            state = StateWrite(key=f"during/{len(committed)}", expected=0, value=b"", due_at=None)
            parts.store.commit(Unit(states=(state,)))
            parts.write(ALICE, call=100 + len(committed))
            committed.append(stage)

        back(folder, tmp_path / "b", keys, report)
    assert {"copy", "encrypt"} <= set(committed)
    bring(tmp_path / "b", tmp_path / "new", keys)
    assert rows(tmp_path / "new" / "flows.sqlite", "states") == []
    assert generation(tmp_path / "new", ALICE) == 3


def test_vaults_beyond_the_limit_of_open_files_are_in_the_cut(folder, tmp_path, keys, monkeypatch):
    monkeypatch.setattr(cut_module, "_room_for_databases", lambda: 2)
    back(folder, tmp_path / "b", keys)
    bring(tmp_path / "b", tmp_path / "new", keys)
    assert (generation(tmp_path / "new", ALICE), generation(tmp_path / "new", BOB)) == (3, 3)


def test_a_package_that_is_replaced_while_it_is_copied_stays_in_the_backup(folder, tmp_path, keys):
    def report(stage, _done, _total):
        if stage == "copy":
            for file in folder.glob("packages/*.cpi"):
                file.unlink()

    back(folder, tmp_path / "b", keys, report)
    bring(tmp_path / "b", tmp_path / "new", keys)
    assert [p.read_bytes() for p in (tmp_path / "new").glob("packages/*.cpi")] == [PACKAGE]


@pytest.mark.parametrize("times", [1, 2])
def test_a_log_that_gets_successors_after_the_cut_is_as_it_was(
    folder, tmp_path, keys, times, monkeypatch
):
    """The file that it was then has another name when it is copied."""
    before = list(read_entries(audit_log(folder, ALICE)))
    keep = cut_module._keep_audit_log

    def rotated(*arguments):
        monkeypatch.undo()
        with parts_of_logs(folder) as logs:
            for call in range(times):
                log_call(logs, ALICE, 10 + call)
        assert len(list(audit_log(folder, ALICE).parent.glob("audit-*.log"))) == times
        keep(*arguments)

    monkeypatch.setattr(cut_module, "_keep_audit_log", rotated)
    back(folder, tmp_path / "b", keys)
    bring(tmp_path / "b", tmp_path / "new", keys)
    assert list(read_entries(audit_log(tmp_path / "new", ALICE)))[:-1] == before
    key = (folder / "secrets" / "audit-key").read_bytes()
    assert verify_log(audit_log(tmp_path / "new", ALICE), key=key).problem is None


def test_older_parts_of_a_log_are_in_the_backup(folder, tmp_path, keys):
    with parts_of_logs(folder) as logs:
        for call in range(3):
            log_call(logs, ALICE, 10 + call)
    parts = sorted(p.name for p in audit_log(folder, ALICE).parent.glob("audit-*.log"))
    assert len(parts) == 3
    back(folder, tmp_path / "b", keys)
    bring(tmp_path / "b", tmp_path / "new", keys)
    restored = audit_log(tmp_path / "new", ALICE)
    assert sorted(p.name for p in restored.parent.glob("audit-*.log")) == parts
    key = (folder / "secrets" / "audit-key").read_bytes()
    verified = verify_log(restored, key=key, node=ALICE.short_hash)
    assert (verified.problem, verified.parts) == (None, 4)


@contextmanager
def parts_of_logs(folder):
    """The audit logs of a directory, with a new file for each entry."""
    key = (folder / "secrets" / "audit-key").read_bytes()
    logs = NodeAuditLogs(folder / "vnodes", key=key, clock=CLOCK, segment_bytes=Fixed(1))
    yield logs
    logs.close()


def test_nothing_of_the_preparation_stays(folder, tmp_path, keys):
    before = names(folder)
    back(folder, tmp_path / "b", keys)
    assert names(folder) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "data"]


def test_a_backup_overwrites_nothing(folder, tmp_path, keys):
    (tmp_path / "b").write_bytes(b"mine")
    with pytest.raises(BackupExistsError):
        back(folder, tmp_path / "b", keys)

    def appears(stage, *_):
        if stage == "encrypt":
            (tmp_path / "c").write_bytes(b"mine")

    with pytest.raises(BackupExistsError):
        back(folder, tmp_path / "c", keys, appears)
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "c", "data"]


@pytest.mark.parametrize("stage", ["copy", "encrypt"])
def test_a_backup_that_fails_leaves_nothing(folder, tmp_path, keys, stage):
    before = names(folder)

    def fail(at, *_):
        if at == stage:
            raise OSError(28, "No space left on device")

    with pytest.raises((StorageError, OSError)):
        back(folder, tmp_path / "b", keys, fail)
    assert names(folder) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_what_is_no_data_directory_in_order_is_not_backed_up(folder, tmp_path, keys):
    with pytest.raises(BackupSourceError):
        back(tmp_path / "none", tmp_path / "b", keys)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackupSourceError):
        back(tmp_path / "empty", tmp_path / "b", keys)
    DataDirectory.hold(tmp_path / "fresh").release()
    with pytest.raises(BackupSourceError, match="no host has been ready"):
        back(tmp_path / "fresh", tmp_path / "b", keys)
    (folder / "cluster.sqlite").unlink()
    with pytest.raises(DataFileMissingError, match=r"cluster\.sqlite"):
        back(folder, tmp_path / "b", keys)


def test_a_backup_does_not_fill_the_disk_of_the_host(folder, tmp_path, keys, monkeypatch):
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(DiskFullError, match="1000000 bytes free"):
        back(folder, tmp_path / "b", keys)


def test_two_backups_at_once_are_refused(folder, tmp_path, keys):
    def second(*_):
        with pytest.raises(BackupBusyError):
            back(folder, tmp_path / "c", keys)

    back(folder, tmp_path / "b", keys, second)


def test_a_writer_that_does_not_let_go_is_waited_for_and_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cut_module, "BARRIER_WAIT_SECONDS", 0.01)
    (tmp_path / "staging").mkdir()
    with (folder / "flows.sqlite-writer").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupBusyError), taken_cut(folder, tmp_path / "staging", CLOCK):
            pass
    with sqlite3.connect(folder / "cluster.sqlite", isolation_level=None) as holder:
        monkeypatch.setattr(cut_module, "_BUSY_SECONDS", 0.01)
        holder.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(BackupBusyError, match="registers"),
            taken_cut(folder, tmp_path / "staging", CLOCK),
        ):
            pass
        holder.execute("ROLLBACK")
    with parts_of(folder) as parts:
        parts.write(ALICE, call=9)
    holder.close()


def test_a_restore_takes_an_empty_folder_or_none(folder, tmp_path, keys):
    back(folder, tmp_path / "b", keys)
    (tmp_path / "empty").mkdir()
    bring(tmp_path / "b", tmp_path / "empty", keys)
    bring(tmp_path / "b", tmp_path / "deep" / "er" / "new", keys)
    for taken in (folder, tmp_path / "empty"):
        before = names(taken)
        with pytest.raises(RestoreTargetError, match="not empty"):
            bring(tmp_path / "b", taken, keys)
        assert names(taken) == before
    (tmp_path / "file").touch()
    with pytest.raises(RestoreTargetError):
        bring(tmp_path / "b", tmp_path / "file", keys)
    held = DataDirectory.hold(tmp_path / "held")
    with pytest.raises(DataDirectoryLockedError):
        bring(tmp_path / "b", tmp_path / "held", keys)
    held.release()


def sealed_with(work_factor):
    """The header of a container whose passphrase has a work factor; the rest is not read."""
    sealed = f"age-encryption.org/v1\n-> scrypt Tl8ulVE9OinaNIufq3HcIg {work_factor}\n".encode()
    return Header(v=VERSION, created_at=0, identity=base64.b64encode(sealed).decode())


def test_more_work_than_is_accepted_is_no_wrong_passphrase(monkeypatch):
    tried = []

    def decrypt(sealed, _passphrase):
        tried.append(sealed)
        raise pyrage.DecryptError("Excessive work parameter for passphrase.")

    monkeypatch.setattr(pyrage.passphrase, "decrypt", decrypt)
    with pytest.raises(ContainerKeyError, match=r"work factor is 2\^23, and at most 2\^22"):
        Opener(passphrase="x").identities(sealed_with(23))
    assert not tried
    with pytest.raises(ContainerKeyError, match="when it is less busy, or on a faster one"):
        Opener(passphrase="x").identities(sealed_with(22))
    assert len(tried) == 1


def test_a_wrong_key_or_a_damaged_file_restores_nothing(folder, tmp_path, keys):
    back(folder, tmp_path / "b", keys)
    good = (tmp_path / "b").read_bytes()
    others = (None, Opener(passphrase="x"))
    with pytest.raises(ContainerKeyError):
        bring(tmp_path / "b", tmp_path / "new", others)
    for data, kind in (
        (good[: len(good) // 2], ContainerDamagedError),
        (good[:-1], ContainerDamagedError),
        (good[:-100] + bytes(100), ContainerDamagedError),
        (b"nothing", ContainerInvalidError),
        (b"", ContainerInvalidError),
    ):
        (tmp_path / "b").write_bytes(data)
        with pytest.raises(kind):
            bring(tmp_path / "b", tmp_path / "new", keys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "data"]


def forged(tmp_path, keys, content, **facts):
    import hashlib
    import io

    from host.adapters.files.container import Section

    file = tmp_path / "forged"
    with file.open("wb") as stream:
        write_container(
            stream,
            magic=MAGIC,
            sealer=keys[0],
            created_at=1,
            facts={"kind": "host", "at": 1, "clusterId": "c", **facts},
            sections=[
                Section(name=n, bytes=len(d), digest=hashlib.sha256(d).hexdigest())
                for n, d in content.items()
            ],
            open_section=lambda name: io.BytesIO(content[name]),
            progress=lambda _: None,
        )
    return file


WHOLE = {"cordbox-id": b"{}", "cluster.sqlite": b"", "flows.sqlite": b""}


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "/etc/passwd",
        "secrets/../../out",
        "vnodes/x",
        "lock",
        "secrets/.hidden",
        "tls/a/b",
    ],
)
def test_a_backup_that_names_another_place_is_refused(tmp_path, keys, name):
    assert not is_name(name)
    with pytest.raises(BackupContentError, match="no place"):
        bring(forged(tmp_path, keys, {**WHOLE, name: b"x"}), tmp_path / "new", keys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["forged"]


def test_a_backup_of_something_else_is_refused(tmp_path, keys):
    some = {n: d for n, d in WHOLE.items() if n != "flows.sqlite"}
    with pytest.raises(BackupContentError, match=r"no flows\.sqlite"):
        bring(forged(tmp_path, keys, some), tmp_path / "new", keys)
    with pytest.raises(ContainerInvalidError, match="node"):
        bring(forged(tmp_path, keys, WHOLE, kind="node"), tmp_path / "new", keys)
    with pytest.raises(StorageError, match="cordbox-id"):
        bring(forged(tmp_path, keys, WHOLE), tmp_path / "new", keys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["forged"]


SLOW = """
import sys
from pathlib import Path
from host.tools.backup import back_up, restore
from host.adapters.files.container import Opener, Sealer
from host.adapters.os.system import SystemClock
what, source, target, key = sys.argv[1:]
def wait(*_):
    print("begun", flush=True)
    sys.stdin.read()
if what == "backup":
    back_up(Path(source), Path(target), sealer=Sealer.to_recipient(key), clock=SystemClock(),
            report=lambda stage, *_: stage == "encrypt" and wait())
else:
    restore(Path(source), Path(target), opener=Opener(identities=key), clock=SystemClock(),
            progress=wait)
"""


@pytest.mark.crash
def test_a_killed_backup_or_restore_leaves_nothing_half_done(folder, tmp_path, keys, identity):
    def kill_within(what, source, target, key):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, what, str(source), str(target), key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()

    kill_within("backup", folder, tmp_path / "b", str(identity.to_public()))
    assert not (tmp_path / "b").exists()
    with parts_of(folder) as parts:
        parts.write(ALICE, call=4)
    assert not (folder / "backup").exists()
    back(folder, tmp_path / "b", keys)
    kill_within("restore", tmp_path / "b", tmp_path / "new", str(identity))
    assert not (tmp_path / "new").exists()
    bring(tmp_path / "b", tmp_path / "new", keys)
    assert generation(tmp_path / "new", ALICE) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "data", "new"]


def cordbox(*words, **environment):
    command = "from host.cli import main; import sys; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", command, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_the_commands_tell_what_they_did_and_what_they_refuse(folder, tmp_path):
    (tmp_path / "p").write_text("right\n")
    passphrase = ("--passphrase-file", tmp_path / "p")
    done = cordbox("host", "backup", folder, tmp_path / "b", *passphrase, "--output", "json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["clusterId"] == read_directory_id(folder).cluster_id
    assert any("master key" in warning for warning in facts["warnings"])
    wrong = cordbox(
        "host", "restore", tmp_path / "b", tmp_path / "n", CORDBOX_BACKUP_PASSPHRASE="wrong"
    )
    assert (wrong.returncode, "error[container-key-wrong]" in wrong.stderr) == (1, True)
    assert cordbox("host", "restore", tmp_path / "b", tmp_path / "n").returncode == 2
    done = cordbox("host", "restore", tmp_path / "b", tmp_path / "n", *passphrase)
    assert done.returncode == 0, done.stderr
    assert "files as of 20" in done.stdout
    again = cordbox("host", "backup", folder, tmp_path / "b", *passphrase)
    assert (again.returncode, "error[backup-exists]" in again.stderr) == (1, True)
