"""One zstd frame, unpacked block by block: no more than its stated size, and no more blocks.

A block of four bytes may unpack to 128 KiB, and a block may be empty, so a frame of a few hundred
kilobytes could take minutes. Therefore each block's header is checked before the library gets the
block.

Source: RFC 8878 (Zstandard), section 3.1.1.
"""

from collections.abc import Iterable, Iterator

import zstandard

_WINDOW_BYTES_MAX = 1 << 25
_FRAME_HEADER_MAX = 18
_BLOCK_HEADER = 3
_BLOCK_BYTES_MAX = 1 << 17
_RAW, _RLE = 0, 1
_CHECKSUM = 4
_BYTES_PER_BLOCK = 1024
_BLOCKS_FREE = 16


class ZstdRefusedError(ValueError):
    """The bytes are not exactly one frame of the stated size; the message says why."""


def unpack_frame(packed: Iterable[bytes], *, size: int) -> Iterator[bytes]:
    """The content of one frame, piece by piece.

    Args:
        packed: the frame, in chunks of any size.
        size: bytes that it must state in its header and unpack to.

    Raises:
        ZstdRefusedError: at the first damaged block or the first one beyond the limit; earlier
            output must not be trusted until the end.
    """
    pieces = _Pieces(packed)
    try:
        yield from _unpacked(pieces, size)
    except zstandard.ZstdError as error:
        raise ZstdRefusedError(f"is no readable zstd frame: {error}") from error
    if pieces.peek(1):
        raise ZstdRefusedError("is not exactly one zstd frame")


def _unpacked(pieces: "_Pieces", size: int) -> Iterator[bytes]:
    start = pieces.peek(_FRAME_HEADER_MAX)
    stated = zstandard.frame_content_size(start)
    if stated != size:
        raise ZstdRefusedError(f"unpacks to {stated} bytes, the descriptor states {size}")
    inflater = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX).decompressobj()
    found = 0
    for part, least in _frame_parts(pieces, start):
        is_long = found + least > size
        content = b"" if is_long else inflater.decompress(part)
        found += len(content)
        if is_long or found > size:
            raise ZstdRefusedError(f"unpacks to more than the {size} bytes that it states")
        if content:
            yield content
    if not inflater.eof or found != size:
        raise ZstdRefusedError("is not exactly one zstd frame")


def _frame_parts(pieces: "_Pieces", start: bytes) -> Iterator[tuple[bytes, int]]:
    """The frame's header, each block and the checksum, each with its minimum unpacked size."""
    parameters = zstandard.get_frame_parameters(start)
    yield pieces.take(zstandard.frame_header_size(start)), 0
    blocks_max = parameters.content_size // _BYTES_PER_BLOCK + _BLOCKS_FREE
    last, blocks = False, 0
    while not last:
        blocks += 1
        if blocks > blocks_max:
            raise ZstdRefusedError(
                f"has more than {blocks_max} blocks for {parameters.content_size} bytes"
            )
        header = pieces.take(_BLOCK_HEADER)
        if len(header) < _BLOCK_HEADER:
            return
        fields = int.from_bytes(header, "little")
        last, kind, size = bool(fields & 1), fields >> 1 & 3, fields >> 3
        if size > _BLOCK_BYTES_MAX:
            raise ZstdRefusedError(f"has a block of {size} bytes, at most {_BLOCK_BYTES_MAX}")
        yield (
            header + pieces.take(1 if kind == _RLE else size),
            size if kind in {_RAW, _RLE} else 0,
        )
    if parameters.has_checksum:
        yield pieces.take(_CHECKSUM), 0


class _Pieces:
    """Takes any number of bytes from a stream of chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0

    def peek(self, size: int) -> bytes:
        """The next bytes without consuming them; fewer at the end of the stream."""
        while len(self._chunk) - self._at < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._chunk = self._chunk[self._at :] + chunk
            self._at = 0
        return self._chunk[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """The next bytes, fewer at the end of the stream."""
        taken = self.peek(size)
        self._at += len(taken)
        return taken
