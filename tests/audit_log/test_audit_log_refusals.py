"""Equal refusals in a row are one entry and a count: exact, and bounded in entries and bytes."""

import multiprocessing
import os
import signal
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.domain.clock import SimClock
from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.log_files import used_bytes
from host.nodes.audit_log.node_log import LOG_NAME, NodeLog
from host.nodes.audit_log.refusals import BEGUN_PER_MINUTE_MAX, PAGE_BYTES, RUNS_MAX
from host.nodes.audit_log.segments import REPEATS_NAME
from host.nodes.audit_log.verification import read_entries, verify_log
from host.ports.live import Fixed
from tests.audit_log.test_audit_log_chain import ALICE, KEY, call, problem
from tests.audit_log.test_audit_log_flows import Audited
from tests.flow.scripted import CallFailed, Guest

REFUSED = "key-not-found"


def entries(folder, kind):
    return [e for e in read_entries(folder / LOG_NAME) if e["kind"] == kind]


def told(folder):
    """How many refusals the log tells of."""
    first = [e for e in entries(folder, "call") if e["outcome"] != "ok"]
    return len(first) + sum(e["count"] for e in entries(folder, "repeats"))


def finish(log, now=10**9):
    log.sync(now, all_counts=True)
    log.close()


def test_9900_refusals_take_two_entries(tmp_path):
    log = NodeLog(tmp_path, ALICE, KEY)
    for number in range(9_900):
        assert log.append(call(number, outcome=REFUSED), now=1_000 + number // 10)
    assert used_bytes(tmp_path) < 2_000
    finish(log)
    (first,), (others,) = entries(tmp_path, "call"), entries(tmp_path, "repeats")
    assert (first["call"], first["outcome"]) == (0, REFUSED)
    assert {
        k: others[k] for k in ("of", "count", "firstCall", "lastCall", "firstAt", "lastAt")
    } == {
        "of": first["seq"],
        "count": 9_899,
        "firstCall": 1,
        "lastCall": 9_899,
        "firstAt": 1_000,
        "lastAt": 1_989,
    }
    assert problem(tmp_path / LOG_NAME) is None
    assert used_bytes(tmp_path) < 3_000


def test_successes_stand_each_for_itself_and_do_not_end_the_count(tmp_path):
    log = NodeLog(tmp_path, ALICE, KEY)
    for number in range(40):
        log.append(call(number, outcome="ok" if number % 2 else REFUSED), now=1)
    finish(log)
    good = [e["call"] for e in entries(tmp_path, "call") if e["outcome"] == "ok"]
    assert good == list(range(1, 40, 2))
    assert told(tmp_path) == 20
    assert len(entries(tmp_path, "repeats")) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(["ok", "a", "b"]), st.integers(0, 70_000)),
        max_size=40,
    ),
    st.sets(st.integers(0, 40)),
)
def test_whatever_comes_every_refusal_is_told_of_once(tmp_path_factory, calls, reopened):
    """Of many flows, with any times in between, by processes that end without a word."""
    folder = tmp_path_factory.mktemp("log")
    log, now, numbers = NodeLog(folder, ALICE, KEY), 1_000, {}
    for place, (flow, outcome, passed) in enumerate(calls):
        now += passed
        numbers[flow] = numbers.get(flow, -1) + 1
        assert log.append(call(numbers[flow], f"f{flow}", outcome), now=now)
        assert not log.append(call(numbers[flow], f"f{flow}", outcome), now=now) or outcome != "ok"
        if place in reopened:
            log = NodeLog(folder, ALICE, KEY)
        log.sync(now)
    finish(log)
    assert problem(folder / LOG_NAME) is None
    assert told(folder) == sum(outcome != "ok" for _, outcome, _ in calls)


@pytest.mark.parametrize("kinds", [3, RUNS_MAX + 5, 5_000])
def test_a_minute_of_refusals_takes_a_bounded_number_of_entries(tmp_path, kinds):
    """However they are mixed: by flow, function, outcome."""
    log = NodeLog(tmp_path, ALICE, KEY)
    for number in range(5_000):
        log.append(call(number, f"f{number % kinds}", REFUSED), now=1_000 + number)
    log.sync(62_000)
    finish(log)
    assert len(list(read_entries(tmp_path / LOG_NAME))) <= 2 * BEGUN_PER_MINUTE_MAX + RUNS_MAX + 3
    assert told(tmp_path) == 5_000
    assert problem(tmp_path / LOG_NAME) is None
    assert (tmp_path / REPEATS_NAME).stat().st_size <= PAGE_BYTES


