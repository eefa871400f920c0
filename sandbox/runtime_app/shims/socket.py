"""`socket` of a sandbox: names and address forms; everything that needs a network refuses.

Numbers are those of Linux.
"""

import ipaddress
import struct
from enum import IntEnum
from typing import Any


class AddressFamily(IntEnum):
    """Kinds of addresses."""

    AF_UNSPEC = 0
    AF_UNIX = 1
    AF_INET = 2
    AF_INET6 = 10


class SocketKind(IntEnum):
    """Kinds of sockets."""

    SOCK_STREAM = 1
    SOCK_DGRAM = 2
    SOCK_RAW = 3


AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6 = AddressFamily
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = SocketKind
IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6 = 0, 6, 17, 41
SOL_SOCKET, SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, TCP_NODELAY = 1, 2, 9, 6, 1
SHUT_RD, SHUT_WR, SHUT_RDWR = 0, 1, 2
SOMAXCONN = 4096
EAI_FAMILY, EAI_NONAME, EAI_SERVICE = -6, -2, -8
has_ipv6 = False

error = OSError
timeout = TimeoutError


class herror(OSError):
    """An error of an address lookup."""


class gaierror(OSError):
    """An error of a name lookup."""


class socket:
    """An end of a connection; refused."""


def getdefaulttimeout() -> None:
    """None: nothing waits."""


def setdefaulttimeout(_timeout: float | None) -> None:
    """Kept nowhere: nothing waits."""


def inet_pton(family: int, text: str) -> bytes:
    """The bytes of an address.

    Raises:
        OSError: it is none.
    """
    cls: Any = ipaddress.IPv4Address if family == AF_INET else ipaddress.IPv6Address
    try:
        return bytes(cls(text).packed)
    except ValueError:
        raise OSError("illegal IP address string passed to inet_pton") from None


def inet_ntop(family: int, packed: bytes) -> str:
    """The text of an address.

    Raises:
        ValueError: it has another length.
    """
    if len(packed) != (4 if family == AF_INET else 16):
        raise ValueError("invalid length of packed IP address string")
    return str(ipaddress.ip_address(packed))


def inet_aton(text: str) -> bytes:
    """The bytes of an IPv4 address of one to four numbers, as C reads them.

    Raises:
        OSError: it is none.
    """
    try:
        numbers = [_number(part) for part in text.split(".")]
        last = struct.pack("!Q", numbers[-1])
        head = bytes(numbers[:-1])
    except (ValueError, struct.error):
        raise OSError("illegal IP address string passed to inet_aton") from None
    tail = 4 - len(head)
    if tail < 1 or any(last[:-tail]):
        raise OSError("illegal IP address string passed to inet_aton")
    return head + last[-tail:]


def _number(text: str) -> int:
    if not text.isascii() or not text[:1].isdigit() or "_" in text:
        raise ValueError(text)
    if text[:2].lower() == "0x":
        return int(text, 16)
    return int(text, 8 if text[0] == "0" else 10)


def inet_ntoa(packed: bytes) -> str:
    """The text of an IPv4 address."""
    return inet_ntop(AF_INET, packed)


def htons(number: int) -> int:
    """Two bytes in the order of networks."""
    return int(struct.unpack("=H", struct.pack("!H", number))[0])


def htonl(number: int) -> int:
    """Four bytes in the order of networks."""
    return int(struct.unpack("=L", struct.pack("!L", number))[0])


ntohs, ntohl = htons, htonl


def _refused() -> None:
    """Stands for what the table of modules refuses."""


create_connection = create_server = fromfd = getaddrinfo = getfqdn = gethostbyaddr = _refused
gethostbyname = gethostbyname_ex = gethostname = getnameinfo = getservbyname = _refused
getservbyport = getprotobyname = socketpair = _refused
SocketType = socket
