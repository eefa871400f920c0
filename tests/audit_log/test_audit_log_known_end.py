"""Log and head that are lost, or set back, together are missed by the registers, which tell once."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from host.nodes.audit_log.verification import read_entries, verify_log
from host.nodes.vnode import MadeVaults
from tests.support.data_directories import ALICE, make_directory, parts_of


@pytest.fixture
def folder(tmp_path):
    return make_directory(tmp_path / "data")


def log_of(folder):
    return folder / "vnodes" / ALICE.short_hash / "audit.log"


def recoveries(folder):
    return [e for e in read_entries(log_of(folder)) if e["kind"] == "recovery"]


def lose(folder):
    for file in log_of(folder).parent.glob("audit*"):
        file.unlink()


def test_the_registers_know_the_newest_entry_on_the_disk(folder):
    entries = list(read_entries(log_of(folder)))
    with parts_of(folder) as parts:
        assert parts.register.audit_end(ALICE.short_hash) == (3, entries[3]["hash"])
        assert parts.register.audited() != []
        parts.write(ALICE, call=4)
        parts.logs.sync()
        ends = parts.logs.take_ends()
        assert ends[ALICE.short_hash][0] == 4
        assert parts.logs.take_ends() == {}


def test_hosts_of_a_cluster_have_ends_of_their_own(folder):
    with parts_of(folder) as parts:
        one, two = (MadeVaults(database=parts.database, clock=parts.clock, host=h) for h in "ab")
        one.note_audit_ends({ALICE.short_hash: (7, "7" * 64)})
        assert (two.audit_end(ALICE.short_hash), two.audited()) == (None, [])
        two.note_audit_ends({ALICE.short_hash: (2, "2" * 64)})
        assert one.audit_end(ALICE.short_hash) == (7, "7" * 64)
        assert (one.audited(), two.audited()) == ([ALICE.short_hash], [ALICE.short_hash])


def test_an_end_that_an_older_version_noted_is_kept(folder):
    with parts_of(folder) as parts:
        known = parts.register.audit_end(ALICE.short_hash)
    with closing(sqlite3.connect(folder / "cluster.sqlite")) as connection, connection:
        for column in ("audit_seq BIGINT", "audit_hash VARCHAR(64)"):
            connection.execute(f"ALTER TABLE vault_note ADD COLUMN {column}")
        connection.execute(
            "UPDATE vault_note SET audit_seq = ?, audit_hash = ? WHERE short_hash = ?",
            (*known, ALICE.short_hash),
        )
        connection.execute("DROP TABLE audit_end")
        connection.execute("UPDATE schema_version SET version = 3 WHERE name = 'vnode'")
    with parts_of(folder) as parts:
        assert parts.register.audit_end(ALICE.short_hash) == known
        assert parts.register.audited() == [ALICE.short_hash]


def test_a_lost_log_is_told_of_once_and_for_ever(folder):
    with parts_of(folder) as parts:
        known = parts.register.audit_end(ALICE.short_hash)
    lose(folder)
    for call in (4, 5):
        with parts_of(folder) as parts:
            parts.write(ALICE, call=call)
    (told,) = recoveries(folder)
    assert (told["cause"], told["explanation"]) == ("log-cut", "none")
    assert (told["headSeq"], told["headHash"]) == known
    key = (folder / "secrets" / "audit-key").read_bytes()
    problem = verify_log(log_of(folder), key=key, node=ALICE.short_hash).problem
    assert problem is not None
    assert problem.code == "audit-log-cut"


def test_a_log_that_was_told_of_and_not_noted_is_not_told_of_again(folder):
    """A host that is killed before the registers know of the new end."""
    lose(folder)
    for call in (4, 5):
        with parts_of(folder) as parts:
            kept = parts.register.audit_end(ALICE.short_hash)
            parts.write(ALICE, call=call)
        with parts_of(folder) as parts:
            parts.register.note_audit_ends({ALICE.short_hash: kept})
    assert len(recoveries(folder)) == 1


def test_a_log_that_was_set_back_with_its_head_is_told_of(folder, tmp_path):
    shutil.copytree(log_of(folder).parent, tmp_path / "old")
    with parts_of(folder) as parts:
        parts.write(ALICE, call=4)
    for file in (tmp_path / "old").glob("audit*"):
        shutil.copy(file, log_of(folder).parent / file.name)
    with parts_of(folder) as parts:
        parts.write(ALICE, call=5)
    (told,) = recoveries(folder)
    assert (told["cause"], told["headSeq"]) == ("log-cut", 4)


def test_another_log_of_the_node_is_told_of(folder, tmp_path):
    lose(folder)
    with parts_of(folder) as parts:
        end = parts.register.audit_end(ALICE.short_hash)
        parts.register.note_audit_ends({ALICE.short_hash: (0, "0" * 64)})
        parts.write(ALICE, call=4)
    assert end is not None
    (told,) = recoveries(folder)
    assert (told["cause"], told["headSeq"]) == ("log-cut", 0)
    with parts_of(folder) as parts:
        parts.register.note_audit_ends({ALICE.short_hash: (1, "1" * 64)})
    with parts_of(folder) as parts:
        parts.write(ALICE, call=5)
    assert [e["cause"] for e in recoveries(folder)] == ["log-cut", "log-replaced"]


def test_a_good_log_has_nothing_to_tell(folder):
    for call in (4, 5, 6):
        with parts_of(folder) as parts:
            parts.write(ALICE, call=call)
    assert recoveries(folder) == []
