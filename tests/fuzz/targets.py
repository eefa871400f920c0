"""What is fuzzed: functions that take any bytes and may refuse them, but only in our own way."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from cpi.archive import read_archive
from cpi.cms import verify_signed_data
from cpi.descriptor import dump_descriptor, parse_descriptor
from cpi.errors import CpiError
from cpi.group_policy import parse_group_policy
from cpi.manifest import parse_manifest
from cpi.timestamps import read_timestamp

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


TARGETS: Mapping[str, Callable[[bytes], bool]] = {
    "manifest": manifest,
    "archive": archive,
    "cms": cms,
    "descriptor": descriptor,
    "group_policy": group_policy,
}


def seeds(target: str) -> list[bytes]:
    """The committed inputs of a target; all but those named `refused-*` are accepted."""
    return [p.read_bytes() for p in sorted((SEEDS / target).iterdir()) if p.name != "content"]
