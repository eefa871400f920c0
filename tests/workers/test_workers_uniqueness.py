"""The uniqueness service in a process of its own: what is decided, over a socket, as without one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from host.domain.errors import StorageError, UnavailableError
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.notary.model import Check
from host.ledger.notary.service import UniquenessService
from host.runtime.rpc import RpcClient, RpcServer, Service
from host.runtime.wiring.services import UNIQUENESS, RemoteUniqueness, ServedUniqueness
from tests.ledger.test_ledger_uniqueness import NODE, OTHER, Clock, Databases, kind, ref, request

KEY = b"k" * 32


class Worker:
    """A worker process's socket and service, in this process."""

    def __init__(self, folder, databases, number=0):
        self.service = UniquenessService(databases=databases, clock=Clock())
        served = Service(UNIQUENESS, ServedUniqueness(self.service))
        self.server = RpcServer(folder / f"uniqueness-{number}.sock", KEY, [served])
        self.server.start()


@pytest.fixture
def databases(tmp_path):
    made = Databases(tmp_path)
    yield made
    made.close()


@pytest.fixture
def remote(tmp_path, databases):
    worker = Worker(tmp_path, databases)
    client = RpcClient(tmp_path, "uniqueness-*", KEY)
    yield worker, RemoteUniqueness(client.proxy(UNIQUENESS))
    client.close()
    worker.server.stop(10)


def test_every_kind_of_result_comes_back_as_it_was_decided(remote):
    worker, remotely = remote
    upper = "2026-11-18T09:00:00.000000Z"
    asked = [
        request(1, outputs=2),
        request(2, inputs=[ref(1)]),
        request(3, inputs=[ref(1)]),
        request(4, references=[ref(1)]),
        request(5, inputs=[ref(77)]),
        request(6, references=[ref(77)]),
        request(7, upper=upper),
        request(8, upper=None),
        request(9, check=Check.READ),
        replace(request(2), check=Check.READ),
    ]
    answers = [remotely.check(NODE, one) for one in asked]
    assert [kind(answer) for answer in answers] == [
        None,
        None,
        ErrorKind.INPUT_STATE_CONFLICT,
        ErrorKind.REFERENCE_STATE_CONFLICT,
        ErrorKind.INPUT_STATE_UNKNOWN,
        ErrorKind.REFERENCE_STATE_UNKNOWN,
        ErrorKind.TIME_WINDOW_OUT_OF_BOUNDS,
        ErrorKind.MALFORMED_REQUEST,
        ErrorKind.NOT_PREVIOUSLY_SEEN_TRANSACTION,
        None,
    ]
    assert answers == [worker.service.check(NODE, one) for one in asked]


def test_nodes_are_kept_apart(remote):
    _, remotely = remote
    assert kind(remotely.check(NODE, request(1))) is None
    assert kind(remotely.check(OTHER, request(2, inputs=[ref(1)]))) is ErrorKind.INPUT_STATE_UNKNOWN


def test_a_database_that_fails_fails_at_the_caller(remote, databases):
    _, remotely = remote

    def fail(_node):
        raise StorageError("the disk is full", path="uniqueness.sqlite")

    databases.before = fail
    with pytest.raises(StorageError, match="the disk is full"):
        remotely.check(NODE, request(1))
    databases.before = lambda _node: None
    assert kind(remotely.check(NODE, request(1))) is None


def test_callers_that_ask_at_once_spend_a_state_once(remote):
    _, remotely = remote
    assert kind(remotely.check(NODE, request(1))) is None
    rivals = [request(2 + number, inputs=[ref(1)]) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        first = list(pool.map(lambda one: remotely.check(NODE, one), rivals))
    assert [kind(each) for each in first].count(None) == 1
    assert [remotely.check(NODE, one) for one in rivals] == first


def test_what_a_worker_decided_stands_after_its_end(tmp_path, remote):
    worker, remotely = remote
    assert kind(remotely.check(NODE, request(1))) is None
    assert kind(remotely.check(NODE, request(2, inputs=[ref(1)]))) is None
    worker.server.stop(10)
    databases = Databases(tmp_path)
    after = Worker(tmp_path, databases, number=1)
    assert kind(remotely.check(NODE, request(2, inputs=[ref(1)]))) is None
    assert kind(remotely.check(NODE, request(3, inputs=[ref(1)]))) is ErrorKind.INPUT_STATE_CONFLICT
    after.server.stop(10)
    databases.close()


def test_without_a_worker_nothing_is_decided(tmp_path):
    client = RpcClient(tmp_path, "uniqueness-*", KEY, patience_seconds=0.1)
    with pytest.raises(UnavailableError):
        RemoteUniqueness(client.proxy(UNIQUENESS)).check(NODE, request(1))
    client.close()
