"""The uniqueness service over a database: batches, races, failures, and what is stored."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from host.adapters.sqlite.database import Database
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, ShortHash
from host.ledger.core.model import StateRef
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.notary.model import Check, UniquenessRequest
from host.ledger.notary.service import UniquenessService
from host.ledger.notary.tables import CONSUMED, NOTARISED, SCHEMA
from tests.ledger.transactions import identifier, ref

NODE, OTHER = ShortHash("0123456789AB"), ShortHash("BA9876543210")
NOW = EpochMs(1_795_000_000_000)
UPPER = "2026-11-18T12:00:00.000000Z"


class Clock:
    def __init__(self):
        self.now = NOW

    def now_ms(self):
        return self.now


class Databases:
    """A file for each node, and what a test does before a transaction."""

    def __init__(self, folder):
        self._folder = folder
        self._open = {}
        self.commits = 0
        self.before = lambda node: None

    def transact(self, node, work):
        self.before(node)
        if node not in self._open:
            self._open[node] = Database.open(self._folder / f"{node}.sqlite", [SCHEMA])
        self.commits += 1
        return self._open[node].transact(work)

    def rows(self, node, table):
        with self._open[node].read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def close(self):
        for database in self._open.values():
            database.close()
        self._open.clear()


@pytest.fixture
def databases(tmp_path):
    made = Databases(tmp_path)
    yield made
    made.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service(databases, clock):
    return UniquenessService(databases=databases, clock=clock)


def request(number, *, inputs=(), references=(), outputs=1, upper=UPPER, check=Check.WRITE):
    return UniquenessRequest(
        check=check,
        id=identifier(number),
        inputs=tuple(inputs),
        references=tuple(references),
        output_count=outputs,
        lower=None,
        upper=upper,
        originator="O=Alice, L=London, C=GB",
    )


def kind(result):
    return None if result.is_accepted else result.rejection.kind


def test_results_survive_the_process(service, databases, clock):
    issue, spend, again = request(1, outputs=2), request(2, inputs=[ref(1)]), request(3)
    conflict = replace(again, inputs=(ref(1),))
    first = [service.check(NODE, one) for one in (issue, spend, conflict)]
    assert [kind(result) for result in first] == [None, None, ErrorKind.INPUT_STATE_CONFLICT]
    databases.close()
    clock.now += 10**9
    later = UniquenessService(databases=databases, clock=clock)
    assert [later.check(NODE, one) for one in (issue, spend, conflict)] == first
    assert (databases.rows(NODE, NOTARISED), databases.rows(NODE, CONSUMED)) == (3, 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"inputs": [ref(9)]}, ErrorKind.INPUT_STATE_UNKNOWN),
        ({"inputs": [ref(1, 0), ref(1, 1)]}, ErrorKind.INPUT_STATE_CONFLICT),
        ({"references": [ref(9)]}, ErrorKind.REFERENCE_STATE_UNKNOWN),
        ({"references": [ref(1, 0)]}, ErrorKind.REFERENCE_STATE_CONFLICT),
        ({"upper": "2020-01-01T00:00:00.000000Z"}, ErrorKind.TIME_WINDOW_OUT_OF_BOUNDS),
    ],
)
def test_every_kind_of_refusal_is_kept(service, databases, clock, changes, expected):
    """As it was told, with its details, and for the same request alone."""
    service.check(NODE, request(1, outputs=3))
    service.check(NODE, request(2, inputs=[ref(1, 0), ref(1, 1)]))
    refused = service.check(NODE, request(3, **changes))
    assert kind(refused) is expected
    databases.close()
    later = UniquenessService(databases=databases, clock=clock)
    assert later.check(NODE, request(3, **changes)) == refused
    assert kind(later.check(NODE, request(4, inputs=[ref(1, 2)]))) is None


def test_an_output_costs_no_row_until_it_is_spent(service, databases):
    service.check(NODE, request(1, outputs=1000))
    assert databases.rows(NODE, CONSUMED) == 0
    assert kind(service.check(NODE, request(2, inputs=[ref(1, 999)]))) is None
    assert kind(service.check(NODE, request(3, inputs=[ref(1, 1000)]))) == (
        ErrorKind.INPUT_STATE_UNKNOWN
    )
    assert databases.rows(NODE, CONSUMED) == 1


def test_more_states_than_one_statement_takes(service):
    """Inputs and references of one request, and of a batch, exceed the keys of a statement."""
    for number in range(3):
        assert kind(service.check(NODE, request(1 + number, outputs=1000))) is None
    inputs = [ref(1, index) for index in range(1000)]
    references = [ref(2 + index % 2, index) for index in range(1000)]
    spend = request(9, inputs=inputs, references=references)
    assert kind(service.check(NODE, spend)) is None
    assert kind(service.check(NODE, replace(spend, id=identifier(10)))) == (
        ErrorKind.INPUT_STATE_CONFLICT
    )


def test_notaries_share_nothing(service):
    """Corda: spending the same state across identities is accepted, and an issue elsewhere is
    unknown."""
    issue, spend = request(1), request(2, inputs=[ref(1)])
    assert [kind(service.check(NODE, one)) for one in (issue, spend)] == [None, None]
    assert kind(service.check(OTHER, request(3, inputs=[ref(1)]))) == ErrorKind.INPUT_STATE_UNKNOWN
    assert kind(service.check(OTHER, issue)) is None
    assert kind(service.check(OTHER, spend)) is None


def test_a_failure_of_one_notary_is_not_anothers(service, databases):
    def fail(node):
        if node == NODE:
            raise StorageError("database uniqueness.sqlite is missing")

    databases.before = fail
    with pytest.raises(StorageError, match="is missing"):
        service.check(NODE, request(1))
    assert kind(service.check(OTHER, request(1))) is None
    databases.before = lambda node: None
    assert kind(service.check(NODE, request(1))) is None


def test_time_never_goes_back(service, clock):
    passed = request(1, upper="2026-11-18T09:00:00.000000Z")
    clock.now = NOW + 10**9
    assert kind(service.check(NODE, request(2, upper="2026-12-30T00:00:00.000000Z"))) is None
    clock.now = NOW - 10**9
    assert kind(service.check(NODE, passed)) == ErrorKind.TIME_WINDOW_OUT_OF_BOUNDS


def test_waiting_requests_share_a_commit(service, databases):
    """The first request holds its transaction until all others wait."""
    count = 20
    entered, released = threading.Event(), threading.Event()

    def hold(node):
        databases.before = lambda node: None
        entered.set()
        assert released.wait(30)

    databases.before = hold
    with ThreadPoolExecutor(count) as pool:
        first = pool.submit(service.check, NODE, request(1, outputs=count))
        assert entered.wait(30)
        others = [
            pool.submit(service.check, NODE, request(2 + n, inputs=[ref(1, n // 2)]))
            for n in range(count - 1)
        ]
        queue = service._batches(NODE)._queue
        while len(queue) < count - 1:  # each thread joins the queue before it sleeps
            pass
        released.set()
        assert kind(first.result()) is None
        results = [kind(other.result()) for other in others]
    assert databases.commits == 2
    assert results.count(None) == (count - 1 + 1) // 2
    assert results.count(ErrorKind.INPUT_STATE_CONFLICT) == (count - 1) // 2


def test_a_batch_that_fails_fails_for_all_and_stores_nothing(service, databases):
    entered, released = threading.Event(), threading.Event()

    def hold(node):
        entered.set()
        assert released.wait(30)
        raise StorageError("the disk is full", path="uniqueness.sqlite")

    databases.before = hold
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(service.check, NODE, request(n)) for n in range(4)]
        assert entered.wait(30)
        released.set()
        failures = [call.exception() for call in calls]
    assert [str(failure) for failure in failures] == ["the disk is full"] * 4
    assert len({id(failure) for failure in failures}) == 4
    databases.before = lambda node: None
    assert kind(service.check(NODE, request(0))) is None
    assert databases.rows(NODE, NOTARISED) == 1


class StoppedError(BaseException):
    pass


def test_who_waits_for_a_stopped_leader_gets_an_error(service, databases):
    """Three threads: the second leads itself and the third, and is stopped."""
    entered, released = threading.Event(), threading.Event()

    def stop(node):
        raise StoppedError

    def hold(node):
        databases.before = stop
        entered.set()
        assert released.wait(30)

    databases.before = hold
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(service.check, NODE, request(1))
        assert entered.wait(30)
        others = [pool.submit(service.check, NODE, request(n)) for n in (2, 3)]
        queue = service._batches(NODE)._queue
        while len(queue) < len(others):
            pass
        released.set()
        assert kind(first.result()) is None
        failures = [other.exception() for other in others]
    assert {type(failure) for failure in failures} == {StoppedError, StorageError}
    databases.before = lambda node: None
    assert kind(service.check(NODE, request(2))) is None


def test_a_stopped_leader_hands_over(service, databases):
    entered, released = threading.Event(), threading.Event()

    def stop(node):
        databases.before = lambda node: None
        entered.set()
        assert released.wait(30)
        raise StoppedError

    databases.before = stop
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(service.check, NODE, request(1))
        assert entered.wait(30)
        second = pool.submit(service.check, NODE, request(2))
        while not service._batches(NODE)._queue:
            pass
        released.set()
        assert isinstance(first.exception(), StoppedError)
        assert kind(second.result()) is None
    assert databases.rows(NODE, NOTARISED) == 1


@settings(max_examples=15)
@given(st.integers(0))
def test_of_racing_spends_one_is_accepted(tmp_path_factory, seed):
    """Threads spend the same few states; each state has one spender, and answers do not change."""
    choose = Random(seed)
    databases = Databases(tmp_path_factory.mktemp("race"))
    service = UniquenessService(databases=databases, clock=Clock())
    service.check(NODE, request(1, outputs=4))
    spends = [
        request(2 + n, inputs=[ref(1, i) for i in choose.sample(range(4), choose.randint(1, 2))])
        for n in range(24)
    ]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda one: service.check(NODE, one), spends))
        again = list(pool.map(lambda one: service.check(NODE, one), spends))
    assert again == results
    spent: dict[StateRef, str] = {}
    for one, result in zip(spends, results, strict=True):
        if result.is_accepted:
            assert spent.keys().isdisjoint(one.inputs)
            spent |= dict.fromkeys(one.inputs, one.id)
    assert spent
    assert databases.rows(NODE, CONSUMED) == len(spent)
    databases.close()
