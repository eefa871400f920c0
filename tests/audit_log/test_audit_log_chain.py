"""The audit log on disk: it is added to by many, survives cuts, and shows every change."""

import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.adapters.files.secret_files import SecretFileInvalidError
from host.adapters.os.system import SystemEntropy
from host.domain.clock import SimClock
from host.domain.errors import StorageError
from host.domain.ids import Checksum, FlowId, HoldingIdentity
from host.domain.json import canonical_json
from host.domain.x500 import MemberX500Name
from host.nodes.audit_log import NodeAuditLogs, chain
from host.nodes.audit_log.node_log import HEAD_NAME, LOG_NAME, AuditLogDamagedError, NodeLog
from host.nodes.audit_log.service import load_audit_key
from host.nodes.audit_log.verification import (
    Anchor,
    AuditLogUnreadableError,
    read_entries,
    verify_log,
)
from host.ports.audit_log import PrivilegedCall
from tests.support.properties import examples

KEY = bytes(range(32))
ALICE = HoldingIdentity(x500_name=MemberX500Name.parse("O=Alice, L=London, C=GB"), group_id="g")
BOB = HoldingIdentity(x500_name=MemberX500Name.parse("O=Bob, L=London, C=GB"), group_id="g")


def call(number=0, flow="flow-1", outcome="ok", holding=ALICE, **others):
    return PrivilegedCall(
        **others,
        holding=holding,
        cpi=Checksum("SHA-256:" + "AB" * 32),
        flow_id=FlowId(flow),
        flow_class="iou.Issue",
        call=number,
        function="signing.sign",
        request_digest="SHA-256:" + "CD" * 32,
        outcome=outcome,
    )


def written(folder, count=5, holding=ALICE, key=KEY):
    """A log with `count` calls after its first entry."""
    log = NodeLog(folder, holding, key)
    for number in range(count):
        assert log.append(call(number, holding=holding), now=1000 + number)
    log.close()
    return folder / LOG_NAME


def lines(file):
    return file.read_bytes().splitlines(keepends=True)


def problem(file, **options):
    found = verify_log(file, **{"key": KEY, **options})
    return None if found.problem is None else (found.problem.seq, found.problem.code)


def test_a_log_that_nobody_touched_is_good(tmp_path):
    file = written(tmp_path)
    found = verify_log(file, key=KEY, node=ALICE.short_hash)
    assert (found.problem, found.entries, found.holding) == (None, 6, ALICE.short_hash)
    first, *calls = read_entries(file)
    assert (first["kind"], first["x500Name"]) == ("genesis", str(ALICE.x500_name))
    assert [(e["seq"], e["call"], e["function"], e["outcome"]) for e in calls] == [
        (n + 1, n, "signing.sign", "ok") for n in range(5)
    ]
    assert file.stat().st_mode & 0o077 == 0
    assert verify_log(file, key=None).problem is None


@pytest.mark.parametrize("name", ["at", "cpi", "flow", "call", "function", "request", "outcome"])
def test_a_changed_entry_is_named(tmp_path, name):
    file = written(tmp_path)
    entries = lines(file)
    entry = json.loads(entries[3])
    entry[name] = entry[name] + 1 if isinstance(entry[name], int) else "other"
    entries[3] = chain.line_of(entry)
    file.write_bytes(b"".join(entries))
    assert problem(file) == problem(file, key=None) == (3, "audit-hash-wrong")


def test_a_changed_entry_with_a_new_hash_breaks_the_chain_or_the_mac(tmp_path):
    file = written(tmp_path)
    entries = lines(file)
    entry = json.loads(entries[3])
    entry["outcome"] = "refused"
    entry["hash"] = chain.hash_of(entry)
    entries[3] = chain.line_of(entry)
    file.write_bytes(b"".join(entries))
    assert problem(file) == (3, "audit-mac-wrong")
    assert problem(file, key=None) == (4, "audit-chain-broken")


def test_a_log_made_anew_without_the_key_is_not_the_hosts(tmp_path):
    """Whoever can write the folder, but not read the key, cannot rewrite history."""
    file = written(tmp_path, key=b"guess" * 6)
    assert problem(file) == (0, "audit-mac-wrong")
    assert problem(file, key=None) is None


@pytest.mark.parametrize("index", range(6))
def test_a_deleted_entry_is_named(tmp_path, index):
    file = written(tmp_path)
    entries = lines(file)
    del entries[index]
    file.write_bytes(b"".join(entries))
    assert problem(file) == (
        (index, "audit-sequence-broken") if index < 5 else (5, "audit-log-truncated")
    )


