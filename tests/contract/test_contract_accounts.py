"""Accounts of bytes: kept with every unit, for each node, and equal to what they count."""

import re
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import queue_of
from host.adapters.sqlite import unit_writer
from host.adapters.sqlite.store import SqliteStore
from host.domain.accounts import NOTHING, Account, Balance, Charge
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.core.messages import due_place
from host.ports.bus import NewRecord
from host.ports.state import StateConflictError, StateWrite
from host.ports.topics import Retention
from host.ports.units import FlowStore, JournalRow, Passed, Unit
from host.ports.work import Done
from tests.support.properties import examples

A, B = ShortHash("A" * 12), ShortHash("B" * 12)
FLOW = FlowId("f")
JOURNAL, HISTORY = Charge(node=A, account=Account.JOURNAL), Charge(node=A, account=Account.HISTORY)


def state(key: str, value: bytes | None, expected: int | None, **more: object) -> Unit:
    due = more.pop("due", None)
    place = None if due is None else due_place(key)
    return Unit(
        states=(
            StateWrite(key=key, value=value, expected=expected, due_at=due, place=place, **more),  # type: ignore[arg-type]
        )
    )


def test_states_count_with_key_and_value_until_they_are_deleted(store: FlowStore) -> None:
    charge = Charge(node=A, account=Account.STATUS, peer=B)
    store.commit(state("status/1", b"1234", 0, charge=charge))
    assert store.balance(A, Account.STATUS) == Balance(bytes=12, rows=1, lasting=1)
    assert store.shares(A, Account.STATUS) == {B: Balance(bytes=12, rows=1, lasting=1)}
    store.commit(state("status/1", b"1", 1, due=EpochMs(5)))
    assert store.balance(A, Account.STATUS) == Balance(bytes=9, rows=1)
    assert store.share(charge) == Balance(bytes=9, rows=1)
    assert store.whole_and_share(charge) == (store.balance(A, Account.STATUS), store.share(charge))
    assert [s.key for s in store.oldest(charge, 9)] == ["status/1"]
    assert not store.oldest(Charge(node=A, account=Account.STATUS), 9)
    assert store.balance(B, Account.STATUS) == NOTHING
    store.commit(state("status/1", None, 2))
    assert store.balance(A, Account.STATUS) == store.share(charge) == NOTHING
    assert not store.recount()


def test_what_is_refused_counts_for_nothing(store: FlowStore) -> None:
    charge = Charge(node=A, account=Account.STATUS)
    store.commit(state("s", b"1", 0, charge=charge))
    with pytest.raises(StateConflictError):
        store.commit(state("s", b"a" * 1000, 7, charge=charge))
    assert store.balance(A, Account.STATUS).bytes == 2
    assert not store.recount()


def test_a_state_that_nobody_changes_any_more_is_deleted_whatever_its_version(
    store: FlowStore,
) -> None:
    store.commit(state("s", b"1", 0, charge=Charge(node=A, account=Account.STATUS)))
    for _ in range(2):
        store.commit(state("s", None, None))
        assert store.get("s") is None
    assert store.balance(A, Account.STATUS) == NOTHING


@pytest.mark.parametrize("before", [0, 2])
def test_a_journal_is_passed_on_by_the_unit_that_appends_to_it(
    store: FlowStore, before: int
) -> None:
    """As the last step of a flow does: its journal becomes its history."""
    rows = tuple(
        JournalRow(flow_id=FLOW, number=n, value=b"x" * 10, charge=JOURNAL) for n in range(3)
    )
    if before:
        store.commit(Unit(journal=rows[:before]))
    store.commit(Unit(journal=rows[before:], passed=(Passed(flow_id=FLOW, charge=HISTORY),)))
    assert store.balance(A, Account.HISTORY) == Balance(bytes=30)
    assert store.balance(A, Account.JOURNAL) == NOTHING
    assert not store.recount()


def test_a_journal_is_borne_by_one_account_after_another(store: FlowStore) -> None:
    rows = tuple(
        JournalRow(flow_id=FLOW, number=n, value=b"x" * 10, charge=JOURNAL) for n in range(3)
    )
    store.commit(Unit(journal=rows[:2]))
    store.commit(Unit(journal=rows[2:]))
    assert store.balances(A) == {Account.JOURNAL: Balance(bytes=30)}
    store.commit(Unit(passed=(Passed(flow_id=FLOW, charge=HISTORY),)))
    assert store.balance(A, Account.HISTORY) == Balance(bytes=30)
    assert store.balance(A, Account.JOURNAL) == NOTHING
    assert not store.recount()
    store.commit(Unit(forget=(FLOW,)))
    assert store.balance(A, Account.HISTORY) == NOTHING
    assert not store.recount()


