"""A continuous backup: a folder of containers, each of which continues the one before it.

`00000001.base` is a whole backup, `00000002.changes` adds to it, and so on; now and then a new base
begins. Each container of changes names the digest of the manifest before it. A manifest is
encrypted, so whoever can only write to the folder can neither add to a chain nor change its order.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from host.adapters.files.container import ContainerDamagedError
from host.domain.errors import InvalidInputError, StorageError
from host.tools.backup.layout import is_name

KIND = "host-changes"
LISTING = "listing"
"""The section that says what the files are after the changes."""
LISTING_BYTES_MAX = 64 * 1024 * 1024
_NAME = re.compile(r"([0-9]{8})\.(base|changes)")
_NUMBER_MAX = 10**8 - 1


class BackupChainBrokenError(InvalidInputError):
    """A continuous backup has no base, lacks a part, or has one that continues another."""

    code = "backup-chain-broken"


class FileState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file's size, and its SHA-256 in hexadecimal digits."""

    bytes: int
    digest: str


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files that changed, with what they are since, and names of those that are gone."""

    changed: dict[str, FileState]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A container of a continuous backup, by its place in the folder."""

    number: int
    is_base: bool
    path: Path


def segments(folder: Path) -> Sequence[Segment]:
    """The containers in a folder, by their numbers; other files are left alone.

    Raises:
        StorageError: the folder cannot be read.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as exc:
        raise StorageError(f"{folder} cannot be read: {exc.strerror}", path=str(folder)) from exc
    found = [(_NAME.fullmatch(name), folder / name) for name in names]
    return [
        Segment(number=int(match[1]), is_base=match[2] == "base", path=path)
        for match, path in found
        if match
    ]


def segment_after(folder: Path, number: int, *, is_base: bool) -> Segment:
    """The place of the next container.

    Raises:
        BackupChainBrokenError: there is no further number.
    """
    if number >= _NUMBER_MAX:
        raise BackupChainBrokenError(f"{folder} has no number after {number}: use a new folder")
    name = f"{number + 1:08d}.{'base' if is_base else 'changes'}"
    return Segment(number=number + 1, is_base=is_base, path=folder / name)


def decode_listing(data: bytes, sections: Mapping[str, int]) -> Listing:
    """The listing of a container.

    Args:
        data: the section's bytes.
        sections: names of the other sections, which hold the changes, with their sizes.

    Raises:
        ContainerDamagedError: it is none, or does not go with the sections.
    """
    try:
        listing = msgspec.json.decode(data, type=Listing)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ContainerDamagedError(f"the listing is damaged: {exc}") from exc
    named = (*listing.changed, *listing.removed)
    if set(listing.changed) != set(sections) or not all(map(is_name, named)):
        raise ContainerDamagedError("the listing names other files than the sections")
    if any(state.bytes < 0 for state in listing.changed.values()):
        raise ContainerDamagedError("the listing has a file of less than no bytes")
    return listing
