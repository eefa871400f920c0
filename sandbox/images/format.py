"""The file of an image: the memory of a pinned runtime's instance after it has loaded sources.

    0    16  "cordbox image", zero bytes
    16    8  version of this form
    24    8  bytes of the memory, a multiple of 64 KiB
    32   32  SHA-256 of the runtime's component
    64   32  SHA-256 of the sources' canonical form
    96  32n  SHA-256 of each block of 64 KiB of the memory, in order
         ..  zstd frame: the memory, XOR the runtime's initial memory with zeros behind it

Numbers are unsigned and little-endian. All but the frame is the header, and the SHA-256 of the
header is the image's digest: it names runtime, sources and each byte of the memory, and does not
depend on how the frame was compressed.
"""

import zstandard

from sandbox.images.header import (
    BLOCK_BYTES,
    Header,
    ImageDamagedError,
    block_digests,
    decode_header,
)

_UNCHANGED = bytes(BLOCK_BYTES)
_LEVEL = 1
"""1.62 MB for the sample iou in 14 ms; level 3 gives 1.56 MB in 28."""


def encode(header: Header, memory: bytes, base: bytes) -> bytes:
    """The file of an image; `base` is the runtime's initial memory."""
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(_xor(memory, base))
    return header.encoded() + packed


def decode(data: bytes, base: bytes) -> tuple[Header, bytes]:
    """Header and memory of an image's file; `base` is the runtime's initial memory.

    Raises:
        ImageDamagedError: the file is none of an image, or its memory is not the header's.
    """
    header = decode_header(data)
    frame = memoryview(data)[len(header.encoded()) :]
    try:
        if zstandard.frame_content_size(frame) != header.size:
            raise ImageDamagedError("image: the memory has another size than the header says")
        changes = zstandard.ZstdDecompressor().decompress(frame, max_output_size=header.size)
    except zstandard.ZstdError as exc:
        raise ImageDamagedError("image: the memory cannot be decompressed") from exc
    memory = _xor(changes, base)
    if block_digests(memoryview(memory)) != header.blocks:
        raise ImageDamagedError("image: the memory is not the one that the header names")
    return header, memory


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


def _xor(memory: bytes, base: bytes) -> bytes:
    """Both are whole blocks."""
    size = len(memory)
    if len(base) > size:
        raise ImageDamagedError("image: smaller than the runtime's initial memory")
    parts = []
    for start in range(0, size, BLOCK_BYTES):
        ours, theirs = memory[start : start + BLOCK_BYTES], base[start : start + BLOCK_BYTES]
        if ours == theirs:
            parts.append(_UNCHANGED)
        elif theirs:
            # Numbers of this size stay in the processor's cache.
            number = int.from_bytes(ours, "little") ^ int.from_bytes(theirs, "little")
            parts.append(number.to_bytes(BLOCK_BYTES, "little"))
        else:
            parts.append(ours)
    return b"".join(parts)
