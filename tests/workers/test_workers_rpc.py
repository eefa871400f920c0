"""Calls between processes: what comes back, and what garbage, strangers and deaths do."""

import errno
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from types import SimpleNamespace
from typing import Protocol

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.domain.capability_error import CapabilityError
from host.domain.errors import HostError, NotFoundError, OutageError, UnavailableError
from host.domain.ids import EpochMs, HoldingIdentity, InvalidShortHashError, ShortHash
from host.domain.json import JsonObject, JsonValue
from host.domain.x500 import MemberX500Name
from host.flow.engine.outage_time import waited_ms
from host.ports.keys import KeyCategory, KeyInfo
from host.runtime.rpc import Interface, RpcClient, RpcServer, Service, wire
from host.runtime.rpc.frames import Answer, Call, RemoteFailureError, error_of, refusal_of
from host.runtime.rpc.server import CallInvalidError
from tests.support.properties import examples

KEY = b"k" * 32
ALICE = HoldingIdentity(x500_name=MemberX500Name.parse("O=Alice, L=London, C=GB"), group_id="group")


class Echoes(Protocol):
    def json(self, value: JsonValue) -> JsonValue: ...

    def objects(self, values: Sequence[JsonObject]) -> Sequence[JsonObject]: ...

    def data(self, data: bytes, times: int = 1) -> bytes: ...

    def key(self, key: KeyInfo) -> KeyInfo: ...

    def holding(self, holding: HoldingIdentity, *, at: EpochMs) -> HoldingIdentity | None: ...

    def nothing(self) -> None: ...

    def fail(self, kind: str) -> None: ...

    def ids(self) -> JsonObject: ...

    def once(self) -> str: ...


class Echo:
    def json(self, value):
        return value

    def objects(self, values):
        return values

    def data(self, data, times):
        return data * times

    def key(self, key):
        return key

    def holding(self, holding, *, at):
        return holding if at else None

    def nothing(self):
        return None

    def fail(self, kind):
        raise ERRORS[kind]

    def ids(self):
        return structlog.contextvars.get_contextvars()

    def once(self):
        return "done"


class UnheardOfError(NotFoundError):
    code = "unheard-of"


ERRORS = {
    "refused": InvalidShortHashError("no hash", field="x"),
    "capability": CapabilityError("entity-exists", "it is there"),
    "bug": ZeroDivisionError("division by zero"),
}
METHODS = ("json", "objects", "data", "key", "holding", "nothing", "fail", "ids", "once")
ECHO = Interface("echo", Echoes, None, METHODS, once=("once",))


@pytest.fixture(autouse=True)
def _quiet_log():
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    # Deeper than a socket's address may be long.
    deep = tmp_path_factory.mktemp("run") / ("d" * 100)
    deep.mkdir()
    return deep


@pytest.fixture(scope="module")
def server(folder):
    server = RpcServer(folder / "echo-0.sock", KEY, [Service(ECHO, Echo())])
    server.start()
    yield server
    assert server.stop(10)


@pytest.fixture(scope="module")
def echo(folder, server):
    client = RpcClient(folder, "echo-*", KEY)
    yield client.proxy(ECHO)
    client.close()


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=10,
)


