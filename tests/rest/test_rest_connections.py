"""Connections on loopback: whoever is slow, silent or one too many is ended, others go on."""

import contextlib
import errno
import signal
import socket
import ssl
import threading

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from host.adapters.http.acceptor import DoorMetrics
from host.adapters.http.admission import Seats
from host.adapters.http.pace import Patience
from host.adapters.os.system import SystemClock
from host.ports.live import Fixed
from host.rest.listener import bind
from host.rest.server import Door, serve, serving_plainly
from host.rest.tls import own_certificate

SECONDS_MAX = 30
LARGE = 32 * 1024 * 1024
QUICK = Patience(
    handshake_seconds=0.2,
    head_seconds=0.2,
    idle_seconds=0.2,
    window_seconds=0.1,
    linger_seconds=0.2,
    transfer_seconds_max=20,
)
PATIENT = Patience()


async def refuse(request):
    """Answers without a look at the body, as who asks for credentials does."""
    return PlainTextResponse("who?", 401)


async def swallow(request):
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return PlainTextResponse(str(size))


async def large(request):
    return Response(bytes(LARGE))


PAGES = Starlette(
    routes=[
        Route("/", lambda request: PlainTextResponse("page")),
        Route("/refuse", refuse, methods=["POST"]),
        Route("/swallow", swallow, methods=["POST"]),
        Route("/large", large),
    ]
)


class Site:
    """A served application, and what its metrics say."""

    def __init__(self, address, registry):
        self.address, self._registry = address, registry

    def connect(self, source="127.0.0.1"):
        return contextlib.closing(
            socket.create_connection(self.address, SECONDS_MAX, source_address=(source, 0))
        )

    def count(self, name, reason):
        value = self._registry.get_sample_value(
            f"cordbox_rest_connections_{name}", {"reason": reason}
        )
        return value or 0

    def ended(self, reason):
        return self.count("ended_total", reason)

    def until_ended(self, reason, times=1):
        waited = threading.Event()
        while self.ended(reason) < times:
            waited.wait(0.01)
        return True

    def refused(self, reason):
        return self.count("refused_total", reason)


@contextlib.contextmanager
def site(patience, seats=None, proxies=()):
    registry = CollectorRegistry()
    door = Door(
        seats=seats or Seats(total_max=100, address_max=100),
        patience=patience,
        proxies=proxies,
        metrics=DoorMetrics(registry),
    )
    listener = bind("127.0.0.1", 0)
    address = listener.getsockname()
    with serving_plainly(PAGES, listener=listener, door=door, threads=2, stop_seconds_max=5):
        yield Site(address, registry)


