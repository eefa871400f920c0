"""A continuous backup is a chain of cuts; a standby follows it, and takes over what has arrived."""

import io
import shutil
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.adapters.files.container import (
    ContainerDamagedError,
    ContainerInvalidError,
    Opener,
    Sealer,
)
from host.adapters.files.identity import read_directory_id
from host.adapters.os.system import SystemClock
from host.adapters.sqlite.errors import UniquenessRestoredError
from host.ports.state import StateWrite
from host.ports.units import Unit
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NODE_SCHEMAS
from host.tools.backup import continuous, restore
from host.tools.backup.blocks import (
    BLOCK_BYTES,
    ChangedBlocks,
    apply_blocks,
    changed_blocks,
    scan,
    section_of,
)
from host.tools.backup.chain import BackupChainBrokenError, segments
from host.tools.backup.continuous import ContinuousBackup, prepare_folder
from host.tools.backup.errors import BackupBusyError, BackupExistsError, BackupSourceError
from host.tools.backup.part_keys import PartKeys
from host.tools.backup.standby import Standby
from host.tools.data_check import check_directory
from tests.support.data_directories import ALICE, BOB, make_directory, notarise, parts_of

CLOCK = SystemClock()


@pytest.fixture
def keys(identity):
    return Sealer.to_recipient(str(identity.to_public())), Opener(identities=str(identity))


@pytest.fixture
def target(tmp_path):
    return tmp_path / "parts"


@pytest.fixture
def backup(folder, target, keys):
    prepare_folder(folder, target)
    return ContinuousBackup(folder, target, sealer=keys[0], clock=CLOCK)


@pytest.fixture
def new(tmp_path):
    return tmp_path / "new"


def standby(target, new, keys):
    return Standby(target, new, opener_of=PartKeys(keys[1]).opener, clock=CLOCK)


def taken_over(target, new, keys):
    with standby(target, new, keys) as made:
        return made.take_over()


def effect(folder, number, node=ALICE):
    with parts_of(folder) as parts:
        parts.write(node, call=number)
        state = StateWrite(key=f"known/{number}", expected=0, value=b"v", due_at=None)
        parts.store.commit(Unit(states=(state,)))


def known(folder):
    with sqlite3.connect(folder / "flows.sqlite") as connection:
        found = connection.execute("SELECT key FROM states ORDER BY key").fetchall()
    return [key for (key,) in found]


def is_good(folder):
    report = check_directory(
        folder, passphrase=None, cluster_schemas=CLUSTER_SCHEMAS, node_schemas=NODE_SCHEMAS
    )
    return not report.findings


def names(target):
    return [each.path.name for each in segments(target)]


def test_changes_are_parts_of_their_own_and_a_standby_takes_over_all(
    folder, backup, target, new, keys
):
    base = backup.advance()
    assert (base.segment.path.name, base.segment.is_base) == ("00000001.base", True)
    assert backup.advance() is None
    effect(folder, 10)
    second = backup.advance()
    assert second.segment.path.name == "00000002.changes"
    assert second.content_bytes < base.content_bytes / 2
    with standby(target, new, keys) as made:
        assert [each.number for each in made.advance()] == [1, 2]
        assert made.advance() == []
        effect(folder, 11, BOB)
        third = backup.advance()
        (applied,) = made.advance()
        assert (applied.number, applied.at) == (3, third.at)
        assert not new.exists()
        taken = made.take_over()
    assert (taken.number, taken.left_out, taken.restored.at) == (3, None, third.at)
    assert known(new) == known(folder) == ["known/10", "known/11"]
    before, after = read_directory_id(folder), read_directory_id(new)
    assert after.cluster_id == before.cluster_id
    assert after.store_id == taken.restored.store_id != before.store_id
    assert is_good(new)
    assert sorted(path.name for path in new.parent.iterdir()) == ["data", "new", "parts"]
    effect(new, 12)


def test_unchanged_databases_are_not_copied(folder, backup, monkeypatch):
    backup.advance()
    copied = []
    copy = continuous.copy_database

    def noted(source, path):
        copied.append(path.name)
        copy(source, path)

    monkeypatch.setattr(continuous, "copy_database", noted)
    assert backup.advance() is None
    assert copied == []
    with parts_of(folder) as parts:
        parts.write(BOB, call=9)
        backup.advance()
        assert copied.count("vault.sqlite") == 1


def test_a_database_that_changes_between_its_stamp_and_the_cut_is_in_the_next_part(
    folder, backup, target, new, keys, monkeypatch
):
    backup.advance()
    stamps = continuous._stamps

    def then_an_effect(where):
        found = stamps(where)
        monkeypatch.undo()
        effect(folder, 20)
        return found

    monkeypatch.setattr(continuous, "_stamps", then_an_effect)
    backup.advance()
    effect(folder, 21)
    backup.advance()
    taken_over(target, new, keys)
    assert known(new) == ["known/20", "known/21"]


