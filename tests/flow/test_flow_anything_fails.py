"""Whatever is raised wherever, for one node: its own key waits or fails, and no other node's flow.

Every place where the engine touches the outside for a node is made to raise every kind of exception
once, for as long as an outage lasts, or for ever. Bob's flows complete meanwhile without a delay,
and Alice's ends as the table of failures says.
"""

import sqlite3

import pytest

from host.domain.flow import FlowStatusName
from host.flow.core.messages import DEAD_LETTER_TOPIC
from host.flow.core.retry import FailureKind, kind_of
from tests.flow.network import PARKING
from tests.flow.queues import to_the_mapper
from tests.flow.traps import MISFITS, NO_EXCEPTIONS, OUTAGES, POISON, Made


@pytest.mark.parametrize("failure", OUTAGES, ids=repr)
def test_what_the_host_lacks_is_an_outage(failure: BaseException) -> None:
    assert kind_of(failure) is FailureKind.OUTAGE


@pytest.mark.parametrize("failure", [*POISON, *NO_EXCEPTIONS], ids=repr)
def test_anything_else_is_tried_a_few_times(failure: BaseException) -> None:
    assert kind_of(failure) is FailureKind.TRANSIENT


def test_sqlites_own_errors_are_told_apart_by_their_codes() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("no SQL")
    assert kind_of(caught.value) is FailureKind.TRANSIENT
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA query_only = 1")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("INSERT INTO t VALUES (1)")
    assert kind_of(caught.value) is FailureKind.OUTAGE
    connection.close()


PLACES = (
    "take flow.mapper.start",
    "take flow.event",
    "get start",
    "get flow",
    "get timer",
    "get status",
    "journal",
    "commit flow.mapper.start",
    "commit flow.event",
    "commit timer",
    "commit calls",
    "persistence.write",
    "persistence.read",
    "quota",
    "may run at",
    "spent",
    "run",
    "event sink",
)

OF_THE_MAPPER = ("take flow.mapper.start", "get start", "commit flow.mapper.start")


@pytest.mark.parametrize(
    ("place", "failure"),
    [
        (place, failure)
        for place in PLACES
        for failure in (OUTAGES[0], OUTAGES[4], POISON[0], POISON[2], POISON[5])
        if not (place.startswith("persistence.") and isinstance(failure, MISFITS))
    ],
    ids=repr,
)
def test_a_failure_anywhere_delays_no_other_node_and_passes(
    place: str, failure: BaseException
) -> None:
    made = Made()
    made.start_alice()
    if place in OF_THE_MAPPER:
        to_the_mapper(made.network.store, "alice")
    made.trap.set(place, failure, times=2)
    for _ in range(3):
        made.bob_completes_at_once()
    for _ in range(6):
        made.drive(lambda: made.network.later(16_000))
    # A parked guest goes on, and its journal is read by nobody.
    is_passed = place != "journal" or not PARKING.most
    assert (made.trap.sprung > 0) == is_passed, "the place was never passed"
    assert (made.alice().status, made.alice().result) == (FlowStatusName.COMPLETED, "done")
    assert len([r for r in made.network.notes.rows if r]) == 4
    assert list(made.network.store.newest(DEAD_LETTER_TOPIC, 9)) == []
    assert made.network.store.scan("aside/") == []
    assert made.network.store.scan("flow/") == []


@pytest.mark.parametrize(
    "place", ["persistence.write", "persistence.read", "run", "quota", "spent"]
)
@pytest.mark.parametrize("failure", POISON, ids=repr)
def test_what_fails_for_ever_ends_the_flow_by_itself(place: str, failure: BaseException) -> None:
    made = Made()
    made.trap.set(place, failure, times=1_000)
    made.start_alice()
    made.bob_completes_at_once()
    for _ in range(12):
        made.network.later(16_000)
        if made.alice().status.is_final:
            break
    made.bob_completes_at_once()
    status = made.alice()
    letters = made.network.store.newest(DEAD_LETTER_TOPIC, 9)
    is_guests = place.startswith("persistence.") and isinstance(failure, MISFITS)
    assert (status.status, status.error.type, len(letters)) == (
        FlowStatusName.FAILED,
        "FLOW_FAILED" if is_guests else "platform-failure",
        0 if is_guests else 1,
    )
    assert made.network.store.scan("aside/") == []


@pytest.mark.parametrize("place", ["persistence.write", "run", "commit flow.event"])
@pytest.mark.parametrize("failure", [f for f in OUTAGES if f is not OUTAGES[4]], ids=repr)
def test_an_outage_is_waited_for_however_long_it_lasts(place: str, failure: BaseException) -> None:
    made = Made()
    made.trap.set(place, failure, times=1_000)
    made.start_alice()
    for _ in range(60):
        made.network.later(16_000)
    assert not made.alice().status.is_final
    made.bob_completes_at_once()
    made.trap.times = 0
    made.network.later(16_000)
    made.network.later(16_000)
    assert (made.alice().status, made.alice().result) == (FlowStatusName.COMPLETED, "done")
    assert list(made.network.store.newest(DEAD_LETTER_TOPIC, 9)) == []