def test_waiting_work_counts_to_the_node_whose_work_it_is(store: FlowStore) -> None:
    record = NewRecord(topic="flow.event", key="key", value=b"12345", node=A, peer=B)
    store.commit(Unit(records=(record, record)))
    assert store.balance(A, Account.BUS) == Balance(bytes=16, rows=2)
    assert store.shares(A, Account.BUS) == {B: Balance(bytes=16, rows=2)}
    (first, second) = store.take(queue_of(record), 9).records
    store.commit(Unit(done=(Done(queue=queue_of(record), positions=(first.position,)),)))
    assert store.balance(A, Account.BUS) == Balance(bytes=8, rows=1)
    store.commit(Unit(done=(Done(queue=queue_of(record), positions=(second.position,)),)))
    assert store.balance(A, Account.BUS) == NOTHING
    assert not store.recount()


def test_records_of_a_log_count_until_they_expire(store: FlowStore) -> None:
    store.commit(Unit(records=(NewRecord(topic="ext.a", key="k", value=b"123", owner=A),)))
    store.commit(Unit(records=(NewRecord(topic="ext.a", key="k", value=b"123"),)))
    assert store.balance(A, Account.BUS) == Balance(bytes=4, rows=1)
    assert store.total(Account.BUS) == Balance(bytes=4, rows=1)
    store.expire("ext.a", Retention(bytes_max=0))
    assert store.balance(A, Account.BUS) == NOTHING
    assert not store.recount()


_CHARGES = st.sampled_from(
    [
        Charge(node=node, account=account, peer=peer)
        for node in (A, B)
        for account in (Account.STATUS, Account.JOURNAL)
        for peer in (None, A, B)
    ]
)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["state", "delete", "journal", "pass", "forget", "work", "done"]),
        st.sampled_from("xyz"),
        st.binary(max_size=20),
        st.none() | _CHARGES,
        st.booleans(),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=examples(40))
@given(_STEPS)
def test_accounts_are_the_sums_of_what_they_count_and_both_stores_agree(steps: list) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as folder:
        memory, durable = MemoryStore(), SqliteStore(Path(folder) / "flows.sqlite")
        for number, step in enumerate(steps):
            for store in (memory, durable):
                _apply(store, number, *step)
            assert not memory.recount()
            assert not durable.recount()
        for node in (A, B):
            for account in Account:
                assert memory.balance(node, account) == durable.balance(node, account)
                ours = {p: b for p, b in memory.shares(node, account).items() if b != NOTHING}
                theirs = {p: b for p, b in durable.shares(node, account).items() if b != NOTHING}
                assert ours == theirs
        durable.close()


def _apply(
    store: FlowStore,
    number: int,
    kind: str,
    name: str,
    value: bytes,
    charge: Charge | None,
    due: bool,
) -> None:
    before = store.get(name)
    version = before.version if before else 0
    flow = FlowId(name)
    when = EpochMs(number) if due else None
    record = NewRecord(topic="flow.event", key=name, value=value, node=A, peer=B if due else None)
    match kind:
        case "state":
            store.commit(state(name, value, version, charge=charge, due=when))
        case "delete":
            store.commit(state(name, None, version))
        case "journal":
            length = len(store.journal(flow))
            row = JournalRow(flow_id=flow, number=length, value=value, charge=charge)
            store.commit(Unit(journal=(row,)))
        case "pass":
            store.commit(Unit(passed=(Passed(flow_id=flow, charge=charge or HISTORY),)))
        case "forget":
            store.commit(Unit(forget=(flow,)))
        case "work":
            store.commit(Unit(records=(record,)))
        case _:
            waiting = store.take(queue_of(record), 9).records
            done = tuple(r.position for r in waiting)
            store.commit(Unit(done=(Done(queue=queue_of(record), positions=done),) if done else ()))


def test_a_wrong_account_is_found_and_set_right(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    store = SqliteStore(path)
    store.commit(state("s", b"1", 0, charge=Charge(node=A, account=Account.STATUS, peer=B)))
    store.commit(Unit(journal=(JournalRow(flow_id=FLOW, number=0, value=b"12", charge=JOURNAL),)))
    other = sqlite3.connect(path)
    other.execute("UPDATE accounts SET bytes = 99 WHERE node = ?", (A,))
    other.execute("UPDATE journals SET bytes = 98")
    other.commit()
    other.close()
    found = store.recount(repair=True)
    assert [(d.account, d.peer, d.counted.bytes) for d in found] == [
        (Account.JOURNAL, None, 2),
        (Account.STATUS, None, 2),
        (Account.STATUS, B, 2),
    ]
    assert not store.recount()
    store.commit(Unit(forget=(FLOW,)))
    assert store.balance(A, Account.JOURNAL) == NOTHING
    store.close()


def test_nobody_but_the_writer_of_units_changes_what_it_counts() -> None:
    """Else an account would not know of it: no trigger counts these tables."""
    changes = re.compile(
        r"(?:INSERT(?: OR \w+)? INTO|REPLACE INTO|UPDATE(?: OR \w+)?|DELETE FROM)"
        r" (?:work|states|journals)\b(?! SET bytes = coalesce)"
    )
    folder = Path(unit_writer.__file__).parent
    found = {path.name for path in folder.parent.rglob("*.py") if changes.search(path.read_text())}
    # What forgets journals is a part of the writer.
    assert found == {"unit_writer.py", "journals.py"}