def test_a_restored_notary_waits_for_a_word_also_after_a_take_over(
    folder, backup, target, new, keys
):
    backup.advance()
    with parts_of(folder) as parts:
        notarise(parts, ALICE, 1)
    backup.advance()
    taken_over(target, new, keys)
    with parts_of(new) as parts, pytest.raises(UniquenessRestoredError):
        notarise(parts, ALICE, 2)


def test_a_file_that_is_gone_is_gone_at_the_standby(folder, backup, target, new, keys):
    backup.advance()
    (folder / "tls").mkdir(exist_ok=True)
    (folder / "tls" / "extra.pem").write_text("x")
    backup.advance()
    with standby(target, new, keys) as made:
        made.advance()
        (folder / "tls" / "extra.pem").unlink()
        backup.advance()
        made.take_over()
    assert not (new / "tls" / "extra.pem").exists()


def test_a_torn_newest_part_is_left_out(folder, backup, target, new, keys):
    backup.advance()
    effect(folder, 10)
    backup.advance()
    effect(folder, 11)
    torn = backup.advance().segment.path
    torn.write_bytes(torn.read_bytes()[:-40])
    taken = taken_over(target, new, keys)
    assert (taken.number, taken.left_out) == (2, torn)
    assert known(new) == ["known/10"]


def test_a_torn_new_base_leaves_the_parts_before_it(folder, backup, target, new, keys, monkeypatch):
    backup.advance()
    effect(folder, 10)
    backup.advance()
    monkeypatch.setattr(continuous, "_CHANGES_MAX", 1)
    torn = backup.advance().segment
    assert torn.is_base
    torn.path.write_bytes(torn.path.read_bytes()[:-40])
    taken = taken_over(target, new, keys)
    assert (taken.number, taken.left_out) == (2, torn.path)
    assert known(new) == ["known/10"]


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "of another chain"])
def test_a_part_that_does_not_continue_the_others_is_refused(
    folder, backup, target, new, keys, damage, tmp_path
):
    backup.advance()
    for number in (10, 11):
        effect(folder, number)
        backup.advance()
    middle = target / "00000002.changes"
    data = middle.read_bytes()
    if damage == "cut":
        middle.write_bytes(data[:-40])
    elif damage == "changed":
        middle.write_bytes(data[:-200] + bytes(100) + data[-100:])
    elif damage == "missing":
        middle.unlink()
    else:
        prepare_folder(folder, tmp_path / "others")
        other = ContinuousBackup(folder, tmp_path / "others", sealer=keys[0], clock=CLOCK)
        other.advance()
        effect(folder, 12)
        shutil.copyfile(other.advance().segment.path, middle)
    with pytest.raises(BackupChainBrokenError, match=r"0000000[23]"):
        taken_over(target, new, keys)
    assert not new.exists()
    (target / "00000003.changes").unlink()
    middle.unlink(missing_ok=True)
    assert taken_over(target, new, keys).number == 1


def test_parts_may_not_be_exchanged_or_be_bases(folder, backup, target, new, keys):
    backup.advance()
    effect(folder, 10)
    part = backup.advance().segment.path
    with pytest.raises(ContainerInvalidError, match="adds to another"):
        restore(part, new, opener=keys[1], clock=CLOCK, progress=lambda *_: None)
    shutil.copyfile(target / "00000001.base", target / "00000003.changes")
    with pytest.raises(ContainerInvalidError, match="expected changes"):
        taken_over(target, new, keys)
    restore(target / "00000001.base", new, opener=keys[1], clock=CLOCK, progress=lambda *_: None)
    assert is_good(new)


def test_a_standby_that_died_while_it_applied_a_part_goes_on(
    folder, backup, target, new, keys, monkeypatch
):
    backup.advance()
    with standby(target, new, keys) as made:
        made.advance()
    effect(folder, 10)
    backup.advance()
    apply, done = Standby._apply, []

    def dies(self, *arguments):
        if done:
            raise KeyboardInterrupt
        done.append(apply(self, *arguments))

    monkeypatch.setattr(Standby, "_apply", dies)
    with standby(target, new, keys) as made, pytest.raises(KeyboardInterrupt):
        made.advance()
    monkeypatch.undo()
    taken_over(target, new, keys)
    assert known(new) == ["known/10"]
    assert is_good(new)


def test_a_draft_whose_disk_has_lost_something_is_made_again(
    folder, backup, target, new, keys, tmp_path
):
    backup.advance()
    with standby(target, new, keys) as made:
        made.advance()
    (tmp_path / ".new.standby" / "content" / "flows.sqlite").write_bytes(b"")
    effect(folder, 10)
    backup.advance()
    taken_over(target, new, keys)
    assert known(new) == ["known/10"]


