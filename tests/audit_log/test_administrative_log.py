"""The administrative log: one chain in the registers, bounded, and honest about what is missing."""

import asyncio
import json
import multiprocessing
import sqlite3
import threading
from contextlib import contextmanager

import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.access import RBAC_SCHEMA
from host.adapters.sqlite.database import Database
from host.database.revision_cache import RevisionCache
from host.domain.clock import SimClock
from host.domain.errors import DiskFullError, NotFoundError
from host.nodes.audit_log.administrative import (
    SCHEMA,
    Act,
    ActNotRecordedError,
    ActQuery,
    AdministrativeLog,
    AdministrativeRegister,
    Outcome,
    Refusal,
    Retention,
    acts,
)
from host.nodes.audit_log.administrative import log as log_module
from host.nodes.audit_log.administrative.floods import FIRST_PER_MINUTE_MAX
from host.nodes.audit_log.administrative.verification import verify_administrative_log
from host.ports.live import Fixed
from host.runtime.wiring.offline_acts import offline_act
from tests.support.statements import watched

KEY = bytes(range(32))
EVERYTHING = ActQuery()


def act(user="alice", path="/api/v5_2/virtualnode", method="POST", **more):
    known = {
        "source": "rest",
        "address": "192.0.2.1",
        "request_id": "r-1",
        "operation": path,
        "parameters": {"x500Name": "O=Alice, L=London, C=GB"},
    }
    return Act(user=user, path=path, method=method, **{**known, **more})


DONE = Outcome(status=202, code="ok", result={"requestId": "7"})


@pytest.fixture
def clock():
    return SimClock()


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "cluster.sqlite", (SCHEMA, RBAC_SCHEMA)) as database:
        yield database


@pytest.fixture
def register(database, clock):
    return AdministrativeRegister(database, key=KEY, clock=clock)


@contextmanager
def writing(register, clock):
    log = AdministrativeLog(register, clock)
    log.start()
    try:
        yield log
    finally:
        log.close()


def record(log, one, ended=DONE):
    perform(log, one, ended)
    log.settle()


def perform(log, one, ended=DONE):
    async def whole():
        log.end(one, await log.begin(one), ended)

    asyncio.run(whole())


def verified(register, **options):
    return verify_administrative_log(register, **{"key": KEY, **options})


def problem(register, **options):
    found = verified(register, **options).problem
    return None if found is None else (found.seq, found.code)


def kinds(register):
    with register.reading() as reading:
        return [json.loads(text)["kind"] for _, text in reading.entries()]


def filled(register, count=5):
    for number in range(count):
        (begun,) = register.append((acts.intent(act(f"user-{number}"), at=number),))
        register.append((acts.outcome(begun, DONE, at=number),))


def test_an_act_has_an_intent_before_and_an_outcome_after(register, clock):
    with writing(register, clock) as log:

        async def whole():
            number = await log.begin(act())
            assert kinds(register) == ["genesis", "intent"]
            (running,) = log.page(EVERYTHING, before=None, limit=9)
            assert (running.status, running.ended_at) == (None, None)
            clock.advance(50)
            log.end(act(), number, DONE)

        asyncio.run(whole())
        log.settle()
        assert kinds(register) == ["genesis", "intent", "outcome"]
        (ended,) = log.page(EVERYTHING, before=None, limit=9)
    assert ended.act == act()
    assert (ended.status, ended.code, ended.result) == (202, "ok", {"requestId": "7"})
    assert ended.ended_at - ended.at == 50
    assert problem(register) is None


def test_an_intent_that_cannot_be_written_is_refused_and_its_act_must_not_begin(
    register, clock, monkeypatch
):
    with writing(register, clock) as log:

        def full(*_args, **_options):
            raise DiskFullError("/srv/data/cluster.sqlite: the disk is full", path="/srv/data")

        with monkeypatch.context() as patched:
            patched.setattr(register, "append", full)
            with pytest.raises(ActNotRecordedError) as refused:
                asyncio.run(log.begin(act()))
        assert "/srv" not in refused.value.public_message
        record(log, act())
    assert kinds(register) == ["genesis", "intent", "outcome"]