def test_a_count_is_told_after_a_minute(tmp_path):
    log = NodeLog(tmp_path, ALICE, KEY)
    for number in range(3):
        log.append(call(number, outcome=REFUSED), now=1_000)
    log.sync(60_000)
    assert told(tmp_path) == 1
    log.sync(61_000)
    assert told(tmp_path) == 3
    log.append(call(3, outcome=REFUSED), now=62_000)
    assert len(entries(tmp_path, "call")) == 1
    finish(log)
    assert [(e["of"], e["count"]) for e in entries(tmp_path, "repeats")] == [(1, 2), (1, 1)]


def test_a_repeated_refusal_counts_once(tmp_path):
    log = NodeLog(tmp_path, ALICE, KEY)
    given = [0, 1, 2, 2, 1, 3]
    assert [log.append(call(n, outcome=REFUSED), now=1) for n in given] == [
        True, True, True, False, False, True,
    ]  # fmt: skip
    again = NodeLog(tmp_path, ALICE, KEY)
    assert not again.append(call(3, outcome=REFUSED), now=1)
    finish(log)
    later = NodeLog(tmp_path, ALICE, KEY)
    assert not later.append(call(2, outcome=REFUSED), now=1)
    assert told(tmp_path) == 4


def _refuse_until_killed(folder, ready):
    log = NodeLog(folder, ALICE, KEY)
    for number in range(500):
        log.append(call(number, outcome=REFUSED), now=1)
    ready.set()
    signal.pause()


@pytest.mark.crash
def test_a_killed_process_loses_no_count(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_refuse_until_killed, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert verify_log(tmp_path / LOG_NAME, key=KEY).counted == 499
    log = NodeLog(tmp_path, ALICE, KEY)
    log.append(call(0, "other"), now=2)
    finish(log)
    assert told(tmp_path) == 500


@pytest.mark.parametrize("last", range(8))
def test_a_crash_between_the_entry_and_its_count_tells_no_refusal_twice(
    tmp_path, monkeypatch, last
):
    log = NodeLog(tmp_path, ALICE, KEY)
    for number in range(5):
        log.append(call(number, outcome=REFUSED), now=1)
    writes = iter(range(last))
    real = os.pwrite

    def pwrite(*args):
        if next(writes, None) is None:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with suppress(KeyboardInterrupt):
        log.sync(70_000)
    monkeypatch.undo()
    again = NodeLog(tmp_path, ALICE, KEY)
    again.append(call(5, outcome=REFUSED), now=70_001)
    finish(again)
    assert told(tmp_path) == 6
    assert problem(tmp_path / LOG_NAME) is None


def test_forged_counts_are_noticed_and_not_believed(tmp_path, capsys):
    log = NodeLog(tmp_path, ALICE, KEY)
    for number in range(3):
        log.append(call(number, outcome=REFUSED), now=1)
    file = tmp_path / REPEATS_NAME
    file.write_bytes(file.read_bytes().replace(b'"count":2', b'"count":0'))
    assert problem(tmp_path / LOG_NAME) == (2, "audit-counts-forged")
    log.append(call(3, outcome=REFUSED), now=1)
    assert "audit-log-counts-forged" in capsys.readouterr().out
    finish(log)
    assert len(entries(tmp_path, "call")) == 2


def test_a_full_log_refuses_privileged_calls_and_grows_no_more(tmp_path):
    outcomes = []

    def flow(guest: Guest) -> str:
        for number in range(300):
            try:
                guest.call("persistence", "write", number=number)
                outcomes.append("ok")
            except CallFailed as refused:
                outcomes.append(refused.code)
        return "done"

    audited = Audited(tmp_path, flow)
    audited.logs._bytes_max_of = lambda _: 10_000
    audited.network.run()
    good = outcomes.index("quota-exceeded")
    assert set(outcomes[:good]) == {"ok"}
    assert set(outcomes[good:]) == {"quota-exceeded"}
    assert len(audited.network.notes.rows) == good
    assert audited.logs.used_bytes(audited.file.parent.name) < 10_000 + 2_000
    audited.logs.close()
    assert told(audited.file.parent) == 300 - good
    assert verify_log(audited.file, key=bytes(32)).problem is None


def test_bytes_of_all_parts_count(tmp_path):
    logs = NodeAuditLogs(tmp_path, key=KEY, clock=SimClock(), segment_bytes=Fixed(3_000))
    for number in range(30):
        logs.record(call(number))
    node = ALICE.short_hash
    sizes = [path.stat().st_size for path in (tmp_path / node).glob("audit*.log")]
    assert len(sizes) > 3
    assert logs.used_bytes(node) == sum(sizes)
    assert logs.used_bytes("0" * 12) == 0
    assert logs.has_room(node)
    logs.close()
    bounded = NodeAuditLogs(tmp_path, key=KEY, clock=SimClock(), bytes_max_of=lambda _: sum(sizes))
    assert not bounded.has_room(node)
    assert bounded.has_room("0" * 12)