def test_swapped_entries_are_named(tmp_path):
    file = written(tmp_path)
    entries = lines(file)
    entries[2], entries[3] = entries[3], entries[2]
    file.write_bytes(b"".join(entries))
    assert problem(file) == (2, "audit-sequence-broken")


def test_an_inserted_entry_is_named(tmp_path):
    file = written(tmp_path)
    entries = lines(file)
    entry = json.loads(entries[3])
    forged = chain.sealed(
        {"kind": "call", "at": 1}, seq=3, previous=entry["previous"], key=b"guess"
    )
    file.write_bytes(b"".join([*entries[:3], chain.line_of(forged), *entries[3:]]))
    assert problem(file) == (3, "audit-mac-wrong")
    assert problem(file, key=None) == (4, "audit-sequence-broken")


@pytest.mark.parametrize("kept", range(6))
def test_a_log_that_was_cut_at_its_end_is_noticed(tmp_path, kept):
    file = written(tmp_path)
    file.write_bytes(b"".join(lines(file)[:kept]))
    assert problem(file) == (kept, "audit-log-truncated")


def test_a_missing_a_foreign_and_a_forged_head_are_noticed(tmp_path):
    file = written(tmp_path / "a")
    head = file.with_name(HEAD_NAME)
    genuine = head.read_bytes()
    head.unlink()
    assert problem(file) == (6, "audit-head-missing")
    head.write_bytes(genuine.replace(b'"seq":5', b'"seq":3'))
    assert problem(file) == (6, "audit-head-forged")
    other = written(tmp_path / "b", count=3, holding=BOB)
    shutil.copy(other.with_name(HEAD_NAME), head)
    assert problem(file) == (6, "audit-head-differs")
    head.write_bytes(genuine)
    assert problem(file) is None


def test_another_nodes_log_is_not_taken(tmp_path):
    file = written(tmp_path, holding=BOB)
    assert problem(file) is None
    assert problem(file, node=ALICE.short_hash) == (0, "audit-holding-wrong")


def test_two_nodes_logs_cannot_be_mixed(tmp_path):
    alices, bobs = written(tmp_path / "a"), written(tmp_path / "b", holding=BOB)
    mixed = [*lines(alices)[:3], *lines(bobs)[3:]]
    alices.write_bytes(b"".join(mixed))
    assert problem(alices) == (3, "audit-chain-broken")


def test_an_anchor_finds_a_log_that_was_rolled_back_with_its_head(tmp_path):
    """Files that were both set back are consistent; only what somebody kept elsewhere tells."""
    file = written(tmp_path / "log", count=3)
    shutil.copytree(tmp_path / "log", tmp_path / "before")
    written(tmp_path / "log", count=0)
    log = NodeLog(tmp_path / "log", ALICE, KEY)
    log.append(call(9, "later"), now=5)
    log.close()
    anchor = verify_log(file, key=KEY).last
    assert anchor is not None
    assert problem(file, anchor=anchor) is None
    rolled_back = tmp_path / "before" / LOG_NAME
    assert problem(rolled_back) is None
    assert problem(rolled_back, anchor=anchor) == (4, "audit-log-truncated")
    assert problem(file, anchor=Anchor(seq=2, hash="0" * 64)) == (2, "audit-anchor-differs")


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii")),
        st.text(st.characters(codec="utf-8")) | st.integers(-(2**53) + 1, 2**53 - 1),
    )
)
def test_entries_are_in_the_one_canonical_form(entry):
    assert chain.canonical(entry) == canonical_json(entry)
    assert chain.parse_line(canonical_json(entry)) == entry


@pytest.mark.parametrize(
    "line", [b"", b"[]", b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1.0}', b'{"a":true}', b"\xff", b"{"]
)
def test_other_lines_are_no_entries(line):
    assert chain.parse_line(line) is None


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_no_changed_byte_goes_unnoticed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("log")
    file = written(folder, count=3)
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    assert problem(file) is not None


def test_a_repeated_call_stands_there_once(tmp_path):
    log = NodeLog(tmp_path, ALICE, KEY)
    assert [log.append(call(n), now=1) for n in (0, 3, 3, 0, 4)] == [True, True, False, False, True]
    assert log.append(call(4, outcome="key-not-found"), now=1)
    log.close()
    again = NodeLog(tmp_path, ALICE, KEY)
    assert not again.append(call(4, outcome="key-not-found"), now=1)
    assert again.append(call(5), now=1)
    again.close()
    assert problem(tmp_path / LOG_NAME) is None


def test_a_line_that_is_no_entry_stops_the_log(tmp_path):
    file = written(tmp_path)
    with file.open("ab") as stream:
        stream.write(b"{}\n")
    log = NodeLog(tmp_path, ALICE, KEY)
    with pytest.raises(AuditLogDamagedError, match="no entry"):
        log.append(call(9), now=1)


