"""Payloads larger than a message: cut, carried over, put together, within bounds."""

import hashlib
import json

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.domain.capability_error import CapabilityError
from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs
from host.flow.core.config import MIB, FlowConfig
from host.flow.core.messages import EVENT_TOPIC, Chunk, Close, Data, Init, encode
from host.flow.core.session import Session, SessionStatus, close, read, receive, send
from host.ports.state import StateWrite
from host.ports.units import FlowStore, Unit
from tests.flow.network import BOB, Network
from tests.flow.scripted import CallFailed, Guest
from tests.flow.test_flow_sessions import initiated, initiator, message

SMALL = FlowConfig(max_message_bytes=64 * 1024 + 40, max_payload_bytes=1000)
"""Ten characters in a message."""
TEXT = json.dumps("".join(chr(97 + n % 26) for n in range(93)))


def carried(session: Session, outbox: tuple[object, ...]) -> Session:
    for sent in outbox:
        session = receive(session, sent, EpochMs(1)).session
    return session


def test_a_payload_is_cut_to_what_a_message_holds_and_each_carries_the_init() -> None:
    change = send(initiator(), TEXT, SMALL)
    chunks = [m.payload for m in change.outbox]
    assert [len(c.payload) for c in chunks] == [10] * 9 + [5]
    assert [c.last for c in chunks] == [False] * 9 + [True]
    assert [m.sequence for m in change.outbox] == list(range(1, 11))
    assert all(type(c.init) is Init for c in chunks)
    assert change.session.sent == 10
    assert isinstance(send(initiator(), '"12345678"', SMALL).outbox[0].payload, Data)


@pytest.mark.parametrize("order", ["sent", "reversed", "each twice", "rotated"])
def test_chunks_are_put_together_whatever_their_arrival(order: str) -> None:
    sent = send(initiator(), TEXT, SMALL).outbox
    arrivals = {
        "sent": sent, "reversed": sent[::-1], "each twice": [m for m in sent for _ in "12"],
        "rotated": (*sent[5:], *sent[:5]),
    }[order]  # fmt: skip
    session = carried(initiated(), tuple(arrivals))
    assert session.partial == session.early == ()
    assert read(session)[1] == TEXT


def test_nothing_can_be_read_before_the_last_chunk() -> None:
    sent = send(initiator(), TEXT, SMALL).outbox
    session = carried(initiated(), sent[:-1])
    assert read(session) is None
    assert session.status is SessionStatus.CONFIRMED
    assert close(session).session.status is SessionStatus.ERROR


def test_any_message_between_chunks_ends_the_session() -> None:
    for between in (Data(payload="1"), Close()):
        chunk = message(1, Chunk(payload="1", last=False))
        session = carried(initiator(sent=1), (chunk, message(2, between)))
        assert session.status is SessionStatus.ERROR


def test_a_payload_above_the_limit_is_refused_by_both_sides() -> None:
    with pytest.raises(CapabilityError) as caught:
        send(initiator(), json.dumps("é" * 499), SMALL)
    assert caught.value.code == "session-payload-too-large"
    assert "has 2996 bytes, at most 1000" in caught.value.message
    generous = FlowConfig(max_message_bytes=SMALL.max_message_bytes)
    sent = send(initiator(), "1" * 1001, generous).outbox
    session = carried(initiated(payload_max=1000), sent)
    assert session.status is SessionStatus.ERROR
    assert "more than 1000 bytes" in session.failure.message
    assert session.partial == session.inbox == ()


def test_chunks_ahead_of_their_turn_are_bounded_too() -> None:
    session = initiated(payload_max=1)
    for number in range(2, 12):
        ahead = message(number, Chunk(payload="x" * 4 * MIB, last=False))
        session = receive(session, ahead, EpochMs(1)).session
    assert session.status is SessionStatus.ERROR
    assert session.early == ()


def echo(guest: Guest) -> str:
    session = guest.open(BOB)
    guest.send(session, guest.body)
    answer = guest.receive(session)
    return hashlib.sha256(answer.encode()).hexdigest()


def shout(guest: Guest) -> str:
    guest.send(guest.session, guest.receive(guest.session).upper())
    return ""