def test_an_outcome_that_cannot_be_written_is_written_later_and_the_answer_goes_out(
    register, clock, monkeypatch
):
    with writing(register, clock) as log:
        number = asyncio.run(log.begin(act()))
        append = register.append
        failures = [DiskFullError("full", path="/")]

        def once(*args):
            if failures:
                raise failures.pop()
            return append(*args)

        monkeypatch.setattr(register, "append", once)
        log.end(act(), number, DONE)
        log.settle()
        record(log, act("bob"))
    assert sorted(kinds(register)) == ["genesis", "intent", "intent", "outcome", "outcome"]
    assert verified(register).unfinished == ()


def test_an_outcome_shares_the_commit_of_the_next_intent(register, clock, monkeypatch):
    """Nobody waits for an outcome: acts one after the other cost one commit each, not two."""
    append, commits = register.append, []

    def counted(contents, counts=None):
        commits.append([content["kind"] for content in contents])
        return append(contents, counts)

    monkeypatch.setattr(register, "append", counted)
    monkeypatch.setattr(log_module, "_GATHER_SECONDS", 60.0)
    with writing(register, clock) as log:
        for number in range(5):
            perform(log, act(request_id=f"r-{number}"))
        assert commits == [[acts.INTENT], *[[acts.OUTCOME, acts.INTENT]] * 4]
        assert [view.status for view in log.page(EVERYTHING, before=None, limit=9)] == [202] * 5
    assert commits[5:] == [[acts.OUTCOME]]


def test_an_act_in_which_the_host_died_is_unfinished(register):
    register.append((acts.intent(act(), at=1),))
    found = verified(register)
    assert (found.problem, found.unfinished) == (None, (1,))


def test_acts_at_once_share_commits_and_get_numbers_of_their_own(register, clock, monkeypatch):
    commits = []
    append = register.append
    first = threading.Event()

    def slow(contents, counts=None):
        commits.append(len(contents))
        first.wait(10)
        return append(contents, counts)

    monkeypatch.setattr(register, "append", slow)
    with writing(register, clock) as log:

        async def many():
            begun = [asyncio.ensure_future(log.begin(act(f"u{n}"))) for n in range(50)]
            await asyncio.sleep(0)
            first.set()
            return await asyncio.gather(*begun)

        numbers = asyncio.run(many())
    assert len(set(numbers)) == 50
    assert sum(commits) == 50
    assert len(commits) < 10
    assert problem(register) is None


@pytest.mark.parametrize("column", ["entry", "hash", "seq"])
def test_a_changed_row_is_named(register, database, tmp_path, column):
    filled(register)
    new = {"entry": "replace(entry, 'user-1', 'user-7')", "seq": "seq + 100", "hash": "hash"}[
        column
    ]
    with sqlite3.connect(tmp_path / "cluster.sqlite") as raw:
        raw.execute(f"UPDATE administrative_log SET {column} = {new} WHERE seq = 3")
    raw.close()
    expected = {
        "entry": (3, "administrative-entry-changed"),
        "seq": (3, "administrative-entry-missing"),
        "hash": None,
    }[column]
    assert problem(register) == expected


@pytest.mark.parametrize("which", ["seq = 2", "seq > 6", "seq < 3", "seq IN (4, 5)"])
def test_deleted_rows_are_noticed_and_told_of_when_the_log_goes_on(
    register, database, clock, tmp_path, which
):
    filled(register)
    with sqlite3.connect(tmp_path / "cluster.sqlite") as raw:
        raw.execute(f"DELETE FROM administrative_log WHERE {which}")
    raw.close()
    assert problem(register) is not None
    again = AdministrativeRegister(database, key=KEY, clock=clock)
    filled(again, 1)
    seq, code = problem(again)
    if which == "seq > 6":
        assert (seq, code) == (7, "administrative-log-cut")
        assert kinds(again).count("recovery") == 1
    else:
        assert code == "administrative-entry-missing"