@pytest.mark.property
@given(value=_JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_comes_back_as_it_was(echo, value):
    assert echo.json(value) == value
    assert echo.objects([{"a": value}]) == [{"a": value}]


@pytest.mark.property
@given(data=st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_come_back_as_they_were(echo, data):
    assert echo.data(data) == data


def test_values_keep_their_types_and_defaults(echo):
    key = KeyInfo(
        key_id=ShortHash("0" * 12),
        tenant="p2p",
        category=KeyCategory.TLS,
        alias="a",
        scheme="s",
        public_key="pem",
        created_at=EpochMs(1),
    )
    assert echo.key(key=key) == key
    assert echo.holding(ALICE, at=EpochMs(1)) == ALICE
    assert echo.holding(ALICE, at=EpochMs(0)) is None
    assert echo.nothing() is None
    assert echo.data(b"ab", times=2) == b"abab"


def test_wrong_arguments_are_refused_by_the_caller_and_by_the_server(echo, folder):
    with pytest.raises(TypeError):
        echo.data()
    for arguments in (b"{}", b"[1]", b'["YQ==",1,1]', b"[]", b'["YQ==","x"]'):
        with pytest.raises(CallInvalidError):
            ask(folder, Call("echo", "data", msgspec.Raw(arguments), {}))


@pytest.mark.parametrize(("service", "method"), [("keys", "sign"), ("echo", "__class__")])
def test_only_what_an_interface_names_can_be_called(folder, server, service, method):
    with pytest.raises(CallInvalidError, match=f"'{service}'.*'{method}'"):
        ask(folder, Call(service, method, msgspec.Raw(b"[]"), {}))


def ask(folder, call):
    connection = wire.dial(folder / "echo-0.sock", KEY, seconds_max=5)
    connection.send_bytes(call if isinstance(call, bytes) else msgspec.json.encode(call))
    answer = msgspec.json.decode(connection.recv_bytes(), type=Answer)
    connection.close()
    if answer.refusal is not None:
        raise error_of(answer.refusal)
    return answer.result


@pytest.mark.parametrize("kind", ["refused", "capability", "bug"])
def test_a_refusal_stays_what_it_was(echo, kind):
    expected = RemoteFailureError if kind == "bug" else type(ERRORS[kind])
    with pytest.raises(expected) as raised:
        echo.fail(kind)
    if kind != "bug":
        assert (raised.value.code, raised.value.message) == (
            ERRORS[kind].code,
            ERRORS[kind].message,
        )
    if kind == "refused":
        assert raised.value.details == {"field": "x"}
    assert echo.data(b"still there") == b"still there"


def test_a_refusal_of_an_unknown_class_is_its_nearest_known_one():
    refusal = refusal_of(UnheardOfError("gone", what="it"))
    unknown = msgspec.structs.replace(refusal, codes=("never-seen", *refusal.codes[1:]))
    error = error_of(unknown)
    assert type(error) is NotFoundError
    assert (error.code, error.message, error.details) == ("never-seen", "gone", {"what": "it"})
    assert NotFoundError.code == "not-found"
    assert type(error_of(msgspec.structs.replace(refusal, codes=("x",)))) is HostError


def test_the_ids_of_the_log_travel_with_a_call(echo):
    with structlog.contextvars.bound_contextvars(flow_id="f", holding_id="h", secret="s"):
        assert echo.ids() == {"flow_id": "f", "holding_id": "h"}
    assert echo.ids() == {}


@pytest.mark.property
@given(frame=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_frame_that_is_no_call_is_refused(folder, server, frame):
    with pytest.raises(HostError):
        ask(folder, frame)


@pytest.mark.property
@given(garbage=st.binary(min_size=1, max_size=100))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=examples(50),
)
def test_garbage_before_the_handshake_harms_nobody(folder, server, echo, garbage):
    with (
        socket.socket(socket.AF_UNIX) as stranger,
        wire.socket_address(folder / "echo-0.sock") as address,
    ):
        stranger.connect(address)
        stranger.sendall(garbage)
    assert echo.json(1) == 1


def test_a_frame_that_is_too_long_ends_the_connection(folder, server, echo):
    connection = wire.dial(folder / "echo-0.sock", KEY, seconds_max=5)
    os.write(connection.fileno(), struct.pack("!i", wire.FRAME_BYTES_MAX + 1))
    with pytest.raises((EOFError, OSError)):
        connection.recv_bytes()
    connection.close()
    assert echo.json(1) == 1


def test_who_does_not_know_the_key_gets_nothing(folder, server, echo):
    with pytest.raises(AuthenticationError):
        wire.dial(folder / "echo-0.sock", b"another", seconds_max=5)
    stranger = RpcClient(folder, "echo-*", b"another", patience_seconds=0)
    with pytest.raises(UnavailableError):
        stranger.proxy(ECHO).nothing()
    assert echo.json(1) == 1


def test_a_half_frame_does_not_block_others(folder, server, echo):
    connection = wire.dial(folder / "echo-0.sock", KEY, seconds_max=5)
    os.write(connection.fileno(), struct.pack("!i", 100) + b"half")
    assert echo.json(1) == 1
    connection.close()


def test_without_a_worker_a_call_is_unavailable(tmp_path):
    client = RpcClient(tmp_path, "crypto-*", KEY, patience_seconds=0)
    with pytest.raises(OutageError, match=r"crypto-\*"):
        client.proxy(ECHO).nothing()


@contextmanager
def ending_worker(folder):
    """A worker that ends during its first call."""
    listener = wire.listen(folder / "echo-0.sock")

    def end_during_the_call():
        accepted, _ = listener.accept()
        connection = wire.bounded(accepted, 5)
        wire.welcome(connection, KEY, seconds_max=5)
        connection.recv_bytes()
        listener.close()
        (folder / "echo-0.sock").unlink()
        connection.close()

    worker = threading.Thread(target=end_during_the_call)
    worker.start()
    yield
    worker.join(30)


def test_a_call_during_which_the_last_worker_ends_is_no_mere_outage(tmp_path):
    """Whoever repeats such calls for ever might end worker after worker by them."""
    client = RpcClient(tmp_path, "echo-*", KEY, patience_seconds=0.2)
    with ending_worker(tmp_path):
        with pytest.raises(UnavailableError, match="end during the call") as refused:
            client.proxy(ECHO).nothing()
        assert not isinstance(refused.value, OutageError)
    with pytest.raises(OutageError):
        client.proxy(ECHO).nothing()


def test_what_a_worker_that_ends_has_cost_is_no_time_of_the_caller(tmp_path, monkeypatch):
    """A run's limit of time would end it for calls that were answered by nobody."""
    seconds = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: None)
    monkeypatch.setattr("host.runtime.rpc.client.time", clock)
    before = waited_ms()
    client = RpcClient(tmp_path, "echo-*", KEY, patience_seconds=0)
    with ending_worker(tmp_path), pytest.raises(UnavailableError):
        client.proxy(ECHO).nothing()
    assert waited_ms() - before >= 1_000


class Slow(Echo):
    """Says when a call is in, and answers when it may."""

    def __init__(self):
        self.entered, self.may_answer = threading.Event(), threading.Event()

    def json(self, value):
        self.entered.set()
        assert self.may_answer.wait(30)
        return value


def test_a_server_that_stops_lets_running_calls_end(tmp_path):
    slow = Slow()
    server = RpcServer(tmp_path / "echo-0.sock", KEY, [Service(ECHO, slow)])
    server.start()
    client = RpcClient(tmp_path, "echo-*", KEY, patience_seconds=0)
    proxy = client.proxy(ECHO)
    answers = []
    caller = threading.Thread(target=lambda: answers.append(proxy.json(7)))
    caller.start()
    assert slow.entered.wait(30)
    assert server.busy() == 1
    assert not server.stop(0)
    with pytest.raises(UnavailableError):
        proxy.nothing()
    slow.may_answer.set()
    caller.join(30)
    assert answers == [7]
    client.close()


def test_a_server_without_descriptors_or_threads_is_there_again_when_it_has_some(tmp_path):
    class Wanting:
        """A listener that fails as `accept` does in a process that has too many files open."""

        def __init__(self, listener):
            self.listener, self.failures = listener, [OSError(errno.EMFILE, "too many open files")]

        def accept(self):
            if self.failures:
                raise self.failures.pop()
            return self.listener.accept()

        def __getattr__(self, name):
            return getattr(self.listener, name)

    server = RpcServer(tmp_path / "echo-0.sock", KEY, [Service(ECHO, Echo())])
    server._listener = Wanting(server._listener)
    server.start()
    client = RpcClient(tmp_path, "echo-*", KEY)
    assert client.proxy(ECHO).json(7) == 7
    assert server._listener.failures == []
    client.close()
    assert server.stop(10)


SERVER = """
import sys, time
from pathlib import Path
from tests.workers.test_workers_rpc import ECHO, KEY, Echo
from host.runtime.rpc import RpcServer, Service

class Stuck(Echo):
    def json(self, value):
        print("in", flush=True)
        time.sleep(60)

    def once(self):
        self.json(0)

RpcServer(Path(sys.argv[1]), KEY, [Service(ECHO, Stuck())]).start()
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.crash
@pytest.mark.parametrize("method", ["json", "once"])
def test_a_worker_that_dies_in_a_call_is_replaced_by_another(tmp_path, method):
    words = [sys.executable, "-c", SERVER, str(tmp_path / "echo-0.sock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dying:
        assert dying.stdout.readline() == "up\n"
        outcome = []
        proxy = RpcClient(tmp_path, "echo-*", KEY).proxy(ECHO)

        def call():
            try:
                outcome.append(proxy.json(7) if method == "json" else proxy.once())
            except UnavailableError as refused:
                outcome.append(refused.code)

        caller = threading.Thread(target=call)
        caller.start()
        assert dying.stdout.readline() == "in\n"
        other = RpcServer(tmp_path / "echo-1.sock", KEY, [Service(ECHO, Echo())])
        other.start()
        dying.send_signal(signal.SIGKILL)
        caller.join(30)
    # A call that must not be made twice is given up: nobody knows whether it was carried out.
    assert outcome == ([7] if method == "json" else ["unavailable"])
    assert proxy.json(8) == 8
    assert other.stop(10)


def test_a_refused_host_call_keeps_its_account_and_its_reason():
    for more in ({}, {"account": "vault"}, {"reason_code": "number-unlucky"}):
        error = error_of(refusal_of(CapabilityError("some-code", "no", **more)))
        assert isinstance(error, CapabilityError)
        found = {name: getattr(error, name) for name in ("account", "reason_code")}
        assert {name: value for name, value in found.items() if value} == more