def post(path, *headers):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def rest_of(connection):
    """Everything until the server closes."""
    chunks = []
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def answer(connection):
    """One answer with a length, which leaves the connection as it is."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        assert chunk, data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    (length,) = [
        int(h.split(b":")[1])
        for h in head.split(b"\r\n")
        if h.lower().startswith(b"content-length")
    ]
    while len(body) < length:
        body += connection.recv(65536)
    return head, body


def test_who_is_refused_before_the_body_cannot_hold_the_connection_by_sending_it():
    with site(QUICK) as here, here.connect() as connection:
        connection.sendall(post("/refuse", "Content-Length: 1000000"))
        head, _ = answer(connection)
        assert head.startswith(b"HTTP/1.1 401")
        assert b"connection: close" in head.lower()
        connection.sendall(b"x")
        assert rest_of(connection) == b""
        assert here.until_ended("body-unread")


@pytest.mark.parametrize("framing", ["Content-Length: 3000000", "Transfer-Encoding: chunked"])
def test_who_still_sends_a_body_sees_the_answer(framing):
    with site(PATIENT) as here, here.connect() as connection:
        connection.sendall(post("/refuse", framing))
        body = bytes(3_000_000)
        connection.sendall(body if "Length" in framing else b"2dc6c0\r\n" + body + b"\r\n0\r\n\r\n")
        assert answer(connection)[0].startswith(b"HTTP/1.1 401")


def test_what_nobody_reads_is_read_for_so_long_only():
    with site(PATIENT) as here, here.connect() as connection:
        connection.sendall(post("/refuse", f"Content-Length: {LARGE}"))
        answer(connection)
        with contextlib.suppress(ConnectionError):
            connection.sendall(bytes(LARGE))
        assert rest_of(connection) == b""
        assert here.until_ended("body-unread")


def test_a_body_that_hardly_moves_is_not_waited_for():
    with site(QUICK) as here, here.connect() as connection:
        connection.sendall(post("/swallow", "Content-Length: 1000000") + b"x")
        told = rest_of(connection)
        assert told.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in told
        assert here.until_ended("body-too-slow")


def test_a_body_that_moves_has_an_end_all_the_same():
    patience = Patience(
        window_seconds=0.05, transfer_bytes_per_second_min=1, transfer_seconds_max=0.3
    )
    with site(patience) as here, here.connect() as connection:
        connection.sendall(post("/swallow", f"Content-Length: {LARGE}"))
        told = b""
        while not told:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"x" * 1024)
            connection.settimeout(0.001)
            with contextlib.suppress(TimeoutError):
                told = connection.recv(4096)
        assert told.startswith(b"HTTP/1.1 408")


def test_a_body_at_a_good_pace_arrives_whole():
    with site(PATIENT) as here, here.connect() as connection:
        for _ in range(2):
            connection.sendall(post("/swallow", "Content-Length: 2000000") + bytes(2_000_000))
            head, body = answer(connection)
            assert body == b"2000000"
            assert b"connection: close" not in head.lower()


def test_who_does_not_read_an_answer_is_left():
    with site(QUICK) as here, here.connect() as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(1)
        # Nothing is read until the server has given up, which shows in what there is then to read.
        here.until_ended("reader-too-slow")
        assert len(rest_of(connection)) < LARGE


def test_who_reads_an_answer_gets_all_of_it():
    with site(PATIENT) as here, here.connect() as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert rest_of(connection).partition(b"\r\n\r\n")[2] == bytes(LARGE)


def test_an_answer_on_its_way_is_sent_before_the_server_stops():
    found = []
    with contextlib.ExitStack() as stack:
        with site(PATIENT) as here:
            connection = stack.enter_context(here.connect())
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            first = connection.recv(1)
            reader = threading.Thread(target=lambda: found.append(rest_of(connection)))
            reader.start()
        reader.join()
    assert (first + found[0]).partition(b"\r\n\r\n")[2] == bytes(LARGE)


@pytest.mark.parametrize("dribble", [b"", b"\r\n"])
def test_an_idle_connection_ends_whatever_it_dribbles(dribble):
    with site(QUICK) as here, here.connect() as connection:
        connection.sendall(GET)
        answer(connection)
        connection.sendall(dribble)
        assert rest_of(connection) == b""
        assert here.until_ended("idle")


def test_trailers_do_not_fill_the_memory():
    with site(PATIENT) as here, here.connect() as connection:
        connection.sendall(post("/swallow", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\nX: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(256):
                connection.sendall(b"a" * 65536)
        assert rest_of(connection) == b""
        assert here.until_ended("head-too-long")


def test_requests_in_a_row_are_answered_in_order():
    with site(PATIENT) as here, here.connect() as connection:
        connection.sendall(GET + post("/swallow", "Content-Length: 3") + b"abc" + GET)
        told = b""
        while told.count(b"HTTP/1.1 200") < 3 or not told.endswith(b"page"):
            told += connection.recv(65536)
        assert [part.rpartition(b"\r\n")[2] for part in told.split(b"HTTP/1.1 200")[1:]] == [
            b"page", b"3", b"page",
        ]  # fmt: skip


def test_one_too_many_is_refused_at_once_and_the_others_go_on():
    with site(PATIENT, Seats(total_max=8, address_max=8)) as here, contextlib.ExitStack() as stack:
        held = [stack.enter_context(here.connect()) for _ in range(8)]
        for connection in held:
            connection.sendall(GET)
            answer(connection)
        with here.connect() as late:
            assert rest_of(late) == b""
        assert here.refused("full") == 1
        held[3].sendall(GET)
        assert answer(held[3])[1] == b"page"
        held[0].close()
        while True:
            with here.connect() as late, contextlib.suppress(ConnectionError):
                late.sendall(GET)
                if late.recv(12) == b"HTTP/1.1 200":
                    break


def test_one_address_cannot_take_all():
    with site(PATIENT, Seats(total_max=8, address_max=4)) as here, contextlib.ExitStack() as stack:
        held = [stack.enter_context(here.connect("127.0.0.2")) for _ in range(5)]
        assert rest_of(held[4]) == b""
        assert here.refused("share") == 1
        with here.connect("127.0.0.3") as other:
            other.sendall(GET)
            assert answer(other)[1] == b"page"


def test_no_descriptor_left_makes_nobody_spin(monkeypatch):
    """The kernel keeps who comes meanwhile; the loop does not ask it again at once."""
    fails, real = [], socket.socket.accept

    def accept(listener):
        if len(fails) < 2:
            fails.append(1)
            raise OSError(errno.EMFILE, "Too many open files")
        return real(listener)

    monkeypatch.setattr(socket.socket, "accept", accept)
    with site(PATIENT) as here, here.connect() as connection:
        connection.sendall(GET)
        assert answer(connection)[1] == b"page"
        assert here.refused("no-room") == 2


@pytest.fixture
def secure(tmp_path):
    """Runs a client on another thread against an HTTPS site on this one."""

    def run(client, **changes):
        found, registry = [], CollectorRegistry()
        listener = bind("127.0.0.1", 0)
        files = own_certificate(tmp_path, listen_host="127.0.0.1", clock=SystemClock())
        here = Site(listener.getsockname(), registry)

        def work():
            try:
                found.append(client(here, files))
            finally:
                signal.raise_signal(signal.SIGTERM)

        thread = threading.Thread(target=work)
        serve(
            PAGES,
            listener=listener,
            certificate=files,
            threads=2,
            stop_seconds_max=5,
            on_ready=thread.start,
            door=Fixed(
                Door(
                    seats=Seats(total_max=100, address_max=100),
                    metrics=DoorMetrics(registry),
                    **{"patience": QUICK, **changes},
                )
            ),
        )
        thread.join()
        assert registry.get_sample_value("cordbox_rest_connections") == 0
        return found[0]

    return run


def test_a_handshake_that_does_not_go_on_is_ended(secure):
    def client(here, _files):
        with here.connect() as silent, here.connect() as halfway:
            halfway.sendall(b"\x16\x03\x01")
            return rest_of(silent), rest_of(halfway), here.until_ended("handshake", 2)

    assert secure(client) == (b"", b"", True)


def test_http_without_tls_gets_an_answer_that_can_be_read(secure):
    def client(here, _files):
        with here.connect() as plain, here.connect() as garbage:
            plain.sendall(GET)
            garbage.sendall(b"\x00" * 100)
            return rest_of(plain), rest_of(garbage), here.until_ended("no-tls", 2)

    told, nothing, _ = secure(client)
    assert told.startswith(b"HTTP/1.1 400")
    assert b"https://" in told
    assert nothing == b""


def over_tls(here, files):
    context = ssl.create_default_context(cafile=files.certificate_file)
    plain = socket.create_connection(here.address, SECONDS_MAX)
    return contextlib.closing(context.wrap_socket(plain, server_hostname="localhost"))


def test_the_walls_stand_behind_tls_too(secure):
    def client(here, files):
        with over_tls(here, files) as refused, over_tls(here, files) as slow:
            refused.sendall(post("/refuse", "Content-Length: 1000000"))
            head, _ = answer(refused)
            refused.sendall(b"x")
            slow.sendall(post("/swallow", "Content-Length: 1000000"))
            return head, rest_of(refused), rest_of(slow)

    head, nothing, told = secure(client)
    assert head.startswith(b"HTTP/1.1 401")
    assert nothing == b""
    assert told.startswith(b"HTTP/1.1 408")


def test_a_large_answer_arrives_whole_behind_tls(secure):
    def client(here, files):
        with over_tls(here, files) as connection:
            connection.sendall(
                b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            return len(rest_of(connection).partition(b"\r\n\r\n")[2])

    assert secure(client, patience=PATIENT) == LARGE


def test_who_does_not_read_is_left_behind_tls_too(secure):
    def client(here, files):
        with over_tls(here, files) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return here.until_ended("reader-too-slow")

    assert secure(client)


def test_many_connections_at_once_are_all_served(secure):
    def client(here, files):
        told = []

        def one():
            for _ in range(10):
                with over_tls(here, files) as connection:
                    connection.sendall(GET)
                    told.append(answer(connection)[1])

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return told

    assert secure(client, patience=PATIENT) == [b"page"] * 80
