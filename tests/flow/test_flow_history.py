"""What is kept of ended flows: enough to replay them, within limits, for a time."""

import tracemalloc
from dataclasses import replace

import msgspec
import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.errors import NotFoundError
from host.domain.flow import FlowStatusName
from host.flow.core.config import CORDA_DEFAULTS
from host.flow.core.errors import FlowNotFoundError
from host.flow.core.journal import encode_entry
from host.flow.records.history import HistoryLimits
from host.flow.records.history_export import (
    RECORDING_BYTES_MAX,
    Recording,
    RecordingInvalidError,
    RecordingTooLargeError,
    check_export_size,
    encode_in_parts,
    parse_recording,
    recording_of,
)
from host.flow.records.history_lookup import RecordedFlow
from host.ports.units import FlowStore, JournalRow, Unit
from tests.flow.network import ALICE, BOB, Flow, Network, holding
from tests.flow.scripted import Guest

HERE, THERE = holding(ALICE).short_hash, holding(BOB).short_hash
LIMITS = HistoryLimits(retention_ms=5000, flows_max=64, bytes_max=10_000)


def ask(guest: Guest) -> str:
    session = guest.open(BOB)
    guest.send(session, "question")
    return str(guest.receive(session))


def answer(guest: Guest) -> str:
    guest.receive(guest.session)
    guest.call("flow", "sleep", millis=3000)
    guest.send(guest.session, "answer")
    return ""


def now(guest: Guest) -> str:
    return str(guest.call("flow", "now"))


def single(store: FlowStore, flow: Flow, limits: HistoryLimits = LIMITS) -> Network:
    return Network(store, {"test.Initiator": flow}, history=limits)


def conversation(store: FlowStore) -> Network:
    network = Network(store, {"test.Initiator": ask, "test.Responder": answer}, history=LIMITS)
    network.run()
    network.clock.advance(3000)
    network.engine.drain()
    assert network.alice().status is FlowStatusName.COMPLETED
    return network


def recording(
    network: Network,
    here: str,
    request_id: str,
    *,
    with_payloads: bool = True,
    first_step: int = 0,
    steps_max: int | None = None,
) -> Recording:
    found = network.service.recorded(here, request_id)
    made = recording_of(found.history, None, with_payloads=with_payloads, first_step=first_step)
    entries = found.entries(first_step, steps_max)
    text = b"".join(encode_in_parts(made, entries, with_payloads=with_payloads))
    read = parse_recording(text, "test")
    assert msgspec.json.encode(read) == text
    return read


def test_both_sides_of_an_ended_conversation_are_recorded(store: FlowStore) -> None:
    network = conversation(store)
    alice = recording(network, HERE, "r1")
    assert [s.function for s in alice.steps] == [
        "sessions.open",
        "sessions.send",
        "sessions.receive",
    ]
    assert alice.is_whole
    assert alice.outcome.result == "answer"
    sent = alice.steps[1].messages
    assert [(m.direction, m.sequence, m.kind, m.size) for m in sent] == [("sent", 1, "data", 10)]
    receive = alice.steps[2]
    assert receive.at - receive.since == 3000
    assert receive.answer == '["answer"]'
    (bob,) = network.bobs()
    there = recording(network, THERE, bob.client_request_id)
    assert there.flow.is_responder
    assert there.sessions[0].peer_session == alice.sessions[0].id
    arrived = there.steps[0].messages
    assert [(m.direction, m.sequence, m.session) for m in arrived] == [
        ("received", 1, alice.sessions[0].peer_session)
    ]
    assert there.messages[-1].kind == "close"


def test_a_running_flow_shows_what_it_waits_for() -> None:
    network = Network(MemoryStore(), {"test.Initiator": ask, "test.Responder": answer})
    network.run()
    running = recording(network, HERE, "r1")
    assert running.waiting is not None
    assert running.waiting.function == "sessions.receive"
    assert running.flow.ended_at is None
    assert len(running.steps) == 2


def test_without_payloads_only_sizes_are_told() -> None:
    shown = recording(conversation(MemoryStore()), HERE, "r1", with_payloads=False, first_step=1)
    assert shown.start is None
    assert [(s.number, s.answer, s.answer_size) for s in shown.steps] == [
        (1, None, 4),
        (2, None, 10),
    ]
    assert not shown.is_whole


def test_a_history_goes_when_its_time_is_over(store: FlowStore) -> None:
    network = conversation(store)
    flow_id = network.alice().flow_id
    assert store.journal(flow_id)
    network.clock.advance(LIMITS.retention_ms)
    network.engine.drain()
    assert store.journal(flow_id) == []
    assert store.scan("history/") == []
    with pytest.raises(NotFoundError):
        network.service.recorded(HERE, "r1")


