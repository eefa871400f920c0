"""A long log goes on in new files; older parts stay, or are moved to an archive and named."""

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest

from host.adapters.os.system import SystemEntropy
from host.cli import main
from host.domain.clock import SimClock
from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.archive import AuditArchiveDiffersError, AuditLogNotGoodError, archive_log
from host.nodes.audit_log.node_log import HEAD_NAME, LOG_NAME, NodeLog
from host.nodes.audit_log.segments import NEW_NAME, segment_name, segments
from host.nodes.audit_log.service import load_audit_key
from host.nodes.audit_log.verification import read_entries, verify_log
from host.ports.live import Fixed
from tests.audit_log.test_audit_log_chain import ALICE, BOB, KEY, call, lines, problem

SMALL = 3_000


def written(folder, count=30, holding=ALICE, key=KEY):
    """A log in parts of a few entries."""
    log = NodeLog(folder, holding, key, segment_bytes=Fixed(SMALL))
    for number in range(count):
        assert log.append(call(number, holding=holding), now=1000 + number)
    log.close()
    return folder / LOG_NAME


def names(folder):
    return [part.path.name for part in segments(folder)]


def test_parts_are_one_chain_in_the_order_of_their_names(tmp_path):
    file = written(tmp_path)
    parts = segments(tmp_path)
    assert len(parts) > 3
    before = None
    for part, path in [*((p.first, p.path) for p in parts), (None, file)]:
        first, last = (json.loads(line) for line in (lines(path)[0], lines(path)[-1]))
        assert part in {first["seq"], None}
        assert first["kind"] == ("segment" if first["seq"] else "genesis")
        assert before is None or first["previous"] == before
        assert first["holding"] == ALICE.full_hash
        before = last["hash"]
    found = verify_log(file, key=KEY, node=ALICE.short_hash)
    assert (found.problem, found.parts) == (None, len(parts) + 1)
    assert found.entries == 31 + len(parts)
    assert [e["call"] for e in read_entries(file) if e["kind"] == "call"] == list(range(30))


def test_every_part_is_verified(tmp_path):
    file = written(tmp_path)
    for part in segments(tmp_path):
        content = part.path.read_bytes()
        part.path.write_bytes(content.replace(b'"ok"', b'"no"', 1))
        assert problem(file)[1] == "audit-hash-wrong"
        part.path.write_bytes(content)
    assert problem(file) is None
    assert verify_log(segments(tmp_path)[1].path, key=KEY).problem is None  # one alone


def test_a_part_that_is_missing_or_out_of_place_is_noticed(tmp_path):
    file = written(tmp_path)
    first, second, third, *_ = (part.path for part in segments(tmp_path))
    kept = tmp_path / "kept"
    second.rename(kept)
    assert problem(file)[1] == "audit-sequence-broken"
    kept.rename(second)
    first.rename(kept)
    assert problem(file) == (0, "audit-part-missing")
    kept.rename(first)
    for one, other in ((second, third), (third, file)):
        shutil.copy(one, kept)
        shutil.copy(other, one)
        shutil.copy(kept, other)
        assert problem(file)[1] == "audit-sequence-broken"
        shutil.copy(one, kept)
        shutil.copy(other, one)
        shutil.copy(kept, other)
    assert problem(file) is None


def test_a_part_of_another_log_cannot_be_put_in(tmp_path):
    file = written(tmp_path / "a")
    written(tmp_path / "b", holding=BOB)
    for name in set(names(tmp_path / "a")) & set(names(tmp_path / "b")):
        shutil.copy(tmp_path / "b" / name, tmp_path / "a" / name)
        break
    assert problem(file) is not None


def test_a_log_that_lost_its_newest_file_goes_on_after_the_older_parts(tmp_path):
    file = written(tmp_path)
    file.unlink()
    log = NodeLog(tmp_path, ALICE, KEY)
    log.append(call(99), now=5)
    log.close()
    found = verify_log(file, key=KEY)
    assert [cut.code for cut in found.cuts] == ["audit-log-cut"]
    first, *_ = read_entries(file.with_name(LOG_NAME))
    assert first["kind"] == "genesis"  # of the oldest part: the chain was not begun anew


def test_an_older_newest_file_beside_its_successor_stops_the_log(tmp_path):
    """Only an operator can tell which of both is right: nothing is added, nothing thrown away."""
    file = written(tmp_path)
    shutil.copy(segments(tmp_path)[0].path, file)
    log = NodeLog(tmp_path, ALICE, KEY)
    with pytest.raises(Exception, match="does not follow"):
        log.append(call(99), now=5)
    assert problem(file) is not None