def test_a_log_that_was_emptied_with_its_head_forged_is_noticed(
    register, database, clock, tmp_path
):
    filled(register)
    with sqlite3.connect(tmp_path / "cluster.sqlite") as raw:
        raw.execute("DELETE FROM administrative_log")
        raw.execute(
            "UPDATE administrative_head SET line = replace(line, '\"seq\":10', '\"seq\":-1')"
        )
    raw.close()
    filled(AdministrativeRegister(database, key=KEY, clock=clock), 1)
    assert problem(register) == (1, "administrative-log-cut")


def test_entries_of_another_key_are_not_the_hosts(register, database, clock):
    filled(register, 1)
    other = AdministrativeRegister(database, key=b"guess", clock=clock)
    filled(other, 1)
    assert problem(register)[1] == "administrative-mac-wrong"
    assert problem(register, key=None)[1] == "administrative-log-cut"


def test_an_anchor_finds_what_was_set_back(register):
    filled(register, 2)
    last = verified(register).last
    filled(register, 1)
    assert problem(register, anchor=last) is None
    assert problem(register, anchor=(99, "0" * 64))[1] == "administrative-anchor-differs"
    assert problem(register, anchor=(2, "0" * 64))[1] == "administrative-anchor-differs"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.booleans(), min_size=5, max_size=60), st.integers(2, 20), st.integers(2, 20))
def test_whatever_is_deleted_the_chain_is_kept(tmp_path_factory, flows, most, flows_most):
    """Acts on flows go earlier than others; gaps in gaps are followed; the rest is what is newest."""
    folder, clock = tmp_path_factory.mktemp("log"), SimClock()
    with Database.open(folder / "cluster.sqlite", (SCHEMA,)) as database:
        kept = Retention(entries_max=most, flow_entries_max=flows_most)
        register = AdministrativeRegister(database, key=KEY, clock=clock, retention=Fixed(kept))
        for number, is_flow in enumerate(flows):
            one = act(f"u{number}", is_flow=is_flow)
            (begun,) = register.append((acts.intent(one, at=number),))
            register.append((acts.outcome(begun, DONE, at=number),))
            if number % 7 == 0:
                register.prune()
                assert problem(register) is None
        last = verified(register).last
        for _ in range(3):
            register.prune()
            assert problem(register, anchor=last) is None
        found = verified(register)
        assert found.problem is None
        with database.read() as connection:
            rows = dict(
                connection.exec_driver_sql(
                    "SELECT is_flow, count(*) FROM administrative_log GROUP BY is_flow"
                ).all()
            )
        assert rows.get(1, 0) <= flows_most + 8
        assert rows.get(0, 0) <= most + 8
        assert found.entries + found.pruned == found.last[0] + 1


def test_deleting_without_a_word_is_not_pruning(register, database, clock, tmp_path):
    kept = Retention(entries_max=4, flow_entries_max=4)
    small = AdministrativeRegister(database, key=KEY, clock=clock, retention=Fixed(kept))
    filled(small, 20)
    small.prune()
    assert problem(small) is None
    with sqlite3.connect(tmp_path / "cluster.sqlite") as raw:
        (first,) = raw.execute("SELECT min(seq) FROM administrative_log").fetchone()
        raw.execute("DELETE FROM administrative_log WHERE seq = ?", (first,))
    raw.close()
    assert problem(small)[1] == "administrative-entry-missing"


def refusal(user="mallory", address="192.0.2.9", path="/api/v5_2/virtualnode"):
    return Refusal(act=act(user, path, address=address), status=401, code="not-authenticated")


def test_equal_refusals_are_one_entry_and_a_count(register, clock):
    with writing(register, clock) as log:
        for _ in range(1_000):
            log.refused(refusal())
        log.settle()
        clock.advance(61_000)
        log.refused(refusal(path="/api/v5_2/cpi"))
        record(log, act())
    assert kinds(register).count("refusal") == 2
    found = register.page(ActQuery(user="mallory"), before=None, limit=9)
    assert sorted(each.count for each in found) == [1, 1_000]
    assert all((each.is_refusal, each.status) == (True, 401) for each in found)
    assert problem(register) is None