def test_a_log_that_shrinks_under_the_host_stops(tmp_path):
    file = written(tmp_path)
    log = NodeLog(tmp_path, ALICE, KEY)
    log.append(call(9), now=1)
    os.truncate(file, 10)
    with pytest.raises(AuditLogDamagedError, match="10 bytes"):
        log.append(call(10), now=1)


def test_only_the_tail_is_read_when_a_long_log_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("host.nodes.audit_log.node_log._TAIL_BYTES", 1500)
    file = written(tmp_path, count=50)
    log = NodeLog(tmp_path, ALICE, KEY)
    assert log.append(call(50), now=1)
    log.close()
    assert verify_log(file, key=KEY).entries == 52
    assert problem(file) is None


def _write_many(folder, flow, count):
    log = NodeLog(folder, ALICE, KEY)
    for number in range(count):
        log.append(call(number, flow), now=number)
    log.close()


def test_several_processes_add_to_one_chain(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_write_many, args=(tmp_path, f"flow-{n}", 200)) for n in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    found = verify_log(tmp_path / LOG_NAME, key=KEY)
    assert (found.problem, found.entries, found.recovered) == (None, 601, 0)


def test_logs_of_many_nodes_are_open_few_at_a_time(tmp_path):
    logs = NodeAuditLogs(tmp_path, key=KEY, clock=SimClock(), open_max=2)
    nodes = [
        replace(ALICE, x500_name=MemberX500Name.parse(f"O=N{n}, L=London, C=GB")) for n in range(5)
    ]
    for number in range(3):
        for node in nodes:
            logs.record(call(number, holding=node))
    logs.sync()
    links = [str(e.readlink()) for e in Path("/proc/self/fd").iterdir() if e.is_symlink()]
    assert sum(link.startswith(str(tmp_path)) and link.endswith(LOG_NAME) for link in links) == 2
    logs.close()
    for node in nodes:
        file = tmp_path / node.short_hash / LOG_NAME
        assert verify_log(file, key=KEY, node=node.short_hash).entries == 4
        assert problem(file) is None


def test_the_key_is_made_once_and_is_secret(tmp_path):
    key = load_audit_key(tmp_path, entropy=SystemEntropy(), logs=tmp_path, newest_act=None)
    assert len(key) == 32
    assert load_audit_key(tmp_path, entropy=SystemEntropy(), logs=tmp_path, newest_act=None) == key
    (tmp_path / "audit-key").chmod(0o644)
    with pytest.raises(SecretFileInvalidError, match="0600"):
        load_audit_key(tmp_path, entropy=SystemEntropy(), logs=tmp_path, newest_act=None)


def test_a_log_that_is_not_there_cannot_be_verified(tmp_path):
    with pytest.raises(AuditLogUnreadableError):
        verify_log(tmp_path / LOG_NAME, key=KEY)


def test_what_a_failing_disk_did_not_take_is_brought_to_it_again(tmp_path, monkeypatch):
    logs = NodeAuditLogs(tmp_path, key=KEY, clock=SimClock())
    for node in (ALICE, BOB):
        logs.record(call(holding=node))
    synced, real, failures = [], os.fdatasync, [OSError(5, "Input/output error")]

    def fdatasync(descriptor):
        if failures:
            raise failures.pop()
        real(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().parent.name)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with pytest.raises(StorageError, match="Input/output error"):
        logs.sync()
    assert set(synced) == {BOB.short_hash}  # one log's failure keeps no other from the disk
    logs.sync()
    assert set(synced) == {ALICE.short_hash, BOB.short_hash}
    logs.close()


def test_steps_within_a_call_come_before_it_and_each_is_recorded_once(tmp_path):
    log = NodeLog(tmp_path, ALICE, KEY)
    signed = [call(4, step=2), call(4, step=7), call(4, operation="finalize"), call(5, step=1)]
    for each in signed:
        assert log.append(each, now=1)
        assert not log.append(each, now=1)
    log.close()
    again = NodeLog(tmp_path, ALICE, KEY)
    for each in signed:
        assert not again.append(each, now=2)
    again.close()
    entries = [json.loads(line) for line in lines(tmp_path / LOG_NAME)]
    found = [(e["call"], e.get("step"), e.get("operation")) for e in entries if e["kind"] == "call"]
    assert found == [(4, 2, None), (4, 7, None), (4, None, "finalize"), (5, 1, None)]
    assert verify_log(tmp_path / LOG_NAME, key=KEY).problem is None
