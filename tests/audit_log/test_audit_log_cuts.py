"""A log that is shorter, older or another than its head knows is never good again."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.nodes.audit_log import chain
from host.nodes.audit_log.head import LINE_BYTES, NEWEST, line_bytes, parse_head
from host.nodes.audit_log.node_log import HEAD_NAME, LOG_NAME, NodeLog
from host.nodes.audit_log.verification import read_entries, verify_log
from tests.audit_log.test_audit_log_chain import ALICE, BOB, KEY, call, lines, problem, written
from tests.support.properties import examples

THIS_RUN, NEXT_RUN = "boot-1", "boot-2"


def open_log(folder, boot=THIS_RUN, **options):
    return NodeLog(folder, ALICE, KEY, boot=boot, **options)


def goes_on(folder, number=77, boot=THIS_RUN, **options):
    """The host runs on: one call more, in a process that opens the log."""
    log = open_log(folder, boot, **options)
    assert log.append(call(number, "after"), now=9)
    log.close()
    return verify_log(folder / LOG_NAME, key=KEY)


def recoveries(folder):
    found = [e for e in read_entries(folder / LOG_NAME) if e["kind"] == "recovery"]
    return [e for e in found if e["cause"] != "torn-line"]


def codes(found):
    return [cut.code for cut in found.cuts]


def cut_at(folder, kept):
    file = folder / LOG_NAME
    file.write_bytes(b"".join(lines(file)[:kept]))


@pytest.mark.parametrize("kept", range(6))
def test_a_cut_is_told_for_ever(tmp_path, kept):
    file = written(tmp_path)
    end = verify_log(file, key=KEY).last
    cut_at(tmp_path, kept)
    found = goes_on(tmp_path)
    assert codes(found) == ["audit-log-cut"]
    assert found.problem == found.cuts[0]
    assert f"audit.head knew entry {end.seq} ({end.hash})" in found.problem.message
    assert "no power failure explains it" in found.problem.message
    (entry,) = recoveries(tmp_path)
    assert (entry["headSeq"], entry["headHash"]) == (end.seq, end.hash)
    # The host runs on, and on: it stays told, once.
    for number in range(3):
        found = goes_on(tmp_path, 100 + number)
    assert codes(found) == ["audit-log-cut"]


def test_a_cut_is_warned_of_in_the_hosts_log(tmp_path, capsys):
    written(tmp_path)
    cut_at(tmp_path, 2)
    goes_on(tmp_path)
    warned = capsys.readouterr().out
    assert "warning" in warned
    assert "audit-log-recovery" in warned
    assert "log-cut" in warned


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cut=st.integers(1, 4000))
def test_a_log_cut_at_any_byte_goes_on_and_says_so(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("log")
    file = written(folder)
    content = file.read_bytes()
    kept = content[: max(0, len(content) - cut)]
    whole = kept[: kept.rfind(b"\n") + 1]
    file.write_bytes(kept)
    found = goes_on(folder)
    assert codes(found) == ["audit-log-cut"]
    assert file.read_bytes().startswith(whole)
    torn = [e["bytes"] for e in read_entries(file) if e.get("cause") == "torn-line"]
    assert torn == ([len(kept) - len(whole)] if kept != whole else [])


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_order_of_lines_but_the_right_one_is_good(tmp_path_factory, data):
    """Lines of two logs with one key, in any order: only the log itself verifies."""
    folder = tmp_path_factory.mktemp("logs")
    file, other = written(folder / "a", 3), written(folder / "b", 3, holding=BOB)
    right = lines(file)
    mixed = data.draw(st.lists(st.sampled_from(right + lines(other)), max_size=6))
    file.write_bytes(b"".join(mixed))
    assert (verify_log(file, key=KEY).problem is None) == (mixed == right)


@pytest.mark.parametrize("is_removed", [True, False])
def test_a_log_that_is_gone_or_empty_beside_its_head_begins_with_what_the_head_knew(
    tmp_path, is_removed
):
    file = written(tmp_path)
    file.unlink() if is_removed else os.truncate(file, 0)
    assert problem(file) == (0, "audit-log-truncated")
    found = goes_on(tmp_path)
    assert (codes(found), found.problem.seq) == (["audit-log-cut"], 1)


def test_a_head_that_is_gone_is_told_of(tmp_path):
    written(tmp_path)
    (tmp_path / HEAD_NAME).unlink()
    assert codes(goes_on(tmp_path)) == ["audit-head-missing"]


@pytest.mark.parametrize("content", [b"nonsense", b"{}", None])
def test_a_head_that_this_host_did_not_make_is_told_of(tmp_path, content):
    file = written(tmp_path)
    forged = line_bytes(NEWEST, seq=1, digest=chain.NO_HASH, boot="", key=b"guess")
    file.with_name(HEAD_NAME).write_bytes(forged if content is None else content)
    assert codes(goes_on(tmp_path)) == ["audit-head-forged"]


def test_a_log_and_a_head_that_are_gone_together_leave_no_trace_here(tmp_path):
    """What both knew is known elsewhere only: by the anchor of an earlier verification."""
    file = written(tmp_path)
    anchor = verify_log(file, key=KEY).last
    shutil.rmtree(tmp_path)
    assert goes_on(tmp_path).problem is None
    assert problem(file, anchor=anchor) == (2, "audit-log-truncated")


def test_an_older_log_beside_a_newer_head_is_told_of(tmp_path):
    written(tmp_path, 3)
    older = (tmp_path / LOG_NAME).read_bytes()
    goes_on(tmp_path)
    (tmp_path / LOG_NAME).write_bytes(older)
    assert codes(goes_on(tmp_path)) == ["audit-log-cut"]


def test_an_older_head_beside_a_newer_log_hides_nothing(tmp_path):
    """A power failure leaves it so: the log has everything that the head knew, and more."""
    file = written(tmp_path, 3)
    older = file.with_name(HEAD_NAME).read_bytes()
    goes_on(tmp_path)
    file.with_name(HEAD_NAME).write_bytes(older)
    assert problem(file) is None
    assert goes_on(tmp_path, 78).problem is None


def test_another_log_that_is_longer_than_the_head_knows_is_told_of(tmp_path):
    written(tmp_path / "a", 2)
    other = open_log(tmp_path / "b")
    for number in range(9):
        other.append(call(number, "other"), now=5)
    other.close()
    shutil.copy(tmp_path / "b" / LOG_NAME, tmp_path / "a" / LOG_NAME)
    assert problem(tmp_path / "a" / LOG_NAME) == (10, "audit-head-differs")
    assert codes(goes_on(tmp_path / "a")) == ["audit-log-replaced"]


def test_a_power_failure_that_took_what_was_not_on_the_disk_is_explained(tmp_path):
    log = open_log(tmp_path)
    for number in range(3):
        log.append(call(number), now=1)
    log.sync(1)
    for number in range(3, 6):
        log.append(call(number), now=1)
    head = (tmp_path / HEAD_NAME).read_bytes()
    log.close()
    (tmp_path / HEAD_NAME).write_bytes(head)
    content = (tmp_path / LOG_NAME).read_bytes()
    for kept, boot, explanation in (
        (5, NEXT_RUN, "power-failure"),
        (4, NEXT_RUN, "power-failure"),
        (3, NEXT_RUN, "none"),  # entry 3 was on the disk
        (5, THIS_RUN, "none"),  # the machine has not been started anew
    ):
        (tmp_path / HEAD_NAME).write_bytes(head)
        (tmp_path / LOG_NAME).write_bytes(b"".join(content.splitlines(keepends=True)[:kept]))
        found = goes_on(tmp_path, boot=boot)
        assert codes(found) == ["audit-log-cut"]
        assert [e["explanation"] for e in recoveries(tmp_path)] == [explanation]
        explained = "a power failure explains it" in found.problem.message
        assert explained == (explanation == "power-failure")


@pytest.mark.parametrize("state", ["gone", "cut"])
def test_a_crash_while_the_log_is_recovered_forgets_nothing(tmp_path, monkeypatch, state):
    """Whatever write is the last one: the head knows what it knew until the log tells of it."""
    file = written(tmp_path)
    head = file.with_name(HEAD_NAME)
    cut_at(tmp_path, 0 if state == "gone" else 3)
    before = file.read_bytes(), head.read_bytes()
    crashes = 0
    for last in range(20):
        file.write_bytes(before[0])
        head.write_bytes(before[1])
        writes = iter(range(last))
        real_write, real_pwrite = os.write, os.pwrite

        def dying(real, writes=writes):
            def write(*args):
                if next(writes, None) is None:
                    raise KeyboardInterrupt
                return real(*args)

            return write

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", dying(real_write))
            patched.setattr(os, "pwrite", dying(real_pwrite))
            log = open_log(tmp_path)
            try:
                log.append(call(9), now=5)
            except KeyboardInterrupt:
                crashes += 1
        assert "audit-log-cut" in codes(goes_on(tmp_path))
    assert crashes > 3


def test_the_head_tells_what_is_on_the_disk(tmp_path):
    log = open_log(tmp_path)
    log.append(call(0), now=1)
    head = parse_head((tmp_path / HEAD_NAME).read_bytes())
    assert (head.newest.seq, head.mark.seq) == (1, 0)  # the first entry is brought there at once
    log.sync(1)
    head = parse_head((tmp_path / HEAD_NAME).read_bytes())
    assert (head.newest.seq, head.mark.seq) == (1, 1)
    assert (tmp_path / HEAD_NAME).stat().st_size == 2 * LINE_BYTES
    log.close()


def test_a_log_of_the_first_version_is_read_and_goes_on(tmp_path):
    """Made by the release before: one file, heads without a mark."""
    golden = Path(__file__).parent / "golden" / "version-1"
    for name in (LOG_NAME, HEAD_NAME):
        shutil.copy(golden / name, tmp_path / name)
    assert problem(tmp_path / LOG_NAME) is None
    assert goes_on(tmp_path).problem is None
    for name in (LOG_NAME, HEAD_NAME):
        shutil.copy(golden / name, tmp_path / name)
    cut_at(tmp_path, 2)
    assert codes(goes_on(tmp_path)) == ["audit-log-cut"]
