"""What operators do with dead letters: try one again, discard it, take it back."""

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.accounts import NOTHING, Account
from host.domain.clock import SimClock
from host.domain.errors import NotFoundError
from host.domain.ids import FlowId, ShortHash
from host.flow.core.mapper import MapperState, encode_state, session_key
from host.flow.core.messages import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPIC,
    IN_TOPIC,
    OUT_TOPIC,
    Close,
    Party,
    SessionMessage,
    Wake,
    encode,
    flow_state_key,
)
from host.flow.engine.upkeep import Upkeep
from host.flow.records.dead_letters import (
    DISCARDED_MS,
    DeadLetterFinalError,
    DeadLetterIdInvalidError,
    DeadLetterMovedError,
    DeadLetters,
    dead_letters,
)
from host.ports.bus import NewRecord
from host.ports.live import Fixed
from host.ports.state import StateWrite
from host.ports.topics import Retention
from host.ports.units import Unit
from tests.flow.queues import event, waiting

A_NODE = ShortHash("A" * 12)
FLOW = FlowId("flow-1")
NAME = "O=Bob, L=London, C=GB"


def open_flow(store: MemoryStore, flow_id: FlowId = FLOW) -> None:
    checkpoint = StateWrite(key=flow_state_key(flow_id), value=b"{}", expected=0)
    store.commit(Unit(states=(checkpoint,)))


def letter(value: bytes, key: str = FLOW, owner: ShortHash | None = A_NODE) -> NewRecord:
    return NewRecord(topic=DEAD_LETTER_TOPIC, key=key, value=value, owner=owner)


def given_up(store: MemoryStore, record: NewRecord) -> str:
    store.commit(Unit(records=(record,)))
    return dead_letters(store, 1)[0].id


def message(session_id: str) -> SessionMessage:
    party = Party(name=NAME, group_id="g")
    return SessionMessage(
        session_id=session_id, sequence=1, source=party, target=party, payload=Close()
    )


def never(_node: ShortHash) -> bool:
    return False


def test_a_letter_of_an_open_flow_goes_to_the_end_of_its_queue_once() -> None:
    store = MemoryStore(clock=SimClock())
    letters = DeadLetters(store)
    value = encode(Wake())
    letter_id = given_up(store, letter(value))
    with pytest.raises(DeadLetterFinalError, match="its flow has ended, or never began"):
        letters.retry(letter_id, never)
    open_flow(store)
    store.commit(Unit(records=(event(EVENT_TOPIC, FLOW, b"later", node=A_NODE),)))
    found = letters.examine(letter_id)
    assert (found.flow_id, found.why_final, found.value) == (FLOW, "", value)
    held = store.balance(A_NODE, Account.BUS)
    letters.retry(letter_id, never)
    assert [r.value for r in waiting(store, EVENT_TOPIC)] == [b"later", value]
    assert store.balance(A_NODE, Account.BUS) == held
    assert not letters.page(9)
    with pytest.raises(NotFoundError):
        letters.retry(letter_id, never)


@pytest.mark.parametrize(("is_here", "topic"), [(True, OUT_TOPIC), (False, IN_TOPIC)])
def test_a_letter_of_a_session_goes_to_the_queue_of_its_session(is_here: bool, topic: str) -> None:
    store = MemoryStore(clock=SimClock())
    letters = DeadLetters(store)
    value = encode(message("s-INITIATED"))
    letter_id = given_up(store, letter(value, key="s-INITIATED"))
    found = letters.examine(letter_id)
    assert (found.flow_id, found.why_final) == (None, "its session has no flow any more")
    mapped = StateWrite(
        key=session_key("s-INITIATED"), value=encode_state(MapperState(flow_id=FLOW)), expected=0
    )
    store.commit(Unit(states=(mapped,)))
    open_flow(store)
    letters.retry(letter_id, lambda _node: is_here)
    assert [(r.key, r.value) for r in waiting(store, topic)] == [("s-INITIATED", value)]
    # One that was in the flow's own queue goes back there.
    letter_id = given_up(store, letter(value))
    letters.retry(letter_id, lambda _node: is_here)
    assert [r.key for r in waiting(store, EVENT_TOPIC)] == [FLOW]


