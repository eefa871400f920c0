"""What a node may hold is bounded by its account, in the call and before the bytes are there."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from host.domain.accounts import Account, Charge, QuotaExceededError, hit_of
from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, ShortHash
from host.domain.quotas import Quota, RunCharge
from host.flow.core.config import CORDA_DEFAULTS
from host.flow.core.errors import FlowsTooManyError
from host.flow.core.messages import OUT_TOPIC, due_place
from host.flow.core.room import NodeBalances, evicted
from host.flow.core.statuses import read_status
from host.flow.engine.call_room import UNWRITTEN_BYTES_MAX
from host.flow.engine.service import FlowService
from host.flow.records.history import HistoryLimits
from host.ports.glances import GlanceQuery
from host.ports.state import StateRecord, StateWrite
from host.ports.units import FlowStore, Unit
from tests.flow.network import ALICE, BOB, CHANNELS, Flow, Network, holding
from tests.flow.scripted import CallFailed, Guest

MIB = 1024 * 1024
HERE, THERE = holding(ALICE).short_hash, holding(BOB).short_hash


class Limited:
    """Quotas of a test, and what was hit."""

    def __init__(self, **limits: int) -> None:
        self.default = Quota(**limits)
        self.of: dict[ShortHash, Quota] = {}
        self.hits: list[tuple[ShortHash, str]] = []

    def quota(self, node: ShortHash) -> Quota:
        return self.of.get(node, self.default)

    def may_run_at(self, node: ShortHash) -> EpochMs | None:
        return None

    def spent(self, node: ShortHash, spent: RunCharge) -> None:
        """Nothing is charged."""

    def logged(self, node: ShortHash, size: int) -> None:
        """Nothing is charged."""

    def hit(self, node: ShortHash, code: str) -> None:
        self.hits.append((node, code))


class Watching:
    """A store that notes the bytes that each commit brings: of records, and of journals."""

    def __init__(self, store: FlowStore) -> None:
        self._store = store
        self.outgoing: list[int] = []
        self.journals: list[int] = []

    def commit(self, unit: Unit) -> None:
        outward = [r for r in unit.records if r.topic == OUT_TOPIC or r.topic.startswith("ext.")]
        self.outgoing.append(sum(record.size for record in outward))
        self.journals.append(sum(len(row.value) for row in unit.journal))
        self._store.commit(unit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def network(store: FlowStore, limits: Limited, flows: dict[str, Flow], **options: Any) -> Network:
    made = Network(store, flows, quotas=limits, **options)
    made.service = FlowService(units=store, clock=made.clock, entropy=made.entropy, quotas=limits)
    return made


def sending(guest: Guest) -> str:
    """Sends external messages until one is refused."""
    sent = 0
    try:
        for number in range(100):
            text = "x" * MIB
            channel = CHANNELS[number % len(CHANNELS)]
            guest.call("external-messaging", "send", channel=channel, messageId=None, message=text)
            sent += 1
    except CallFailed as refused:
        return f"{sent} {refused.code} {refused}"
    return str(sent)


def test_external_messages_are_refused_beyond_the_account_whatever_their_channel(
    store: FlowStore,
) -> None:
    limits, watched = Limited(bus_bytes_max=10 * MIB), Watching(store)
    alice = network(watched, limits, {"test.Initiator": sending})  # type: ignore[arg-type]
    result = alice.run().result or ""
    assert result.startswith(f"9 quota-exceeded account bus of virtual node {HERE} would hold")
    assert result.endswith(f"at most {10 * MIB} are allowed")
    assert limits.hits == [(HERE, "quota-exceeded:bus")]
    assert 9 * MIB < store.balance(HERE, Account.BUS).bytes <= 10 * MIB
    assert max(watched.outgoing) <= UNWRITTEN_BYTES_MAX + 2 * MIB
    alice.start(request_id="again")
    alice.engine.drain()
    assert (alice.alice("again").result or "").startswith("0 quota-exceeded")
    assert store.balance(HERE, Account.BUS).bytes <= 10 * MIB
    assert not store.recount()


def test_a_step_that_sends_much_is_committed_in_its_middle_and_sends_all_once(
    store: FlowStore,
) -> None:
    count = 8

    def ask(guest: Guest) -> str:
        session = guest.open(BOB)
        for number in range(count):
            guest.send(session, [number, "x" * MIB])
        return str(guest.receive(session))

    def answer(guest: Guest) -> str:
        numbers = [guest.receive(guest.session)[0] for _ in range(count)]
        guest.send(guest.session, numbers)
        return ""

    watched = Watching(store)
    alice = network(
        watched,  # type: ignore[arg-type]
        Limited(),
        {"test.Initiator": ask, "test.Responder": answer},
    )
    assert json.loads(alice.run().result or "null") == list(range(count))
    assert max(watched.outgoing) <= UNWRITTEN_BYTES_MAX + 2 * MIB
    # Which flow a start and each end of the session belong to is known for a while.
    assert 0 < store.balance(HERE, Account.BUS).bytes < 1000
    assert 0 < store.balance(THERE, Account.BUS).bytes < 1000
    alice.later(CORDA_DEFAULTS.cleanup_ms)
    assert store.balance(HERE, Account.BUS).bytes == 0
    assert store.balance(THERE, Account.BUS).bytes == 0
    assert store.balance(HERE, Account.JOURNAL).bytes == 0
    assert not store.recount()


def test_a_step_that_is_answered_much_is_committed_in_its_middle(store: FlowStore) -> None:
    def ask(guest: Guest) -> str:
        answers = [guest.call("flow", "random", bytes=65536) for _ in range(150)]
        return str(sum(map(len, answers)))

    watched = Watching(store)
    alice = network(watched, Limited(), {"test.Initiator": ask})  # type: ignore[arg-type]
    assert int(alice.run().result or "") > 2 * UNWRITTEN_BYTES_MAX
    assert UNWRITTEN_BYTES_MAX / 2 < max(watched.journals) < UNWRITTEN_BYTES_MAX + MIB
    assert not store.recount()


def test_session_messages_are_refused_beyond_the_account(store: FlowStore) -> None:
    seen: list[str] = []

    def ask(guest: Guest) -> str:
        session = guest.open(BOB)
        for number in range(100):
            try:
                guest.send(session, "x" * MIB)
            except CallFailed as refused:
                seen.append(f"{number} {refused.code}")
                break
        return ""

    limits = Limited(bus_bytes_max=6 * MIB)
    made = network(store, limits, {"test.Initiator": ask, "test.Responder": lambda _g: ""})
    made.run()
    # Bob takes 2 MiB of his 6 from one sender, with what surrounds them; 6 wait at Alice's cost.
    assert set(seen) == {"8 quota-exceeded"}
    assert not store.recount()


def test_what_opens_a_session_counts_with_each_message_that_carries_it(store: FlowStore) -> None:
    seen: list[str] = []

    def ask(guest: Guest) -> str:
        guest.call("flow", "context", op="put", key="k", value="\N{GRINNING FACE}" * 8000)
        versions = [2**31 - 1 - number for number in range(100)]
        guest.call("flow", "sub-flow", op="enter", flow="s", protocol="p" * 1000, versions=versions)
        session = guest.open(BOB)
        try:
            messages = [{"session": session, "payload": 1}] * 200
            guest.call("sessions", "send", messages=messages)
        except CallFailed as refused:
            seen.append(refused.code)
        return ""

    watched, limits = Watching(store), Limited(bus_bytes_max=4 * MIB)
    made = network(
        watched,  # type: ignore[arg-type]
        limits,
        {"test.Initiator": ask, "test.Responder": lambda _: ""},
    )
    made.run()
    assert set(seen) == {"quota-exceeded"}
    assert max(watched.outgoing) <= 4 * MIB


def test_a_failure_for_many_sessions_takes_its_room_before_it_is_made(store: FlowStore) -> None:
    seen: list[str] = []

    def ask(guest: Guest) -> str:
        guest.call("flow", "sub-flow", op="enter", flow="sub", protocol="p", versions=[1])
        for _ in range(200):
            guest.send(guest.open(BOB), "x")
        guest.call("flow", "sleep", millis=1000)
        try:
            guest.call("flow", "sub-flow", op="fail", message="m" * 4_000_000)
        except CallFailed as refused:
            seen.append(refused.code)
        return ""

    def answer(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=100_000)
        return ""

    limits = Limited()
    limits.of[HERE] = Quota(bus_bytes_max=MIB)
    made = network(store, limits, {"test.Initiator": ask, "test.Responder": answer})
    made.run()
    made.later(1000)
    assert set(seen) == {"quota-exceeded"}
    assert store.balance(HERE, Account.BUS).bytes <= MIB


@pytest.mark.parametrize(("more", "gone", "read"), [(1, 1, 2), (MIB, 1, 2), (9 * MIB, 9, 42)])
def test_no_more_is_read_to_make_room_than_has_to_go(
    store: FlowStore, more: int, gone: int, read: int
) -> None:
    charge = Charge(node=HERE, account=Account.STATUS)
    for number in range(20):
        key, value = f"status/{HERE}/{number}", b"x" * MIB
        due = EpochMs(number)
        place = due_place(key)
        write = StateWrite(key=key, value=value, expected=0, charge=charge, due_at=due, place=place)
        store.commit(Unit(states=(write,)))
    seen: list[int] = []

    class Counted:
        def oldest(self, charge: Charge, limit: int) -> Sequence[StateRecord]:
            found = store.oldest(charge, limit)
            seen.append(len(found))
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    found = evicted(
        Counted(),
        charge,
        balances=NodeBalances(store, HERE),
        more=more,
        bytes_max=store.balance(HERE, Account.STATUS).bytes,
    )
    assert [record.due_at for record in found] == list(range(gone))
    assert sum(seen) <= read


def test_a_receiver_takes_no_more_from_one_sender_than_half(store: FlowStore) -> None:
    seen: list[str] = []

    def ask(guest: Guest) -> str:
        session = guest.open(BOB)
        for _ in range(8):
            guest.send(session, "x" * MIB)
        try:
            guest.receive(session)
        except CallFailed as failed:
            seen.append(str(failed))
        return ""

    def answer(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=100_000)
        return ""

    limits = Limited()
    limits.of[THERE] = Quota(bus_bytes_max=10 * MIB)
    made = network(store, limits, {"test.Initiator": ask, "test.Responder": answer})
    made.run()
    assert f"account bus of virtual node {THERE}" in seen[0]
    assert 3 * MIB < store.balance(THERE, Account.BUS).bytes <= 5 * MIB
    assert (THERE, hit_of(Account.BUS)) in limits.hits
    assert not store.recount()


def test_journals_of_all_flows_are_bounded_together(store: FlowStore) -> None:
    def collecting(guest: Guest) -> str:
        for _ in range(10):
            guest.call("flow", "random", bytes=60_000)
            guest.call("flow", "sleep", millis=1)
        guest.call("flow", "sleep", millis=100_000)
        return ""

    limits = Limited(journals_bytes_max=2 * MIB)
    made = network(store, limits, {"test.Initiator": collecting})
    for number in range(4):
        made.start(request_id=f"r{number}")
    for _ in range(30):
        made.later(1)
    ended = [made.alice(f"r{n}") for n in range(4)]
    failed = [s for s in ended if s.status is FlowStatusName.FAILED]
    assert failed
    assert {s.error.type for s in failed if s.error} == {"quota-exceeded"}
    assert all("account journal" in s.error.message for s in failed if s.error)
    assert any(s.status is FlowStatusName.RUNNING for s in ended)
    assert store.balance(HERE, Account.JOURNAL).bytes <= 2 * MIB + 4 * 90_000
    assert (HERE, hit_of(Account.JOURNAL)) in limits.hits
    assert not store.recount()


@pytest.mark.parametrize("is_written", [False, True])
def test_a_checkpoint_that_is_not_written_yet_is_in_the_account(
    store: FlowStore, is_written: bool
) -> None:
    """Each session holds the context of its flow, of which the journal keeps nothing."""

    def opening(guest: Guest) -> str:
        if is_written:
            guest.call("flow", "sleep", millis=1)
        for number in range(10):
            guest.call("flow", "context", op="put", key=f"k{number}", value="x" * 1_100)
        for _ in range(300):
            guest.open(BOB)
        guest.call("flow", "sleep", millis=100_000)
        return ""

    limits = Limited(journals_bytes_max=2 * MIB)
    made = network(store, limits, {"test.Initiator": opening})
    made.start()
    made.engine.drain()
    made.later(1)
    ended = made.alice()
    assert ended.status is FlowStatusName.FAILED
    assert ended.error is not None
    assert ended.error.type == "quota-exceeded"
    assert "account journal" in ended.error.message
    assert store.balance(HERE, Account.JOURNAL).bytes <= 2 * MIB
    assert not store.recount()


def test_a_checkpoint_that_fits_is_not_refused_by_its_upper_bound(store: FlowStore) -> None:
    """A hundred calls that might have changed much, near the limit: they changed little."""

    def opening(guest: Guest) -> str:
        for _ in range(100):
            guest.open(BOB)
        seen.append(guest.call("flow", "random", bytes=1))
        return ""

    seen: list[object] = []
    made = network(store, Limited(journals_bytes_max=MIB), {"test.Initiator": opening})
    made.run()
    assert seen


def test_the_oldest_statuses_of_a_node_go_for_new_ones_and_other_nodes_keep_theirs(
    store: FlowStore,
) -> None:
    limits = Limited()
    limits.of[HERE] = Quota(statuses_bytes_max=MIB)
    made = network(store, limits, {"test.Initiator": lambda g: "x" * g.body})
    bob = made.nodes.nodes[holding(BOB)]
    made.service.start(bob, made.cpi, "kept", "test.Initiator", 10)
    for number in range(10):
        made.start(300_000, request_id=f"r{number}")
        made.engine.drain()
        made.clock.advance(1)
        assert store.balance(HERE, Account.STATUS).bytes <= MIB
    left = [key.rpartition("/")[2] for key in (s.key for s in store.scan(f"status/{HERE}/"))]
    assert left == ["r7", "r8", "r9"]
    assert len(made.service.page(GlanceQuery(node=HERE), 100)) == 3
    assert made.service.status(THERE, "kept").result == "x" * 10
    dropped = [e for e in made.events if type(e).__name__ == "KeptDropped"]
    assert sum(e.count for e in dropped) == 7
    assert not store.recount()


def test_histories_belong_to_their_node(store: FlowStore) -> None:
    kept = HistoryLimits(retention_ms=10_000, flows_max=32)
    made = network(store, Limited(), {"test.Initiator": lambda _g: "done"}, history=kept)
    bob = made.nodes.nodes[holding(BOB)]
    for number in range(5):
        made.service.start(bob, made.cpi, f"b{number}", "test.Initiator", None)
    made.engine.drain()
    for number in range(100):
        made.start(request_id=f"a{number}")
        made.engine.drain()
        made.clock.advance(1)
    assert all(made.service.recorded(THERE, f"b{n}").history for n in range(5))
    assert store.balance(HERE, Account.HISTORY).rows == 32
    assert made.service.recorded(HERE, "a99").history.status is FlowStatusName.COMPLETED
    made.later(10_000)
    assert store.balance(HERE, Account.HISTORY).bytes == 0
    assert not store.recount()


@pytest.mark.parametrize(
    ("account", "name", "count", "size"),
    [("bus", "bus_bytes_max", 200, 8_000), ("journal", "journals_bytes_max", 1, 2 * MIB)],
)
def test_a_start_without_room_is_refused_with_the_account(
    store: FlowStore, account: str, name: str, count: int, size: int
) -> None:
    limits = Limited(**{name: MIB})
    made = network(store, limits, {"test.Initiator": lambda _g: ""})

    def starts() -> None:
        for number in range(count):
            made.start("x" * size, request_id=f"r{number}")

    with pytest.raises(QuotaExceededError) as refused:
        starts()
    assert refused.value.details == {"account": account}
    assert len(store.scan("status/")) < count
    assert limits.hits == [(HERE, f"quota-exceeded:{account}")]


def test_responders_count_and_one_initiator_cannot_use_all_of_them_up(store: FlowStore) -> None:
    def ask(guest: Guest) -> str:
        sessions = [guest.open(BOB) for _ in range(12)]
        for session in sessions:
            guest.send(session, "x")
        codes = []
        for session in sessions:
            try:
                guest.receive(session)
            except CallFailed as failed:
                codes.append(str(failed))
                if len(codes) == 7:
                    return codes[0]
        return ""

    def answer(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.call("flow", "sleep", millis=100_000)
        return ""

    limits = Limited()
    limits.of[THERE] = Quota(flows_open_max=10)
    made = network(store, limits, {"test.Initiator": ask, "test.Responder": answer})
    made.run()
    assert made.service.open_count(THERE) == 5
    bob = made.nodes.nodes[holding(BOB)]
    for number in range(5):
        made.service.start(bob, made.cpi, f"own{number}", "test.Initiator", None)
    with pytest.raises(FlowsTooManyError):
        made.service.start(bob, made.cpi, "own5", "test.Initiator", None)
    assert (THERE, "flows-too-many") in limits.hits


def bomb(guest: Guest) -> str:
    """Opens sessions to its own node, as its responders do, and waits."""
    me = guest.start["me"]
    if guest.start["session"]:
        guest.receive(guest.session)
    guest.call("flow", "sub-flow", op="enter", flow="sub", protocol="p", versions=[1])
    for _ in range(3):
        with suppress(CallFailed):
            guest.send(guest.open(me), "go")
    guest.call("flow", "sleep", millis=1_000_000)
    return ""


def test_flows_that_start_flows_end_at_the_limits(store: FlowStore) -> None:
    limits = Limited(flows_open_max=40)
    config = replace(CORDA_DEFAULTS, max_sleep_ms=2_000_000)
    made = network(store, limits, {"test.Initiator": bomb, "test.Responder": bomb}, config=config)
    made.run()
    assert made.service.open_count(HERE) == 21  # the client's, and half of 40 responders
    assert (HERE, "flows-too-many") in limits.hits


def test_sessions_follow_from_one_another_only_so_often(store: FlowStore) -> None:
    seen: list[str | None] = []

    def chain(guest: Guest) -> str:
        me = guest.start["me"]
        if guest.start["session"]:
            guest.receive(guest.session)
        hops = guest.call("flow", "context", op="get", key="corda.hops")
        if hops not in seen:
            seen.append(hops)
        guest.call("flow", "sub-flow", op="enter", flow="sub", protocol="p", versions=[1])
        try:
            guest.send(guest.open(me), "go")
        except CallFailed as failed:
            return failed.code
        guest.call("flow", "sub-flow", op="leave")
        return "done"

    config = replace(CORDA_DEFAULTS, hops_max=4)
    made = network(
        store, Limited(), {"test.Initiator": chain, "test.Responder": chain}, config=config
    )
    made.run()
    assert seen == ["0", "1", "2", "3", "4"]
    responders = [read_status(record).result for record in store.scan(f"responder/{HERE}/")]
    assert "flow-hops-too-many" in responders
    assert len(store.scan(f"responder/{HERE}/")) == 4


def test_a_flow_cannot_write_its_count_of_hops(store: FlowStore) -> None:
    def forging(guest: Guest) -> str:
        try:
            guest.call("flow", "context", op="put", key="corda.hops", value="0")
        except CallFailed as failed:
            return failed.code
        return ""

    made = network(store, Limited(), {"test.Initiator": forging})
    assert made.run().result == "context-key-reserved"


def test_channels_that_a_cpi_declares_are_the_only_ones(store: FlowStore) -> None:
    def send(guest: Guest) -> str:
        codes = []
        for channel in ("declared", "other"):
            try:
                guest.call(
                    "external-messaging", "send", channel=channel, messageId=None, message="m"
                )
                codes.append("ok")
            except CallFailed as failed:
                codes.append(failed.code)
        return " ".join(codes)

    made = network(store, Limited(), {"test.Initiator": send})
    (cpk,) = made.cpi.cpks
    made.packages.cpi = replace(made.cpi, cpks=(replace(cpk, external_channels=None),))
    assert made.run().result == "external-channel-unknown external-channel-unknown"
    declaring = replace(made.cpi, cpks=(replace(cpk, external_channels=("declared",)),))
    made.packages.cpi = declaring
    made.start(request_id="r2")
    made.engine.drain()
    assert made.alice("r2").result == "ok external-channel-unknown"
    made.packages.cpi = replace(made.cpi, cpks=(replace(cpk, external_channels=()),))
    made.start(request_id="r3")
    made.engine.drain()
    assert made.alice("r3").result == "external-channel-unknown external-channel-unknown"