def test_a_repeated_call_is_known_across_files(tmp_path):
    written(tmp_path, 30)
    log = NodeLog(tmp_path, ALICE, KEY, segment_bytes=Fixed(SMALL))
    assert not log.append(call(29), now=5)
    assert not log.append(call(28), now=5)
    assert log.append(call(30), now=5)


@pytest.mark.parametrize("dies_in", ["link", "rename", "pwrite"])
def test_a_process_that_dies_while_it_rotates_leaves_a_good_log(tmp_path, monkeypatch, dies_in):
    log = NodeLog(tmp_path, ALICE, KEY, segment_bytes=Fixed(SMALL))
    real_link = os.link

    def link(*args):
        if dies_in == "link":
            raise KeyboardInterrupt
        real_link(*args)
        if dies_in == "rename":
            monkeypatch.setattr(os, "rename", dying)
            monkeypatch.setattr("pathlib.Path.rename", dying)
        else:
            monkeypatch.setattr(os, "pwrite", dying)

    def dying(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", link)
    number = 0
    try:
        while number < 30:
            log.append(call(number), now=1)
            number += 1
    except KeyboardInterrupt:
        monkeypatch.undo()
    assert 0 < number < 30
    assert verify_log(tmp_path / LOG_NAME, key=KEY).problem is None
    again = NodeLog(tmp_path, ALICE, KEY, segment_bytes=Fixed(SMALL))
    assert not again.append(call(number), now=1)  # it was added before
    for later in range(number + 1, number + 20):
        assert again.append(call(later), now=1)
    again.close()
    found = verify_log(tmp_path / LOG_NAME, key=KEY)
    assert (found.problem, found.cuts) == (None, ())
    assert found.parts > 2
    assert not (tmp_path / NEW_NAME).exists()


def test_a_call_is_kept_though_the_next_file_cannot_be_made(tmp_path, monkeypatch):
    log = NodeLog(tmp_path, ALICE, KEY, segment_bytes=Fixed(SMALL))

    def link(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", link)
    for number in range(20):
        assert log.append(call(number), now=1)
    assert segments(tmp_path) == []
    monkeypatch.undo()
    assert log.append(call(20), now=1)
    assert len(segments(tmp_path)) == 1
    log.close()
    assert problem(tmp_path / LOG_NAME) is None


def _write_many(folder, flow, count):
    log = NodeLog(folder, ALICE, KEY, segment_bytes=Fixed(SMALL))
    for number in range(count):
        log.append(call(number, flow, "ok" if number % 3 else "key-not-found"), now=number)
        if number % 20 == 0:
            log.sync(number)
    log.close()


@pytest.mark.crash
def test_several_processes_rotate_one_chain(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(tmp_path, f"f{n}", 90)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    found = verify_log(tmp_path / LOG_NAME, key=KEY)
    assert (found.problem, found.recovered) == (None, 0)
    entries = list(read_entries(tmp_path / LOG_NAME))
    for n in range(3):
        good = [e["call"] for e in entries if e.get("flow") == f"f{n}" and e["outcome"] == "ok"]
        assert good == [number for number in range(90) if number % 3]
    assert len(names(tmp_path)) > 10


def test_moved_parts_are_named_by_the_log_and_found_in_the_archive(tmp_path):
    file, archive = written(tmp_path / "log"), tmp_path / "archive"
    before = list(read_entries(file))
    parts = names(tmp_path / "log")
    moved = archive_log(tmp_path / "log", archive, key=KEY, clock=SimClock())
    assert [part.path.name for part in moved] == parts == names(archive)
    assert names(tmp_path / "log") == []
    assert problem(file) is None
    assert problem(file, archive=archive) is None
    assert list(read_entries(file, archive))[: len(before)] == before
    assert [e["firstSeq"] for e in read_entries(file) if e["kind"] == "archived"] == [
        part.first for part in moved
    ]
    # What is in neither place is missing.
    (archive / parts[1]).unlink()
    assert problem(file, archive=archive)[1] == "audit-sequence-broken"


def test_a_part_that_was_moved_and_changed_is_noticed_beside_the_log(tmp_path):
    file, archive = written(tmp_path / "log"), tmp_path / "archive"
    moved = archive_log(tmp_path / "log", archive, key=KEY, clock=SimClock())
    content = moved[0].path.read_bytes()
    moved[0].path.write_bytes(content.replace(b'"ok"', b'"no"', 1))
    assert problem(file, archive=archive)[1] == "audit-hash-wrong"


def test_a_log_without_its_start_is_good_only_if_it_says_where_that_went(tmp_path):
    file, archive = written(tmp_path / "log", 60), tmp_path / "archive"
    archive_log(tmp_path / "log", archive, key=KEY, clock=SimClock())
    log = NodeLog(tmp_path / "log", ALICE, KEY, segment_bytes=Fixed(SMALL))
    for number in range(60, 90):
        log.append(call(number), now=1)
    log.close()
    assert problem(file) is None
    (tmp_path / "log" / names(tmp_path / "log")[0]).unlink()
    assert problem(file) == (0, "audit-part-missing")


@pytest.mark.parametrize("dies_at", range(4))
def test_archiving_that_is_cut_off_is_finished_by_the_next(tmp_path, monkeypatch, dies_at):
    file, archive = written(tmp_path / "log"), tmp_path / "archive"
    before = list(read_entries(file))
    unlink = Path.unlink
    left = iter(range(dies_at))

    def dying(path, *args, **options):
        if str(path).endswith(".log") and next(left, None) is None:
            raise KeyboardInterrupt
        unlink(path, *args, **options)

    monkeypatch.setattr("pathlib.Path.unlink", dying)
    with pytest.raises(KeyboardInterrupt):
        archive_log(tmp_path / "log", archive, key=KEY, clock=SimClock())
    monkeypatch.undo()
    assert problem(file, archive=archive) is None
    archive_log(tmp_path / "log", archive, key=KEY, clock=SimClock())
    assert (problem(file), problem(file, archive=archive)) == (None, None)
    assert names(tmp_path / "log") == []
    found = [e for e in read_entries(file, archive) if e["kind"] != "archived"]
    assert found == before
    told = [e["firstSeq"] for e in read_entries(file, archive) if e["kind"] == "archived"]
    assert len(told) == len(set(told))


def test_a_bad_log_and_another_file_in_the_archive_stay_where_they_are(tmp_path):
    written(tmp_path / "log")
    first = segments(tmp_path / "log")[0].path
    (tmp_path / "archive").mkdir()
    other = tmp_path / "archive" / first.name
    other.write_bytes(b"other")
    with pytest.raises(AuditArchiveDiffersError):
        archive_log(tmp_path / "log", tmp_path / "archive", key=KEY, clock=SimClock())
    assert first.exists()
    other.unlink()
    first.write_bytes(first.read_bytes().replace(b'"ok"', b'"no"', 1))
    with pytest.raises(AuditLogNotGoodError):
        archive_log(tmp_path / "log", tmp_path / "archive", key=KEY, clock=SimClock())
    assert first.exists()


@pytest.fixture
def run(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as left:
            main(["audit", "log", *map(str, words)])
        return left.value.code, capsys.readouterr().out

    return run


def test_the_commands_walk_all_parts(tmp_path, run):
    data, archive = tmp_path / "data", tmp_path / "archive"
    key = load_audit_key(
        data / "secrets", entropy=SystemEntropy(), logs=data / "vnodes", newest_act=None
    )
    node = ALICE.short_hash
    written(data / "vnodes" / node, key=key)
    code, out = run("verify", data)
    assert code == 0
    assert " files, ends " in out
    assert len(run("show", data, "--function", "signing.sign")[1].splitlines()) == 30
    code, out = run("archive", data, archive)
    assert code == 0
    assert out.startswith(f"{node}  entries 0 to ")
    assert segments(data / "vnodes" / node) == []
    assert run("verify", data)[0] == run("verify", data, "--archive", archive)[0] == 0
    shown = run("show", data, "--function", "signing.sign", "--archive", archive)[1]
    assert len(shown.splitlines()) == 30
    assert run("archive", data, archive) == (0, "no log has older parts\n")
    (data / "vnodes" / node / HEAD_NAME).unlink()
    logs = NodeAuditLogs(data / "vnodes", key=key, clock=SimClock())
    logs.record(call(99))
    logs.close()
    code, out = run("verify", data)
    assert code == 1
    assert f"\nCUT   {node}  entry " in out
    assert "[audit-head-missing]" in out
    assert not (data / "vnodes" / node / segment_name(0)).exists()