def test_large_payloads_go_both_ways_and_leave_nothing_behind(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": echo, "test.Responder": shout})
    text = "ä" + "body" * 500_000
    status = network.run(text)
    assert status.result == hashlib.sha256(text.upper().encode()).hexdigest()
    assert [*store.scan("inbox/"), *store.scan("flow/")] == []


def test_a_payload_that_is_too_large_is_the_senders_error_to_catch() -> None:
    def tries(guest: Guest) -> str:
        session = guest.open(BOB)
        try:
            guest.send(session, "x" * 2000)
        except CallFailed as exc:
            return exc.code
        return "sent"

    flows = {"test.Initiator": tries, "test.Responder": shout}
    network = Network(MemoryStore(), flows, config=SMALL)
    assert network.run().result == "session-payload-too-large"


class Weighing(SqliteStore):
    """Notes the size of every checkpoint and every message that is written."""

    checkpoints: list[int]
    records: list[int]

    def commit(self, unit: Unit) -> None:
        self.checkpoints += [len(s.value or b"") for s in unit.states if s.key[:5] == "flow/"]
        self.records += [len(r.value) for r in unit.records if r.topic == EVENT_TOPIC]
        super().commit(unit)


def test_what_is_unread_is_written_once_and_not_in_every_checkpoint(tmp_path: object) -> None:
    def floods(guest: Guest) -> str:
        session = guest.open(BOB)
        for _ in range(4):
            guest.send(session, "z" * 1_000_000)
        guest.receive(session)
        return ""

    def sleeps(guest: Guest) -> str:
        texts = [guest.receive(guest.session)]
        for _ in range(3):
            guest.call("flow", "sleep", millis=1)
            texts.append(guest.receive(guest.session))
        guest.send(guest.session, "done")
        return str(sum(map(len, texts)))

    store = Weighing(tmp_path / "flows.sqlite")
    store.checkpoints, store.records = [], []
    network = Network(store, {"test.Initiator": floods, "test.Responder": sleeps})
    network.run()
    assert sum(len(r.value) for r in store.scan("inbox/")) > 3_000_000
    for _ in range(3):
        network.later(1)
    assert network.bobs()[0].result == "4000000"
    assert network.alice().status is FlowStatusName.COMPLETED
    assert max(store.checkpoints) < 8_000
    assert max(store.records) <= FlowConfig().max_message_bytes
    assert store.scan("inbox/") == []
    store.close()


def test_a_flow_that_ends_takes_its_unread_payloads_along(store: FlowStore) -> None:
    def sends(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, "z" * 50_000)
        return str(guest.receive(session))

    def sleeps(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=1)
        raise ValueError("not interested")

    network = Network(store, {"test.Initiator": sends, "test.Responder": sleeps})
    network.run()
    assert len(store.scan("inbox/")) == 1
    network.later(1)
    assert store.scan("inbox/") == []
    assert network.alice().error.message == "not interested"


@pytest.mark.parametrize("damage", [None, b"\xff"])
def test_a_payload_that_is_missing_or_damaged_in_the_store_fails_the_flow(
    damage: bytes | None,
) -> None:
    def sends(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, "z" * 50_000)
        return str(guest.receive(session))

    def sleeps(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=1)
        return str(guest.receive(guest.session))

    network = Network(MemoryStore(), {"test.Initiator": sends, "test.Responder": sleeps})
    network.run()
    (kept,) = network.store.scan("inbox/")
    write = StateWrite(key=kept.key, value=damage, expected=1)
    network.store.commit(Unit(states=(write,)))
    network.later(1)
    assert network.bobs()[0].error.type == "flow-record-damaged"
    assert network.alice().status is FlowStatusName.FAILED


def test_the_largest_message_fits_the_bus_whatever_its_characters() -> None:
    config = FlowConfig(max_payload_bytes=100 * MIB)
    for character in ('"', "\\", "é", "😀"):
        text = json.dumps(character * 400_000, ensure_ascii=False)
        for sent in send(initiator(), text, config).outbox:
            assert len(encode(sent)) <= config.max_message_bytes
