"""Links between two clusters: messages, their latency, handshakes, and peers that are dead.

Two links with stores on disk, durable commits and real gateways over TLS, in two processes; member
lists and session keys are fixed and in memory. Each figure stands against a floor of the same run.
"""

import ipaddress
import itertools
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from benchmarks import workshop
from benchmarks.flow_steps import commits_per_second
from benchmarks.link_host import LinkHost, Plan, Side, holding
from benchmarks.measure import BenchmarkError, Measurement, latencies, seconds_of
from benchmarks.processor import used
from host.domain.accounts import Account
from host.domain.clock import SimClock
from host.domain.ids import HoldingIdentity
from host.flow.core.messages import Data, Party, SessionMessage, encode
from host.network.values.p2p_out import P2P_OUT_TOPIC
from host.network.values.pair import pair_of
from host.ports.bus import NewRecord
from host.ports.link import Post, PostResult, TlsPeer
from host.ports.units import Unit
from host.tools.network.authority import DevelopmentAuthority

_MESSAGES = 6_000
_PAYLOAD = 1024
_WRITTEN_AT_ONCE = 100
"""Messages of one commit of their senders, as flows of many nodes that share commits."""
_PROBES = 60
_HANDSHAKES = 400
_SECONDS_MAX = 300
_RECEIVER = holding("O=Receiver, L=Paris, C=FR")
_DEAD = holding("O=Dead, L=Paris, C=FR")
_DEAD_URL = "https://127.0.0.1:9"


def messages() -> list[Measurement]:
    """Messages of 1 KiB per second, from their records to the last acknowledgement."""
    found = []
    for pairs, goal in ((1, 1_500), (100, 3_000)):
        with _two(pairs) as (sender, pid):
            floor = commits_per_second()
            before = _processor(pid)
            seconds = seconds_of(lambda: _send_all(sender, _MESSAGES))  # called at once
            cpu = _processor(pid) - before
        rate = _MESSAGES / seconds
        found.append(
            Measurement(
                name=f"messages of 1 KiB across two links, {pairs} pair{'s' * (pairs > 1)}",
                value=rate,
                unit="/s",
                against=f"bare commits, synchronous=FULL ({floor:,.0f}/s)",
                ratio=rate / floor,
                note=f"goal: {goal:,}/s; {1000 * cpu / _MESSAGES:.2f} ms of processor time each,"
                " of both processes",
            )
        )
    return found


def latency() -> list[Measurement]:
    """One message at a time over an idle link, against its commits and one request over TLS."""
    with _two(1) as (sender, _):
        _send_all(sender, 1)
        times, posts, floors = [], [], []
        with _bare_server() as post:
            post()
            for _ in range(_PROBES):
                times.append(seconds_of(lambda: _send_all(sender, 1)))
                posts.append(seconds_of(post))
        floors = [1 / commits_per_second() for _ in range(3)]
    commit, request = statistics.median(floors), statistics.median(posts)
    # Its record, its number, its arrival, and the deletion of what was acknowledged.
    floor = 4 * commit + request
    ours = statistics.median(times)
    return [
        Measurement(
            name="one message over an idle link, until it is acknowledged",
            value=1000 * ours,
            unit="ms",
            against=f"four commits and a request over TLS ({1000 * floor:.1f} ms)",
            ratio=floor / ours,
            note=f"{ours / floor:.2f} times the floor, goal: 1.5; {latencies(times)}; a commit"
            f" {1000 * commit:.2f} ms, a request {1000 * request:.2f} ms",
        )
    ]


