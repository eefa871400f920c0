"""The flows of a node, taken out of one flow store and put into another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.adapters.memory.store import MemoryStore
from host.domain.accounts import Account, Charge
from host.domain.clock import SimClock
from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, FlowId, HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.flow.core.aside import Aside, WorkKey
from host.flow.core.checkpoint import Checkpoint, Scope
from host.flow.core.mapper import MapperState, encode_state
from host.flow.core.messages import (
    EVENT_TOPIC,
    P2P_OUT_TOPIC,
    Close,
    Party,
    SessionMessage,
    Wake,
    due_place,
    encode,
)
from host.flow.core.node_items import (
    Clock,
    Journal,
    Log,
    State,
    Work,
    decode_item,
    encode_item,
)
from host.flow.core.shift import SHIFT_KEY, SharedShift, encode_shift
from host.flow.core.statuses import StoredStatus, write_status
from host.flow.core.timer_state import TimerState, timer_key
from host.flow.records.node_flows import NodeFlows
from host.network.location.ends import ends_of
from host.network.values.pair import pair_of
from host.ports.bus import NewRecord, Placement
from host.ports.glances import GlanceQuery
from host.ports.node_contents import NodeItemInvalidError
from host.ports.state import StateWrite
from host.ports.units import JournalRow, Unit
from host.ports.work import Done

ALICE, BOB = (
    HoldingIdentity(x500_name=MemberX500Name.parse(f"O={name}, L=London, C=GB"), group_id="g")
    for name in ("Alice", "Bob")
)
ME, OTHER = ALICE.short_hash, BOB.short_hash
FLOW, SESSION, PAIR = FlowId("f1"), "s1", "ab" * 16
BACK = "ba" * 16
"""The other direction of the pair."""
ENDS = [f"p2p/tx/{PAIR}", f"p2p/rx/{BACK}"]
NOW = EpochMs(1_000_000)


def _party(holding):
    return Party(name=str(holding.x500_name), group_id=holding.group_id)


def _charge(account=Account.JOURNAL, peer=None, node=ME):
    return Charge(node=node, account=account, peer=peer)


def _checkpoint(holding=ALICE, flow_id=FLOW):
    return encode(
        Checkpoint(
            flow_id=flow_id,
            holding=_party(holding),
            cpi_checksum="c",
            flow_class="F",
            request_id="r",
            body="{}",
            responds_to=None,
            created_at=NOW,
            stack=(Scope(flow="F", protocol=None),),
        )
    )


def _status(at, name):
    return StoredStatus(
        holding=ME, request_id="r", flow_id=FLOW, flow_class="F", status=name, updated_at=at
    )


def _message(source=ALICE, target=BOB):
    return encode(
        SessionMessage(
            session_id=SESSION,
            sequence=1,
            source=_party(source),
            target=_party(target),
            payload=Close(),
        )
    )


def _store(shift_ms=0):
    store = MemoryStore(clock=SimClock(NOW))
    shift = encode_shift(SharedShift(shift_ms=shift_ms, steady=0, boot="b"))
    store.commit(Unit(states=(StateWrite(key=SHIFT_KEY, value=shift, expected=0),)))
    return store


def _flows(store):
    return NodeFlows(store, lambda _holding: ENDS, lambda value: value if value != b"m" else None)


def _fill(store):
    """A flow that waits for a message, beside one of another node."""
    store.commit(Unit(states=(write_status(None, _status(NOW, FlowStatusName.RUNNING)),)))
    again = store.get(f"status/{ME}/r")
    timer = StateWrite(
        key=timer_key(FLOW),
        value=encode(TimerState(node=ME)),
        expected=0,
        due_at=EpochMs(NOW + 500),
        place=due_place(FLOW),
    )
    states = (
        StateWrite(key=f"flow/{FLOW}", value=_checkpoint(), expected=0, charge=_charge()),
        timer,
        StateWrite(
            key=f"session/{SESSION}",
            value=encode_state(MapperState(flow_id=FLOW)),
            expected=0,
            due_at=EpochMs(NOW + 900),
            place=due_place(f"session/{SESSION}"),
            charge=_charge(Account.BUS, OTHER),
        ),
        write_status(again, _status(EpochMs(NOW + 7), FlowStatusName.RUNNING), peer=OTHER),
        StateWrite(
            key=f"p2p/tx/{PAIR}",
            value=b"head",
            expected=0,
        ),
        StateWrite(
            key="flow/other", value=_checkpoint(BOB), expected=0, charge=_charge(node=OTHER)
        ),
    )
    journal = tuple(
        JournalRow(flow_id=FLOW, number=n, value=b"%d" % n, charge=_charge()) for n in range(450)
    )
    records = (
        NewRecord(topic=EVENT_TOPIC, key=FLOW, value=encode(Wake()), node=ME),
        NewRecord(topic=P2P_OUT_TOPIC, key=PAIR, value=_message(), node=ME, peer=OTHER),
        NewRecord(topic=EVENT_TOPIC, key="other", value=encode(Wake()), node=OTHER),
        NewRecord(topic="ext.a", key="k", value=b"out", owner=ME),
    )
    store.commit(Unit(states=states, journal=journal, records=records))


def _all(store):
    """Everything of the node, without versions and positions."""
    states = [
        (e.state.key, e.state.value, e.state.due_at, e.state.place, e.charge, e.started_at)
        for e in store.states_of_node(ME, "", 1000)
    ]
    free = store.get_many([timer_key(FLOW), f"p2p/tx/{PAIR}"])
    work = [
        (e.record.queue, e.record.key, e.record.value, e.peer)
        for e in store.work_of_node(ME, -1, 1000)
    ]
    return (
        states,
        {k: (s.value, s.due_at, s.place) for k, s in free.items()},
        [(j, store.journal(j.flow_id)) for j in store.journals_of_node(ME, "", 1000)],
        sorted(work),
        [(r.key, r.value) for r in store.logs_of_node(ME, "ext.a", None, 10)],
    )


def test_flows_are_in_another_store_as_they_were():
    one, two = _store(), _store()
    _fill(one)
    _flows(two).load(ALICE, _flows(one).dump(ALICE), 1)
    assert _all(two) == _all(one)
    assert two.get("flow/other") is None
    query = GlanceQuery(node=ME)
    (glance,) = two.glances(query, 10)
    assert [glance] == list(one.glances(query, 10))
    assert (glance.started_at, glance.updated_at) == (NOW, NOW + 7)
    assert two.balances(ME) == one.balances(ME)
    assert two.recount() == []


def test_messages_that_links_have_and_what_is_set_aside_are_records_again():
    one, two = _store(), _store()
    _fill(one)
    waiting = one.work_of_node(ME, -1, 10)
    wake = next(each.record for each in waiting if each.record.queue.topic == EVENT_TOPIC)
    aside = Aside(key=WorkKey(wake.queue, FLOW))
    head = one.get(f"p2p/tx/{PAIR}")
    sent = (
        StateWrite(
            key=head.key,
            value=b"head",
            expected=head.version,
            place=Placement(group="link", key=PAIR),
        ),
        StateWrite(key=f"{head.key}/1", value=_message(), expected=0, charge=_charge(Account.BUS)),
        StateWrite(key=f"{head.key}/2", value=b"m", expected=0, charge=_charge(Account.BUS)),
    )
    done = Done(queue=wake.queue, positions=(wake.position,))
    states = (*aside.behind([wake], None, None), *sent)
    one.commit(Unit(states=states, done=(done,)))
    _flows(two).load(ALICE, _flows(one).dump(ALICE), 1)
    works = [(e.record.queue.topic, e.record.value) for e in two.work_of_node(ME, -1, 10)]
    outgoing = (P2P_OUT_TOPIC, _message())
    assert works == [(EVENT_TOPIC, encode(Wake())), outgoing, outgoing]
    assert two.get(head.key).place is None
    assert two.scan("aside/") == two.scan(f"{head.key}/") == []


def test_due_times_of_flows_follow_the_clock_of_their_new_store():
    one, two = _store(shift_ms=300), _store(shift_ms=100)
    _fill(one)
    _flows(two).load(ALICE, _flows(one).dump(ALICE), 1)
    assert two.get(timer_key(FLOW)).due_at == NOW + 500 + 200


def test_erasing_leaves_the_others_and_can_be_repeated():
    store = _store()
    _fill(store)
    for _ in range(2):
        _flows(store).erase(ALICE)
        states, free, journals, work, _ = _all(store)
        assert (states, free, journals, work) == ([], {}, [], [])
    assert store.get("flow/other") is not None
    assert len(store.work_of_node(OTHER, -1, 10)) == 1
    assert store.recount() == []


def test_ends_of_channels_that_are_the_other_members_stay_with_them():
    """Bob is on this cluster, too: what he sends to Alice goes on under its numbers."""
    one, two = _store(), _store()
    _fill(one)
    his = {f"p2p/tx/{BACK}": b"head", f"p2p/rx/{PAIR}": b"taken"}
    message = StateWrite(key=f"p2p/tx/{BACK}/1", value=b"m", expected=0)
    heads = [StateWrite(key=key, value=value, expected=0) for key, value in his.items()]
    one.commit(Unit(states=(*heads, message)))
    _flows(two).load(ALICE, _flows(one).dump(ALICE), 1)
    assert two.get_many(list(his)) == {}
    _flows(one).erase(ALICE)
    assert {key: state.value for key, state in one.get_many(list(his)).items()} == his
    assert one.get(message.key) is not None
    assert one.get(f"p2p/tx/{PAIR}") is None


def test_a_node_has_the_sending_end_to_a_member_and_the_receiving_end_from_it():
    own, back = pair_of(ALICE, BOB), pair_of(BOB, ALICE)
    names = [BOB.x500_name, ALICE.x500_name]
    assert ends_of(ALICE, names) == [f"p2p/tx/{own}", f"p2p/rx/{back}"]
    assert set(ends_of(BOB, names)).isdisjoint(ends_of(ALICE, names))


def _state(key, value=b"", **more):
    facts = {"due_at": None, "is_placed": False, "account": Account.JOURNAL, "peer": None}
    return State(key=key, value=value, started_at=None, origin=None, **{**facts, **more})


@pytest.mark.parametrize(
    "item",
    [
        _state("clock/shift"),
        _state(f"flow/{FLOW}", _checkpoint(BOB)),
        _state("flow/f2", _checkpoint()),
        _state(f"status/{OTHER}/r"),
        _state(f"aside/{OTHER}/flow.event:x"),
        _state(f"body/{OTHER}/r"),
        _state("timer/other"),
        _state("inbox/other/s/1"),
        _state("session/s", encode_state(MapperState(flow_id=FlowId("other")))),
        _state("session/s", b"{"),
        _state("session/s", encode_state(MapperState(flow_id=FlowId(""), node=OTHER))),
        _state(f"start/r-{OTHER}", encode_state(MapperState(flow_id=FlowId("")))),
        _state(f"start/r-{ME}", encode_state(MapperState(flow_id=FLOW, node=OTHER))),
        _state("p2p/tx/" + "cd" * 16),
        _state("p2p/tx/" + BACK),
        _state("p2p/rx/" + PAIR),
        _state("p2p/so/" + PAIR),
        _state("relay/store-id"),
        _state(f"status/{ME}/r", due_at=EpochMs(1)),
        Work(EVENT_TOPIC, "other", encode(Wake()), None),
        Work(EVENT_TOPIC, FLOW, _message(BOB, BOB), None),
        Work(P2P_OUT_TOPIC, PAIR, _message(BOB, ALICE), None),
        Work("membership.in", "k", b"", None),
        Work("flow.mapper.start", "r-" + OTHER, b'{"type":"kill","reason":""}', None),
        Journal(FlowId("other"), Account.JOURNAL, None, 0, (b"",)),
        Log("flow.event.dlq", "k", b""),
    ],
    ids=repr,
)
def test_an_item_of_another_node_is_refused_and_nothing_of_it_is_stored(item):
    store = _store()
    others = StateWrite(
        key="flow/other", value=_checkpoint(BOB), expected=0, charge=_charge(node=OTHER)
    )
    store.commit(Unit(states=(others,)))
    with pytest.raises(NodeItemInvalidError):
        _flows(store).load(ALICE, [encode_item(Clock(0)), encode_item(item)], 1)
    assert store.states_of_node(ME, "", 10) == []
    assert store.work_of_node(ME, -1, 10) == []


@given(st.binary(max_size=200))
def test_other_bytes_are_no_item(data):
    try:
        item = decode_item(data)
    except NodeItemInvalidError:
        return
    assert isinstance(item, Clock | State | Work | Journal | Log)


def test_a_flow_runs_no_package_of_another_line():
    store, asked = _store(), []

    def may_run(holding, cpi):
        asked.append((holding, cpi))
        return False

    flows = NodeFlows(store, lambda _holding: ENDS, may_run=may_run)
    item = encode_item(_state(f"flow/{FLOW}", _checkpoint()))
    with pytest.raises(NodeItemInvalidError):
        flows.load(ALICE, [item], 1)
    assert asked == [(ALICE, "c")]


@pytest.mark.parametrize(
    "item",
    [
        Clock(2**60),
        _state("flow/f", due_at=EpochMs(2**60), is_placed=True),
        _state("flow/f", due_at=EpochMs(-1), is_placed=True),
        State("flow/f", b"", None, False, None, None, EpochMs(2**60), None),  # a field
        _state("flow/f", peer="x" * 13),
        _state("f" * 5000),
        Journal(FLOW, Account.JOURNAL, None, -1, ()),
        Journal(FLOW, Account.JOURNAL, None, 0, (b"",) * 1001),
        Log("ext." + "x" * 256, "k", b""),
    ],
    ids=lambda item: repr(item)[:60],
)
def test_values_of_an_item_are_in_range(item):
    with pytest.raises(NodeItemInvalidError):
        decode_item(encode_item(item))
