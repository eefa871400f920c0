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

_LEVEL = 3


def encode(header: Header, memory: bytes | memoryview, base: bytes | memoryview) -> bytes:
    """The file of an image; `base` is the runtime's initial memory."""
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(_xor(memory, base))
    return header.encoded() + packed


def decode(data: bytes, base: bytes | memoryview) -> tuple[Header, bytes]:
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


def changed_blocks(memory: bytes | memoryview, base: bytes | memoryview) -> list[tuple[int, int]]:
    """Start and end, in bytes, of each run of blocks in which a memory differs from `base`."""
    view, initial = memoryview(memory), memoryview(base)
    runs: list[tuple[int, int]] = []
    for start in range(0, len(view), BLOCK_BYTES):
        end = start + BLOCK_BYTES
        if view[start:end] != initial[start:end]:
            if runs and runs[-1][1] == start:
                start = runs.pop()[0]  # noqa: PLW2901  # the run goes on
            runs.append((start, end))
    return runs


def _xor(memory: bytes | memoryview, base: bytes | memoryview) -> bytes:
    size = len(memory)
    if len(base) > size:
        raise ImageDamagedError("image: smaller than the runtime's initial memory")
    ours, theirs = int.from_bytes(memory, "little"), int.from_bytes(base, "little")
    return (ours ^ theirs).to_bytes(size, "little")