def test_strangers_cannot_fill_the_log_however_they_vary(register, clock):
    with writing(register, clock) as log:
        for number in range(3_000):
            log.refused(refusal(f"stranger-{number}", f"2001:db8::{number:x}"))
    found = kinds(register)
    assert found.count("refusal") == FIRST_PER_MINUTE_MAX + 1
    assert len(found) <= FIRST_PER_MINUTE_MAX + 4
    total = sum(v.count for v in register.page(EVERYTHING, before=None, limit=999))
    assert total == 3_000
    assert problem(register) is None


def test_refusals_behind_an_entry_of_the_last_commit_are_told_at_the_end(
    register, clock, monkeypatch
):
    """While one entry is written others are counted behind the next, and the log is closed."""
    append, entered, go = register.append, threading.Event(), threading.Event()

    def slowly(*args):
        entered.set()
        assert go.wait(30)
        return append(*args)

    monkeypatch.setattr(register, "append", slowly)
    log = AdministrativeLog(register, clock)
    log.start()
    log.refused(refusal())
    assert entered.wait(30)
    for _ in range(5):
        log.refused(refusal("another"))
    closing = threading.Thread(target=log.close)
    closing.start()
    while not log._is_stopping:
        threading.Event().wait(0.001)
    go.set()
    closing.join()
    found = register.page(EVERYTHING, before=None, limit=9)
    assert [each.count for each in found] == [5, 1]


def test_a_new_minute_has_room_for_new_refusals(register, clock):
    with writing(register, clock) as log:
        for minute in range(3):
            for number in range(60):
                log.refused(refusal(f"stranger-{number}"))
            log.settle()
            clock.advance(61_000)
            assert kinds(register).count("refusal") == 60 * (minute + 1)


def test_counts_of_a_process_that_died_are_told_by_the_next(register, database, clock):
    log = AdministrativeLog(register, clock)
    log.start()
    for _ in range(10):
        log.refused(refusal())
    log.settle()
    while not register.counts():  # kept beside the log within a second
        threading.Event().wait(0.01)
    # The process dies here: nothing of it is closed.
    with writing(AdministrativeRegister(database, key=KEY, clock=clock), clock):
        pass
    (found,) = register.page(EVERYTHING, before=None, limit=9)
    assert found.count == 10
    assert register.counts() == []
    log._is_stopping = True
    log._floods.clear()
    log.close()


def test_acts_are_filtered_and_paged_newest_first(register, clock):
    with writing(register, clock) as log:
        for number in range(10):
            clock.advance(1_000)
            path = "/api/v5_2/cpi" if number % 2 else "/api/v5_2/user/selfpassword"
            record(log, act(f"user-{number % 3}", path))
    all_of = register.page(EVERYTHING, before=None, limit=99)
    assert [v.at for v in all_of] == sorted((v.at for v in all_of), reverse=True)
    pages, before = [], None
    while page := register.page(EVERYTHING, before=before, limit=3):
        pages += page
        before = page[-1].seq
    assert pages == all_of
    assert {v.act.user for v in register.page(ActQuery(user="user-1"), before=None, limit=99)} == {
        "user-1"
    }
    assert len(register.page(ActQuery(resource="selfpassword"), before=None, limit=99)) == 5
    start = all_of[-1].at
    some = register.page(ActQuery(since=start + 2_000, until=start + 5_000), before=None, limit=99)
    assert [v.at - start for v in some] == [4_000, 3_000, 2_000]