def handshakes() -> list[Measurement]:
    """Handshakes of many pairs with their first message, stored on both sides, in one process."""
    clock = SimClock()
    with tempfile.TemporaryDirectory(dir=workshop.folder()) as folder:
        plan = _plan(Path(folder), _HANDSHAKES)
        a, b = LinkHost(plan, "a", clock=clock), LinkHost(plan, "b", clock=clock)
        a.link.adopt(dict.fromkeys(range(a.store.partitions)))
        records = [_record(n, own) for n, own in enumerate(a.members.identities)]
        a.store.commit(Unit(records=tuple(records)))
        while a.link.work():
            pass
        floor = _bare_handshakes()
        cpu = time.process_time()
        seconds = seconds_of(lambda: _carry_all(a, b, clock))
        cpu = time.process_time() - cpu
        commits = commits_per_second()
        if _unsettled(a):
            raise BenchmarkError(f"{_unsettled(a)} messages were not sent: {a.failures[:3]}")
        a.store.close()
        b.store.close()
    rate = _HANDSHAKES / seconds
    share = cpu / _HANDSHAKES / floor
    return [
        Measurement(
            name="handshakes with their first message, stored on both sides",
            value=rate,
            unit="/s",
            against=f"their bare primitives ({1 / floor:,.0f}/s)",
            ratio=rate * floor,
            note=f"goal: 250/s; {1000 * cpu / _HANDSHAKES:.2f} ms of processor time each with the"
            f" message, {share:.1f} times the primitives (goal: 3); bare commits {commits:,.0f}/s",
        )
    ]