def test_there_are_never_more_histories_than_allowed(store: FlowStore) -> None:
    network = single(store, now)
    for number in range(300):
        network.start(request_id=f"n{number}")
        network.engine.drain()
        network.clock.advance(1)
    kept = [h.value for h in store.scan("history/")]
    assert 32 < len(kept) <= LIMITS.flows_max
    flows = [network.service.status(HERE, f"n{number}").flow_id for number in range(300)]
    assert sum(bool(store.journal(flow)) for flow in flows) == len(kept)
    assert recording(network, HERE, "n299").is_whole


def test_of_a_large_flow_only_the_facts_are_kept(store: FlowStore) -> None:
    def large(guest: Guest) -> str:
        guest.call("flow", "random", bytes=4000)
        return "done"

    network = single(store, large)
    network.run()
    kept = recording(network, HERE, "r1")
    assert (kept.step_count, kept.steps, kept.start) == (1, (), None)
    assert kept.outcome.result == "done"
    assert store.journal(network.alice().flow_id) == []


def test_a_result_is_stored_once(store: FlowStore) -> None:
    """It may have megabytes, and no history is found without the status that has it."""
    network = single(store, lambda guest: '"marker"')
    network.run()
    holders = [record.key for record in store.scan("") if b"marker" in record.value]
    assert holders == [f"status/{HERE}/r1"]
    assert recording(network, HERE, "r1").outcome.result == '"marker"'


def test_nothing_is_kept_when_histories_are_off(store: FlowStore) -> None:
    off = replace(LIMITS, retention_ms=0)
    network = single(store, now, off)
    network.run()
    assert store.scan("history/") == []
    assert store.journal(network.alice().flow_id) == []
    with pytest.raises(NotFoundError):
        network.service.recorded(HERE, "r1")
    with pytest.raises(FlowNotFoundError):
        network.service.recorded(HERE, "unknown")


def test_a_killed_flow_is_recorded(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": ask, "test.Responder": answer}, history=LIMITS)
    network.run()
    network.service.kill(HERE, "r1", "enough")
    network.engine.drain()
    killed = recording(network, HERE, "r1")
    assert killed.outcome.error_message == "enough"
    assert [s.function for s in killed.steps] == ["sessions.open", "sessions.send"]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"format":"cordbox-flow","version":2}', b'{"format":"cordbox-flow"}', b"["],
)
def test_other_files_are_no_exports(data: bytes) -> None:
    with pytest.raises(RecordingInvalidError, match="file"):
        parse_recording(data, "file")


def test_an_export_with_a_gap_is_refused() -> None:
    whole = recording(conversation(MemoryStore()), HERE, "r1")
    torn = msgspec.json.encode(whole).replace(b'"number":1', b'"number":7')
    with pytest.raises(RecordingInvalidError, match="step 7, expected step 1"):
        parse_recording(torn, "file")


def test_chunks_of_a_large_payload_are_noted_with_their_sizes() -> None:
    def large(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, "x" * 50_000)
        return str(guest.receive(session))

    small = replace(CORDA_DEFAULTS, max_message_bytes=64 * 1024 + 80_000)
    network = Network(
        MemoryStore(), {"test.Initiator": large, "test.Responder": answer}, config=small
    )
    network.run()
    sent = recording(network, HERE, "r1").steps[1].messages
    assert {m.kind for m in sent} == {"chunk"}
    assert [m.sequence for m in sent] == [1, 2, 3, 4, 5][: len(sent)]
    assert sum(m.size for m in sent) == 50_002


def test_an_export_is_read_while_it_is_written() -> None:
    store = MemoryStore()
    network = single(store, now)
    network.run()
    found = network.service.recorded(HERE, "r1")
    (entry,) = found.entries()
    flow_id = found.history.flow_id
    for number in range(1, 60):
        large = msgspec.structs.replace(entry, call=number, answer='"' + "x" * 2**20 + '"')
        row = JournalRow(flow_id=flow_id, number=number, value=encode_entry(large))
        store.commit(Unit(journal=(row,)))
    history = msgspec.structs.replace(found.history, calls=60)
    made = recording_of(history, None)
    tracemalloc.start()
    try:
        entries = RecordedFlow(history=history, store=store).entries()
        size = sum(len(part) for part in encode_in_parts(made, entries))
        assert size > 59 * 2**20
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_an_export_that_nobody_could_read_is_refused_before_it_begins() -> None:
    check_export_size("f", RECORDING_BYTES_MAX)
    with pytest.raises(RecordingTooLargeError, match="at most"):
        check_export_size("f", RECORDING_BYTES_MAX + 1)