def test_nothing_that_is_remembered_is_forgotten_because_of_it(register, database):
    """The log does not change the registers' revision: rows in memory stay."""
    reads = []
    remembered = RevisionCache(database, lambda key: reads.append(key) or key)
    remembered.get("node")
    filled(register, 3)
    register.prune()
    remembered.get("node")
    assert reads == ["node"]
    users = RBAC_SCHEMA.metadata.tables["rest_user"]
    database.transact(lambda connection: connection.execute(users.delete()))
    remembered.get("node")
    assert reads == ["node", "node"]


def test_values_that_are_long_or_odd_are_cut_not_refused(register, clock):
    hostile = act(
        "u" * 5_000,
        "/" + "x" * 5_000,
        parameters={"long": "y" * 50_000, "half": "\ud800"},
    )
    with writing(register, clock) as log:
        record(log, hostile)
        record(log, act(parameters={"f": 1e400}))
    first, second = register.page(EVERYTHING, before=None, limit=9)[::-1]
    assert len(first.act.user) == 255
    assert len(first.act.path) == 2_048
    assert first.act.parameters == {"omitted": ["half", "long"]}
    assert second.act.parameters == {"omitted": ["f"]}
    assert problem(register) is None


def _fill(folder, user):
    with Database.open(folder / "cluster.sqlite", (SCHEMA,)) as database:
        register = AdministrativeRegister(database, key=KEY, clock=SimClock())
        for _ in range(40):
            (begun,) = register.append((acts.intent(act(user), at=1),))
            register.append((acts.outcome(begun, DONE, at=1),))


@pytest.mark.crash
def test_several_processes_add_to_one_chain(register, tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(tmp_path, f"u{n}")) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    found = verified(register)
    assert (found.problem, found.entries) == (None, 161)


def test_a_command_on_a_data_directory_leaves_a_pair(tmp_path, register):
    with offline_act(tmp_path, "user reset-password", parameters={"loginName": "admin"}):
        assert kinds(register) == ["genesis", "intent"]
    with (
        pytest.raises(NotFoundError),
        offline_act(tmp_path, "user reset-password", parameters={"loginName": "nobody"}),
    ):
        raise NotFoundError("nobody", kind="user", named="nobody")
    with pytest.raises(ZeroDivisionError), offline_act(tmp_path, "host restore"):
        1 / 0  # noqa: B018
    views = register.page(EVERYTHING, before=None, limit=9)[::-1]
    assert [(v.act.source, v.act.method, v.act.path, v.status, v.code) for v in views] == [
        ("cli", "CLI", "user reset-password", 0, "ok"),
        ("cli", "CLI", "user reset-password", 1, "not-found"),
        ("cli", "CLI", "host restore", 1, "failed"),
    ]
    assert views[0].act.parameters == {"loginName": "admin"}
    key = (tmp_path / "secrets" / "audit-key").read_bytes()
    assert problem(register, key=key) is None


def test_a_command_that_cannot_be_told_of_is_not_done(tmp_path):
    (tmp_path / "cluster.sqlite").mkdir()
    with pytest.raises(ActNotRecordedError), offline_act(tmp_path, "user reset-password"):
        pytest.fail("it was done")


@pytest.mark.parametrize("is_flow", [True, False])
def test_an_act_costs_few_statements(register, database, clock, is_flow):
    """The outcome of an act and the intent of the next one: three statements in one commit."""
    filled(register, 1)
    (begun,) = register.append((acts.intent(act(is_flow=is_flow), at=1),))
    found = []
    outcome, intent = acts.outcome(begun, DONE, at=2), acts.intent(act(is_flow=is_flow), at=2)
    with watched(database, lambda statement, _: found.append(statement)):
        numbers = register.append((outcome, intent))
    assert len([each for each in found if not each.startswith(("PRAGMA", "BEGIN", "COMMIT"))]) == 3
    later = AdministrativeRegister(database, key=KEY, clock=clock)
    later.append((acts.outcome(numbers[1], DONE, at=3),))  # of an act of an ended process
    with database.read() as connection:
        rows = connection.execute(sql.text("SELECT is_flow FROM administrative_log WHERE seq >= 3"))
        assert {bool(row.is_flow) for row in rows} == {is_flow}
    assert problem(register) is None