def dead_peers() -> list[Measurement]:
    """Messages of 50 pairs while 50 others write to a cluster that does not answer."""
    with _two(100) as (sender, _):
        members = list(sender.members.identities)
        live, others = members[:50], members[50:]
        alone = [seconds_of(lambda: _send_all(sender, _MESSAGES // 4, live)) for _ in range(3)]
        _write(sender, _MESSAGES // 4, others, _DEAD)
        beside = [seconds_of(lambda: _send_all(sender, _MESSAGES // 4, live)) for _ in range(3)]
        if _unsettled(sender, others) < _MESSAGES // 4:
            raise BenchmarkError("messages to a cluster that is dead were settled")
    before, after = (_MESSAGES / 4 / statistics.median(found) for found in (alone, beside))
    return [
        Measurement(
            name="messages of 50 pairs beside 50 pairs of a dead cluster",
            value=after,
            unit="/s",
            against=f"50 pairs alone ({before:,.0f}/s)",
            ratio=after / before,
            note="goal: 0.9 x",
        )
    ]


def _carry_all(a: LinkHost, b: LinkHost, clock: SimClock) -> None:
    """Carry requests from a to b on several threads, each pair from an address of its own."""
    failed: list[BaseException] = []

    def carry() -> None:
        try:
            while posts := a.link.take(0, 16):
                a.link.done([_carried(b, post) for post in posts])
        except BaseException as exc:  # noqa: BLE001  # told by the caller
            failed.append(exc)

    end = time.monotonic() + _SECONDS_MAX
    while _unsettled(a) and time.monotonic() < end and not failed:
        threads = [threading.Thread(target=carry) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.advance(1_000)
    if failed:
        raise BenchmarkError(str(failed[0]))


def _carried(b: LinkHost, post: Post) -> PostResult:
    reply = b.link.receive(post.body, TlsPeer(address=post.pair))
    return PostResult(post_id=post.post_id, status=reply.status, body=reply.body)


def _bare_handshakes() -> float:
    """Seconds for a handshake's primitives: two signatures and their checks, key agreements of
    both kinds.
    """
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    algorithm, data = ec.ECDSA(SHA256()), b"x" * 200

    def once() -> None:
        shares = [X25519PrivateKey.generate() for _ in range(2)]
        for own, other in (shares, reversed(shares)):
            own.exchange(other.public_key())
        kem = MLKEM768PrivateKey.generate()
        kem.decapsulate(kem.public_key().encapsulate()[1])
        for key in keys:
            key.public_key().verify(key.sign(data, algorithm), data, algorithm)

    return statistics.median(seconds_of(once) for _ in range(300))


@contextmanager
def _two(pairs: int) -> Iterator[tuple[LinkHost, int]]:
    """A link here, one in another process that it sends to, and that process's number."""
    with tempfile.TemporaryDirectory(dir=workshop.folder()) as folder:
        place = Path(folder)
        plan, file = _certified(_plan(place, pairs), place), place / "plan.json"
        plan.write(file)
        log = (workshop.folder() / "link-host.log").open("w", encoding="utf-8")
        words = [sys.executable, "-m", "benchmarks.link_host", str(file), "b"]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            there = replace(plan.sides["b"], url=f"https://127.0.0.1:{port}")
            sender = LinkHost(replace(plan, sides={**plan.sides, "b": there}), "a")
            sender.start()
            try:
                _send_all(sender, pairs)
                yield sender, process.pid
            finally:
                sender.stop()
                assert process.stdin is not None
                process.stdin.close()


def _plan(folder: Path, pairs: int) -> Plan:
    """Members of one cluster that each speak with the one of the other."""
    own = {f"O=Sender {n}, L=London, C=GB": n + 10 for n in range(pairs)}
    return Plan(
        sides={
            "a": Side(folder=str(folder), members=own),
            "b": Side(folder=str(folder), members={str(_RECEIVER.x500_name): 2}),
            "dead": Side(folder="", members={str(_DEAD.x500_name): 3}, url=_DEAD_URL),
        }
    )


def _certified(plan: Plan, folder: Path) -> Plan:
    authority = DevelopmentAuthority(folder / "ca")
    return Plan(
        root=authority.root,
        sides={name: _with_tls(authority, side) for name, side in plan.sides.items()},
    )


def _with_tls(authority: DevelopmentAuthority, side: Side) -> Side:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name.from_rfc4514_string("CN=Bench,O=Cordbox,L=London,C=GB")
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(names, critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    chain = authority.issue(request.public_bytes(Encoding.PEM).decode())
    return replace(side, chain=chain, key=private.hex())


_numbers = itertools.count(1)


def _record(number: int, source: HoldingIdentity, target: HoldingIdentity = _RECEIVER) -> NewRecord:
    message = SessionMessage(
        session_id=f"{number:032x}",
        sequence=1,
        source=Party.of(source),
        target=Party.of(target),
        payload=Data(payload="x" * _PAYLOAD),
    )
    return NewRecord(
        topic=P2P_OUT_TOPIC,
        key=pair_of(source, target),
        value=encode(message),
        node=source.short_hash,
    )


def _write(
    sender: LinkHost, count: int, sources: Sequence[HoldingIdentity], target: HoldingIdentity
) -> None:
    """Write messages of members in turn."""
    records = [_record(next(_numbers), sources[n % len(sources)], target) for n in range(count)]
    for at in range(0, count, _WRITTEN_AT_ONCE):
        sender.store.commit(Unit(records=tuple(records[at : at + _WRITTEN_AT_ONCE])))


def _send_all(
    sender: LinkHost, count: int, sources: Sequence[HoldingIdentity] | None = None
) -> None:
    """Write messages of members, of all by default, and wait until all were acknowledged."""
    _write(sender, count, sources or list(sender.members.identities), _RECEIVER)
    end = time.monotonic() + _SECONDS_MAX
    while _unsettled(sender, sources):
        if time.monotonic() > end:
            raise BenchmarkError(f"messages were not acknowledged: {sender.failures[:3]}")
        time.sleep(0.001 if count == 1 else 0.01)


def _unsettled(sender: LinkHost, sources: Sequence[HoldingIdentity] | None = None) -> int:
    """Records and messages that a link has not settled, of members, of all by default."""
    if sources is None:
        return sender.store.total(Account.BUS).rows
    return sum(sender.store.balance(node.short_hash, Account.BUS).rows for node in sources)


def _processor(pid: int) -> float:
    """Processor seconds of this process and another one."""
    return time.process_time() + used(pid).cpu_seconds


class _Answering(BaseHTTPRequestHandler):
    """Reads a request and answers with 200 bytes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "200")
        self.end_headers()
        self.wfile.write(bytes(200))

    def log_message(self, *args: object) -> None:
        del args


@contextmanager
def _bare_server() -> Iterator[Callable[[], None]]:
    """One request of a message's size over an open TLS 1.3 connection, between threads."""
    with tempfile.TemporaryDirectory(dir=workshop.folder()) as folder:
        place = Path(folder)
        side = _certified(_plan(place, 1), place).sides["b"]
        key = load_der_private_key(bytes.fromhex(side.key), None)
        file = place / "server.pem"
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(pem + side.chain.encode())
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(file)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
        server.socket = serving.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        context = ssl.create_default_context(cafile=str(place / "ca" / "ca.pem"))
        connection = HTTPSConnection("127.0.0.1", server.server_port, context=context)

        def post() -> None:
            connection.request("POST", "/", body=bytes(_PAYLOAD + 600))
            connection.getresponse().read()

        try:
            yield post
        finally:
            connection.close()
            server.shutdown()
            server.server_close()
