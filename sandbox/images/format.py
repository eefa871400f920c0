"""The file of an image: the memory of a pinned runtime's instance after it has loaded sources.

    0    16  "cordbox image", zero bytes
    16    8  version of this form
    24    8  bytes of the memory, a multiple of 64 KiB
    32   32  SHA-256 of the runtime's component
    64   32  SHA-256 of the sources' canonical form
    96  32n  SHA-256 of each block of 64 KiB of the memory, in order
         ..  zstd frame: for each 128 bytes of the memory a byte, 1 if they differ from those of the
             runtime's initial memory with zeros behind it, else 0; then those that differ, in order

Numbers are unsigned and little-endian. All but the frame is the header, and the SHA-256 of the
header is the image's digest: it names runtime, sources and each byte of the memory, and does not
depend on how the frame was compressed.
"""

import re
from collections.abc import Iterator

import zstandard

from sandbox.images.header import (
    BLOCK_BYTES,
    Header,
    ImageDamagedError,
    block_digests,
    decode_header,
)

PIECE_BYTES = 128
"""1.6 MB for the sample iou; pieces of 256 bytes give 2.1, those of 64 take longer to find."""
_PAGE_BYTES = 4096
_UNCHANGED_PAGE = bytes(_PAGE_BYTES // PIECE_BYTES)
_LEVEL = 1
_RUNS = re.compile(rb"\x01+")


def encode(header: Header, memory: bytes, base: bytes) -> bytes:
    """The file of an image; `base` is the runtime's initial memory."""
    changed = _changed_pieces(memory, _whole(base, len(memory)))
    pieces = [memory[start:end] for start, end in _places(changed)]
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join((changed, *pieces)))
    return header.encoded() + packed


def decode(data: bytes, base: bytes) -> tuple[Header, bytes]:
    """Header and memory of an image's file; `base` is the runtime's initial memory.

    Raises:
        ImageDamagedError: the file is none of an image, or its memory is not the header's.
    """
    header = decode_header(data)
    changed, pieces = _unpacked(memoryview(data)[len(header.encoded()) :], header.size)
    memory = bytearray(_whole(base, header.size))
    at = 0
    for start, end in _places(changed):
        memory[start:end] = pieces[at : at + end - start]
        at += end - start
    if block_digests(memoryview(memory)) != header.blocks:
        raise ImageDamagedError("image: the memory is not the one that the header names")
    return header, bytes(memory)


def _unpacked(frame: memoryview, size: int) -> tuple[bytes, memoryview]:
    """Which pieces of a memory of `size` bytes differ, and these pieces.

    Raises:
        ImageDamagedError: the frame holds something else.
    """
    count = size // PIECE_BYTES
    try:
        # A frame that claims more than any change of the memory takes is not unpacked.
        if not count <= zstandard.frame_content_size(frame) <= count + size:
            raise ImageDamagedError("image: the frame has another size than the header says")
        content = zstandard.ZstdDecompressor().decompress(frame, max_output_size=count + size)
    except zstandard.ZstdError as exc:
        raise ImageDamagedError("image: the memory cannot be decompressed") from exc
    changed = content[:count]
    if not len(content) - count == changed.count(1) * PIECE_BYTES <= size:
        raise ImageDamagedError("image: the pieces are not those that differ")
    return changed, memoryview(content)[count:]


def changed_blocks(memory: bytes, base: bytes) -> list[tuple[int, int]]:
    """Start and end, in bytes, of each run of blocks in which a memory differs from `base`."""
    runs: list[tuple[int, int]] = []
    for start in range(0, len(memory), BLOCK_BYTES):
        end = start + BLOCK_BYTES
        if memory[start:end] != base[start:end]:
            if runs and runs[-1][1] == start:
                start = runs.pop()[0]  # noqa: PLW2901  # the run goes on
            runs.append((start, end))
    return runs


def _changed_pieces(memory: bytes, base: bytes) -> bytes:
    """A byte for each piece of a memory, 1 if it differs from the same bytes of `base`, else 0."""
    found = []
    for start in range(0, len(memory), _PAGE_BYTES):
        ours, theirs = memory[start : start + _PAGE_BYTES], base[start : start + _PAGE_BYTES]
        if ours == theirs:
            found.append(_UNCHANGED_PAGE)
        else:
            places = range(0, _PAGE_BYTES, PIECE_BYTES)
            differ = [ours[i : i + PIECE_BYTES] != theirs[i : i + PIECE_BYTES] for i in places]
            found.append(bytes(differ))
    return b"".join(found)


def _places(changed: bytes) -> Iterator[tuple[int, int]]:
    """Start and end, in bytes, of each run of pieces that differ."""
    for run in _RUNS.finditer(changed):
        yield run.start() * PIECE_BYTES, run.end() * PIECE_BYTES


def _whole(base: bytes, size: int) -> bytes:
    """The initial memory with zeros behind it."""
    if len(base) > size:
        raise ImageDamagedError("image: smaller than the runtime's initial memory")
    return base if len(base) == size else base.ljust(size, b"\0")
