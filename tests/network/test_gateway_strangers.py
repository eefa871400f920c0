"""What strangers hold at a real gateway before their TLS handshake has ended, and in it."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from host.network.link.admission import Rate
from tests.network.gateways import serving
from tests.network.test_gateway import ACK, CA, HEAD, Answering, connected, posted

SECONDS = 20
CLIENT_HELLO = bytes.fromhex("160301020001000001fc0303")
"""The beginning of one; the rest never comes."""


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def stranger(opened: ExitStack, port: int, source: str = "127.0.0.1") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), SECONDS, source_address=(source, 0))
    return opened.enter_context(made)


def is_closed(connection: socket.socket) -> bool:
    """Waits until the other side has closed it; False if it has not."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def told(registry: Any, name: str, reason: str) -> float:
    full = f"cordbox_gateway_connections_{name}_total"
    return registry.get_sample_value(full, {"reason": reason}) or 0


@pytest.mark.parametrize("sent", [b"", b"\x16", CLIENT_HELLO], ids=["silent", "a byte", "half"])
def test_handshakes_that_never_end_keep_nobody_out(opened: ExitStack, sent: bytes) -> None:
    """The oldest of them goes for a newcomer: here four may be under way."""
    with serving(Answering(), CA, handshakes_max=4) as (port, registry):
        slow = [stranger(opened, port) for _ in range(4)]
        for each in slow:
            each.sendall(sent)
        assert posted(connected(port)) == (200, ACK)
        assert is_closed(slow[0])
        for _ in range(8):
            slow.append(stranger(opened, port))
            slow[-1].sendall(sent)
        assert posted(connected(port)) == (200, ACK)
        assert all(is_closed(each) for each in slow[:8])
        assert told(registry, "ended", "crowded") >= 8
        assert registry.get_sample_value("cordbox_gateway_connections") <= 4 + 2


def test_an_address_that_connects_too_often_is_refused_before_its_handshake(
    opened: ExitStack,
) -> None:
    link = Answering()
    with serving(link, CA, handshake_rate=Rate(per_address=3, total=1_000)) as (port, registry):
        made = [stranger(opened, port, "127.0.0.2") for _ in range(8)]
        assert all(is_closed(each) for each in made[6:])
        assert told(registry, "refused", "rate") >= 2
        assert posted(connected(port)) == (200, ACK), "another address"


def test_all_addresses_together_begin_a_bounded_number_of_handshakes(opened: ExitStack) -> None:
    with serving(Answering(), CA, handshake_rate=Rate(per_address=100, total=3)) as (
        port,
        registry,
    ):
        made = [stranger(opened, port, f"127.0.1.{n}") for n in range(1, 9)]
        assert is_closed(made[-1])
        assert told(registry, "refused", "rate") >= 1


def test_one_address_holds_its_share_of_connections_and_others_get_in(opened: ExitStack) -> None:
    """The limit of 64 counts those that have not begun TLS."""
    free = Rate(per_address=10_000, total=10_000)
    with serving(Answering(), CA, handshake_rate=free) as (port, registry):
        made = [stranger(opened, port, "127.0.0.3") for _ in range(65)]
        assert is_closed(made[-1])
        assert told(registry, "refused", "share") == 1
        assert posted(connected(port)) == (200, ACK)


def test_behind_a_load_balancer_only_the_sum_counts(opened: ExitStack) -> None:
    rate = Rate(per_address=1, total=1_000)
    with serving(Answering(), CA, handshake_rate=rate, has_address_limits=False) as (port, _):
        for _ in range(4):
            assert posted(connected(port)) == (200, ACK)


def test_half_a_message_that_never_ends_delays_nobody(opened: ExitStack) -> None:
    """A head without its end, and a body without its end, each hold one connection."""
    link = Answering()
    with serving(link, CA) as (port, _):
        context = ssl.create_default_context(cadata=CA.root_pem)
        heads = (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-le",
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
            b"content-type: application/x-cordbox-link\r\n\r\n" + HEAD,
        )
        for head in heads:
            half = context.wrap_socket(stranger(opened, port), server_hostname="127.0.0.1")
            half.sendall(head)
            opened.enter_context(half)
        for _ in range(3):
            assert posted(connected(port)) == (200, ACK)
        assert link.bodies == [HEAD] * 3, "no half message reaches the link"
