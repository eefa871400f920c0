"""What is fuzzed: functions that take any bytes and may refuse them, but only in our own way.

Each target has a twin NAME-cost, which fails for an input that costs more steps for each of its
bytes than `STEPS_PER_BYTE_MAX` allows. Steps are lines of Python; what C functions do is not seen,
which is what the benchmark `parsers` is for.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import zstandard

from cpi.archive.reading import read_archive
from cpi.archive.zstd_frame import ZstdRefusedError, unpack_frame
from cpi.crypto.cms import verify_signed_data
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.pem import PemRefusedError, pem_blocks
from cpi.crypto.timestamps import read_timestamp
from cpi.errors import CpiError
from cpi.jar.manifest import parse_manifest
from cpi.package.dependencies import encode_dependencies, parse_dependencies
from cpi.package.descriptor import dump_descriptor, parse_descriptor
from cpi.package.group_policy import parse_group_policy
from host.domain.guest_text import GuestTextError, checked_json, mended_json
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from tests.steps import steps_of

STEPS_FREE = 20_000
"""Steps that any input may cost: schemas are looked through, errors are made."""
STEPS_PER_BYTE_MAX = 60
SEEDS = Path(__file__).parent / "seeds"
_SIGNED = (SEEDS / "cms" / "content").read_bytes()


def manifest(data: bytes) -> bool:
    """The sections of an accepted manifest are all of its bytes, in order."""
    try:
        parsed = parse_manifest(data)
    except CpiError:
        return False
    assert parsed.main.raw + b"".join(s.raw for s in parsed.entries.values()) == data
    return True


def archive(data: bytes) -> bool:
    """An accepted archive holds for Python's own reader what it holds for ours."""
    try:
        opened = read_archive(data)
        contents = {e.name: opened.read(e.name) for e in opened.entries}
    except CpiError:
        return False
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        assert other.namelist() == list(contents)
        for name, content in contents.items():
            assert other.read(name) == content
    return True


def cms(data: bytes) -> bool:
    """A block is accepted for the bytes that were signed, or refused."""
    try:
        block = verify_signed_data(data, _SIGNED, what="META-INF/SEED.EC")
        read_timestamp(block, "META-INF/SEED.EC")
    except CpiError:
        return False
    assert block.content == _SIGNED
    return True


def descriptor(data: bytes) -> bool:
    """An accepted descriptor can be written, and reads back as the same."""
    try:
        parsed = parse_descriptor(data)
    except CpiError:
        return False
    assert parse_descriptor(dump_descriptor(parsed)) == parsed
    return True


def group_policy(data: bytes) -> bool:
    """An accepted policy has a group id and is accepted again as text."""
    try:
        parsed = parse_group_policy(data)
    except CpiError:
        return False
    assert parsed.group_id
    assert parse_group_policy(data.decode()) == parsed
    return True


def dependencies(data: bytes) -> bool:
    """An accepted document can be written, and reads back as the same."""
    try:
        parsed = parse_dependencies(data)
    except CpiError:
        return False
    assert parse_dependencies(encode_dependencies(parsed)) == parsed
    return True


def der(data: bytes) -> bool:
    """What the walk lets through, it lets through before other bytes, too."""
    try:
        check_der(data)
        check_der(data + b"x", trailing=True)
    except DerRefusedError:
        return False
    return True


def pem(data: bytes) -> bool:
    """The blocks of an accepted file stand in it, in order."""
    try:
        blocks = list(pem_blocks(data))
    except PemRefusedError:
        return False
    at = 0
    for block in blocks:
        at = data.index(block.text, at) + len(block.text)
    return bool(blocks)


def zstd(data: bytes) -> bool:
    """An accepted frame holds for the library what it holds for us."""
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= 1_000_000:
            return False
        content = b"".join(unpack_frame([data], size=size))
    except (zstandard.ZstdError, ZstdRefusedError):
        return False
    assert zstandard.decompress(data) == content
    return True


def x500(data: bytes) -> bool:
    """The text of an accepted name is read as the same name."""
    try:
        name = MemberX500Name.parse(data.decode(errors="replace"))
    except InvalidX500NameError:
        return False
    assert MemberX500Name.parse(str(name)) == name
    return True


def guest_text(data: bytes) -> bool:
    """A text that passes the boundary is what Python reads, and mending leaves it as it is."""
    text = data.decode(errors="replace")
    try:
        value = checked_json(text)
    except GuestTextError:
        with suppress(GuestTextError):
            checked_json(mended_json(text))
        return False
    assert value == json.loads(text)
    assert mended_json(text) == text
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return True


TARGETS: Mapping[str, Callable[[bytes], bool]] = {
    "manifest": manifest,
    "archive": archive,
    "cms": cms,
    "descriptor": descriptor,
    "dependencies": dependencies,
    "group_policy": group_policy,
    "der": der,
    "pem": pem,
    "zstd": zstd,
    "x500": x500,
    "guest_text": guest_text,
}


def within_cost(target: str, data: bytes) -> bool:
    """Run a target, and check what it costs.

    Raises:
        AssertionError: more steps than its size allows.
    """
    answer = False

    def run() -> None:
        nonlocal answer
        answer = TARGETS[target](data)

    steps, allowed = steps_of(run), STEPS_FREE + STEPS_PER_BYTE_MAX * len(data)
    assert steps <= allowed, f"{target}: {len(data)} bytes cost {steps} steps, at most {allowed}"
    return answer


def seeds(target: str) -> list[bytes]:
    """The committed inputs of a target; all but those named `refused-*` are accepted."""
    return [p.read_bytes() for p in sorted((SEEDS / target).iterdir()) if p.name != "content"]
