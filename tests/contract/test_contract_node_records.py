"""What every flow store answers about all that is one node's."""

from dataclasses import replace

from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import NewRecord
from host.ports.glances import GlanceWrite
from host.ports.state import StateWrite
from host.ports.units import JournalRow, Unit
from tests.contract.conftest import placed

ALICE, BOB = ShortHash("AAAAAAAAAAAA"), ShortHash("BBBBBBBBBBBB")


def _of(node, account=Account.JOURNAL, peer=None):
    return Charge(node=node, account=account, peer=peer)


def _glance(node):
    return GlanceWrite(
        node=node,
        request_id="r",
        flow_id=FlowId("f"),
        flow_class="F",
        status="RUNNING",
        is_responder=True,
        is_final=False,
        at=EpochMs(7),
        origin=FlowId("o"),
    )


def test_the_states_of_a_node_come_in_pages_with_their_charges_and_glances(store):
    place = placed("flow", 3)
    for node in (ALICE, BOB):
        status = StateWrite(
            key=f"responder/{node}/r",
            value=b"x" * 9000,
            expected=0,
            due_at=EpochMs(5),
            place=place,
            charge=_of(node, Account.STATUS, BOB),
            glance=_glance(node),
        )
        flow = StateWrite(key=f"flow/{node}", value=b"v", expected=0, charge=_of(node))
        store.commit(Unit(states=(status, flow)))
    store.commit(Unit(states=(StateWrite(key="free", value=b"", expected=0),)))
    first, second = store.states_of_node(ALICE, "", 10)
    assert (first.state.key, first.state.value, first.charge) == ("flow/" + ALICE, b"v", _of(ALICE))
    assert (first.started_at, first.origin) == (None, None)
    assert second.state.value == b"x" * 9000
    assert (second.state.due_at, second.state.place.partition) == (5, 3)
    assert second.charge == _of(ALICE, Account.STATUS, BOB)
    assert (second.started_at, second.origin) == (7, "o")
    assert store.states_of_node(ALICE, "", 1) == [first]
    assert store.states_of_node(ALICE, first.state.key, 1) == [second]
    assert store.states_of_node(ALICE, second.state.key, 1) == []


def test_the_work_of_a_node_comes_in_the_order_of_positions(store):
    mine = NewRecord(topic="t", key="k", value=b"1", node=ALICE, peer=BOB)
    others = NewRecord(topic="t", key="k", value=b"2", node=BOB)
    store.commit(Unit(records=(mine, others, replace(mine, topic="u", value=b"3", peer=None))))
    first, second = store.work_of_node(ALICE, -1, 10)
    assert [(each.record.value, each.peer) for each in (first, second)] == [
        (b"1", BOB),
        (b"3", None),
    ]
    assert (second.record.queue.topic, second.record.key) == ("u", "k")
    assert store.work_of_node(ALICE, first.record.position, 10) == [second]


def test_the_journals_of_a_node_are_named_with_their_charges(store):
    for flow_id, charge in (
        ("b", _of(ALICE)),
        ("a", _of(ALICE, Account.HISTORY, BOB)),
        ("c", _of(BOB)),
    ):
        row = JournalRow(flow_id=FlowId(flow_id), number=0, value=b"1", charge=charge)
        store.commit(Unit(journal=(row,)))
    found = store.journals_of_node(ALICE, "", 10)
    assert [(each.flow_id, each.charge) for each in found] == [
        ("a", _of(ALICE, Account.HISTORY, BOB)),
        ("b", _of(ALICE)),
    ]
    assert store.journals_of_node(ALICE, "a", 10) == found[1:]


def test_the_log_records_of_a_node_come_oldest_first(store, clock):
    for number in range(3):
        clock.advance(1)
        mine = NewRecord(topic="ext.a", key="k", value=b"%d" % number, owner=ALICE)
        store.commit(Unit(records=(mine, replace(mine, owner=BOB, value=b"x"))))
    found = store.logs_of_node(ALICE, "ext.a", None, 2)
    assert [each.value for each in found] == [b"0", b"1"]
    assert [e.value for e in store.logs_of_node(ALICE, "ext.a", found[-1].place, 5)] == [b"2"]
    assert store.logs_of_node(ALICE, "ext.b", None, 2) == []
