"""What parsers of untrusted bytes cost for each byte, as inputs double: linear ones cost the same.

Inputs are as large as limits allow, and of the kinds that cost most. Refused ones are left at their
first excess, so they cost less for each byte the larger they are.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

import zstandard

from benchmarks.measure import Measurement, median_seconds
from cpi.archive.zstd_frame import ZstdRefusedError, unpack_frame
from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.cms import verify_signed_data
from cpi.crypto.der import check_der
from cpi.crypto.pem import pem_blocks
from cpi.errors import CpiError
from cpi.jar.manifest import parse_manifest
from cpi.package.dependencies import parse_dependencies
from cpi.package.descriptor import parse_descriptor
from cpi.package.group_policy import parse_group_policy
from cpi.package.group_policy_generation import generate_static_policy
from host.domain.x500 import InvalidX500NameError, MemberX500Name

_REPEATS = 5
_GROUP = "6b3c2d6e-1c22-4d6e-9d3c-111111111111"
_REFUSALS = (CpiError, ValueError, ZstdRefusedError, InvalidX500NameError)

_numbers = count()
_Parser = Callable[[bytes], object]
_Maker = Callable[[int], bytes]
"""Makes an input of about so many bytes."""


def growth() -> list[Measurement]:
    """All parsers."""
    return [_measured(name, parse, make, sizes) for name, parse, make, sizes in _inputs()]


def _inputs() -> Iterator[tuple[str, _Parser, _Maker, tuple[int, int]]]:
    """Name, parser, maker, and the smallest and largest size in bytes."""
    kib = 1024
    yield "DER: many elements", check_der, _elements, (32 * kib, 256 * kib)
    yield "DER: one long identifier, refused", _signed_data, _identifier, (32 * kib, 256 * kib)
    yield (
        "certificates in PEM: a long identifier, refused",
        _certificates,
        _pem,
        (32 * kib, 512 * kib),
    )
    yield "PEM: many blocks", lambda data: list(pem_blocks(data)), _blocks, (32 * kib, 1024 * kib)
    yield "manifest: sections", parse_manifest, _sections, (64 * kib, 512 * kib)
    yield "manifest: continuation lines", parse_manifest, _continued, (256 * kib, 4096 * kib)
    yield "manifest: short lines, refused", parse_manifest, _short_lines, (256 * kib, 4096 * kib)
    yield "group policy: members", parse_group_policy, _members, (63 * kib, 1008 * kib)
    yield "group policy: nesting, refused", parse_group_policy, _nested, (63 * kib, 1008 * kib)
    yield (
        "descriptor: distinct objects, refused",
        parse_descriptor,
        _objects,
        (64 * kib, 2048 * kib),
    )
    yield "dependencies: too many, refused", parse_dependencies, _needs, (64 * kib, 2048 * kib)
    yield "zstd: content", _unpack, _frame, (256 * kib, 4096 * kib)
    yield "zstd: blocks of 128 KiB, refused", _unpack_mib, _rle, (64 * kib, 1024 * kib)
    yield "zstd: empty blocks, refused", _unpack_mib, _empty, (64 * kib, 1024 * kib)
    yield "X.500 name", _x500, _escapes, (60, 960)


def _measured(name: str, parse: _Parser, make: _Maker, sizes: tuple[int, int]) -> Measurement:
    smallest, largest = sizes
    doublings = (largest // smallest).bit_length()
    per_byte = [_nanoseconds(parse, make(smallest << step)) for step in range(doublings)]
    return Measurement(
        name=name,
        value=per_byte[-1],
        unit="ns/byte",
        against=f"{smallest:,} bytes",
        ratio=per_byte[0] / per_byte[-1],
        note=f"doubled: {', '.join(f'{cost:.3g}' for cost in per_byte)}; "
        f"linear is 1x or more, quadratic {1 / (1 << (doublings - 1)):.2g}x",
    )


def _nanoseconds(parse: _Parser, data: bytes) -> float:
    def once() -> None:
        with suppress(*_REFUSALS):
            parse(data)

    # Not the wall's: neighbours of the machine would look like growth.
    return median_seconds(once, repeats=_REPEATS, clock=time.thread_time) * 1e9 / len(data)


def _sequence(content: bytes) -> bytes:
    return b"\x30\x84" + len(content).to_bytes(4, "big") + content


def _elements(size: int) -> bytes:
    return _sequence(b"\x04\x02ab" * (size // 4))


def _identifier(size: int) -> bytes:
    return _sequence(b"\x06\x84" + size.to_bytes(4, "big") + b"\x81" * (size - 1) + b"\1")


def _signed_data(data: bytes) -> object:
    return verify_signed_data(data, b"", what="META-INF/A.EC")


def _pem(size: int) -> bytes:
    body = base64.encodebytes(_identifier(size * 3 // 4))
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def _certificates(data: bytes) -> object:
    return load_pem_certificates(data, source="benchmark")


def _blocks(size: int) -> bytes:
    return b"-----BEGIN A-----\nAAAA\n-----END A-----\n" * (size // 39)


def _sections(size: int) -> bytes:
    head = b"Manifest-Version: 1.0\r\n\r\n"
    return head + b"".join(b"Name: %07d\r\nA: bcdef\r\n\r\n" % n for n in range(size // 27))


def _continued(size: int) -> bytes:
    return b"Manifest-Version: 1.0\r\nA: b\r\n" + (b" " + b"c" * 69 + b"\r\n") * (size // 72)


def _short_lines(size: int) -> bytes:
    return b"Manifest-Version: 1.0\r\nA: b\r\n" + b" c\r\n" * (size // 4)


def _members(size: int) -> bytes:
    names = [f"O=Member {n}, L=London, C=GB" for n in range(size // 250)]
    return generate_static_policy(
        names=names, group_id=_GROUP, endpoint_url="https://localhost:1080", endpoint_protocol=1
    ).encode()


def _nested(size: int) -> bytes:
    return b"[" * size


def _objects(size: int) -> bytes:
    return json.dumps({"capabilities": [{str(n): 0} for n in range(size // 14)]}).encode()


def _needs(size: int) -> bytes:
    items = [{"name": str(n), "version": "1"} for n in range(size // 34)]
    return json.dumps({"formatVersion": "2.0", "dependencies": items}).encode()


def _frame(size: int) -> bytes:
    return zstandard.compress(hashlib.shake_128(b"").digest(size), 1)


def _unpack(data: bytes) -> object:
    return sum(map(len, unpack_frame([data], size=zstandard.frame_content_size(data))))


def _rle(size: int) -> bytes:
    return _stating_a_mib(((1 << 17) << 3 | 1 << 1).to_bytes(3, "little") + b"a", size)


def _empty(size: int) -> bytes:
    return _stating_a_mib(bytes(3), size)


def _stating_a_mib(block: bytes, size: int) -> bytes:
    head = bytes.fromhex("28b52ffdc060") + (1 << 20).to_bytes(8, "little")
    return head + block * (size // len(block))


def _unpack_mib(data: bytes) -> object:
    return sum(map(len, unpack_frame([data], size=1 << 20)))


def _escapes(size: int) -> bytes:
    return b"L=London, C=GB, O=" + b"\\," * ((size - 18) // 2)


def _x500(data: bytes) -> object:
    # Another name each time: the latest are remembered.
    return MemberX500Name.parse(f"{data.decode()}{next(_numbers)}")