@pytest.mark.parametrize(
    ("value", "owner", "why"),
    [(b"\xff", A_NODE, "it cannot be read"), (encode(Wake()), None, "nobody can tell")],
)
def test_a_letter_of_nobody_is_final_but_can_be_discarded(
    value: bytes, owner: ShortHash | None, why: str
) -> None:
    store = MemoryStore(clock=SimClock())
    letters = DeadLetters(store)
    open_flow(store)
    letter_id = given_up(store, letter(value, owner=owner))
    with pytest.raises(DeadLetterFinalError, match=why):
        letters.retry(letter_id, never)
    letters.discard(letter_id)
    assert [one.is_discarded for one in letters.page(9, discarded=True)] == [True]


def test_a_discarded_letter_is_kept_for_seven_days_and_can_be_restored() -> None:
    clock = SimClock()
    store = MemoryStore(clock=clock)
    letters = DeadLetters(store)
    upkeep = Upkeep(store, clock, Fixed(Retention(age_ms=60_000, bytes_max=1)))
    letters.discard(given_up(store, letter(b"content")))
    assert not letters.page(9)
    held = store.balance(A_NODE, Account.BUS)
    assert held.bytes > len(b"content")
    clock.advance(DISCARDED_MS - 1)
    upkeep.run()
    (gone,) = letters.page(9, discarded=True)
    assert (gone.node, gone.size, gone.is_discarded) == (A_NODE, 7, True)
    assert store.balance(A_NODE, Account.BUS) == held
    for refused in (letters.discard, lambda one: letters.retry(one, never)):
        with pytest.raises(DeadLetterMovedError, match="is discarded"):
            refused(gone.id)
    letters.restore(gone.id)
    (back,) = letters.page(9)
    assert (back.given_up_at, back.is_discarded) == (clock.now_ms(), False)
    with pytest.raises(DeadLetterMovedError, match="is not discarded"):
        letters.restore(back.id)
    letters.discard(back.id)
    clock.advance(DISCARDED_MS)
    upkeep.run()
    assert not letters.page(9, discarded=True)
    assert store.balance(A_NODE, Account.BUS) == NOTHING


def test_of_two_moves_at_the_same_moment_one_is_refused() -> None:
    class Slow(MemoryStore):
        """Another operator discards the record between the look and the write."""

        is_first = True

        def commit(self, unit: Unit) -> None:
            if unit.dropped and self.is_first:
                self.is_first = False
                DeadLetters(self).discard(letter_id)
            super().commit(unit)

    store = Slow(clock=SimClock())
    open_flow(store)
    letter_id = given_up(store, letter(encode(Wake())))
    with pytest.raises(DeadLetterMovedError, match="was moved meanwhile"):
        DeadLetters(store).retry(letter_id, never)
    assert not waiting(store, EVENT_TOPIC)
    assert len(DeadLetters(store).page(9, discarded=True)) == 1


@pytest.mark.parametrize("text", ["", "1-2", "x1-2-3", "1-2-3-4", "-1-2-3", "9" * 19 + "-1-1"])
def test_other_texts_are_no_ids_of_letters(text: str) -> None:
    with pytest.raises(DeadLetterIdInvalidError):
        DeadLetters(MemoryStore(clock=SimClock())).examine(text)


def test_an_id_names_one_record_and_not_its_neighbour() -> None:
    store = MemoryStore(clock=SimClock())
    for key in ("a", "b"):
        store.commit(Unit(records=(letter(b"v", key=key),)))
    letters = DeadLetters(store)
    for one in letters.page(9):
        assert letters.examine(one.id).letter == one
    place = letters.page(9)[0].place
    with pytest.raises(NotFoundError):
        letters.examine(f"{place.written_at}-{place.partition}-{place.offset + 7}")