def test_new_bases_bound_the_folder(folder, backup, target, new, keys, monkeypatch):
    monkeypatch.setattr(continuous, "_CHANGES_MAX", 2)
    made = standby(target, new, keys)
    with made:
        for number in range(6):
            backup.advance()
            effect(folder, 10 + number)
            assert len(segments(target)) <= 6
            if number % 3 == 1:
                made.advance()
        backup.advance()
        made.take_over()
    assert [name for name in names(target) if name.endswith("base")] == [
        "00000004.base",
        "00000007.base",
    ]
    assert len(known(new)) == 6


def test_a_backup_that_is_begun_again_begins_with_a_base(folder, backup, target, new, keys):
    backup.advance()
    effect(folder, 10)
    backup.advance()
    again = ContinuousBackup(folder, target, sealer=keys[0], clock=CLOCK)
    effect(folder, 11)
    assert again.advance().segment.path.name == "00000003.base"
    effect(folder, 12)
    shutil.copyfile(target / "00000003.base", target / "00000003.changes")
    with pytest.raises(BackupExistsError):
        backup.advance()


def test_a_base_of_another_cluster_replaces_no_draft(folder, backup, target, new, keys, tmp_path):
    backup.advance()
    with standby(target, new, keys) as made:
        made.advance()
        other = make_directory(tmp_path / "other")
        assert ContinuousBackup(other, target, sealer=keys[0], clock=CLOCK).advance()
        for follow in (made.advance, made.take_over):
            with pytest.raises(BackupChainBrokenError, match="another cluster"):
                follow()
    (target / "00000002.base").unlink()
    cluster = read_directory_id(folder).cluster_id
    assert taken_over(target, new, keys).restored.cluster_id == cluster


def test_what_failed_is_in_the_next_part(folder, backup, target, new, keys, monkeypatch):
    backup.advance()
    effect(folder, 10)

    def fails(*_arguments, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(continuous, "write_container", fails)
    with pytest.raises(Exception, match="No space left"):
        backup.advance()
    monkeypatch.undo()
    assert names(target) == ["00000001.base"]
    backup.advance()
    taken_over(target, new, keys)
    assert known(new) == ["known/10"]


def test_a_passphrase_opens_all_parts_of_a_writer(folder, target, new):
    prepare_folder(folder, target)
    made = ContinuousBackup(folder, target, sealer=Sealer.by_passphrase("p"), clock=CLOCK)
    made.advance()
    effect(folder, 10)
    made.advance()
    assert taken_over(target, new, (None, Opener(passphrase="p"))).number == 2


def test_refusals(folder, backup, target, new, keys):
    with pytest.raises(BackupSourceError, match="data directory"):
        prepare_folder(folder, folder / "parts")
    with pytest.raises(BackupChainBrokenError, match="no base"):
        taken_over(target, new, keys)
    backup.advance()
    with standby(target, new, keys), pytest.raises(BackupBusyError):
        taken_over(target, new, keys)


contents = st.lists(
    st.tuples(st.integers(0, 5 * BLOCK_BYTES), st.binary(min_size=1, max_size=40)), max_size=4
)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 5 * BLOCK_BYTES), st.integers(0, 5 * BLOCK_BYTES), contents)
def test_changed_blocks_make_the_new_file_of_the_old_one(old_size, new_size, edits):
    old = bytearray(range(256)) * (old_size // 256 + 1)
    del old[old_size:]
    now = bytearray(old.ljust(new_size, b"\7"))[:new_size]
    for start, data in edits:
        now[start : start + len(data)] = data
    before, after = (scan(io.BytesIO(each), None, "f") for each in (old, now))
    numbers = changed_blocks(before, after)
    for number in range(len(now) // BLOCK_BYTES):
        same = slice(number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES)
        assert (number in numbers) is (old[same] != now[same])
    changes = ChangedBlocks(io.BytesIO(now), len(now), numbers)
    written, target = io.BytesIO(), io.BytesIO(old)
    while piece := changes.read(1000):
        written.write(piece)
    section = section_of("f", ChangedBlocks(io.BytesIO(now), len(now), numbers))
    assert section.bytes == written.tell()
    written.seek(0)
    apply_blocks(written, target, len(now))
    assert target.getvalue() == bytes(now)


@pytest.mark.parametrize(
    "records", [b"\0\0", b"\0\0\0\0abc", b"\0\0\0\1" + bytes(100), b"\xff\xff\xff\xff" + b"a"]
)
def test_changes_that_are_not_of_the_file_are_refused(records):
    with pytest.raises(ContainerDamagedError):
        apply_blocks(io.BytesIO(records), io.BytesIO(), 100)
