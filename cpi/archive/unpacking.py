"""Unpacks one archive entry in pieces, so that memory use does not depend on the stated sizes."""

import zlib
from collections.abc import Iterable, Iterator

from cpi.errors import ArchiveError, Code

_PIECE_BYTES_MAX = 1024 * 1024


def inflate(packed: Iterable[bytes], *, name: str, size: int) -> Iterator[bytes]:
    """Inflate a raw deflate stream that must end with its input and not exceed `size` bytes.

    Raises:
        ArchiveError: the stream is damaged, cut off, followed by more, or unpacks to too much.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    produced = 0
    for chunk in packed:
        if inflater.eof:
            raise _ends_elsewhere(name)
        rest = chunk
        while not inflater.eof:
            piece = _piece(inflater, rest, name)
            rest = inflater.unconsumed_tail
            produced += len(piece)
            if produced > size:
                raise size_error(name, size)
            if piece:
                yield piece
            # After a full piece, output may be pending even though no input is left.
            if not rest and len(piece) < _PIECE_BYTES_MAX:
                break
    if not inflater.eof or inflater.unused_data:
        raise _ends_elsewhere(name)


def _piece(inflater: "zlib._Decompress", packed: bytes, name: str) -> bytes:
    try:
        return inflater.decompress(packed, _PIECE_BYTES_MAX)
    except zlib.error as error:
        raise ArchiveError(
            Code.ARCHIVE_CORRUPT, f"entry {name!r} does not inflate: {error}", entry=name
        ) from error


def checked(pieces: Iterable[bytes], *, name: str, size: int, crc: int) -> Iterator[bytes]:
    """Yield the pieces, and check at the end that they have the declared size and CRC-32.

    Raises:
        ArchiveError: they had not.
    """
    found_size = found_crc = 0
    for piece in pieces:
        found_size += len(piece)
        found_crc = zlib.crc32(piece, found_crc)
        yield piece
    if found_size != size:
        raise size_error(name, size)
    if found_crc != crc:
        raise ArchiveError(
            Code.ARCHIVE_CORRUPT,
            f"entry {name!r} has CRC-32 {found_crc:08x}, its record says {crc:08x}",
            entry=name,
        )


def size_error(name: str, size: int) -> ArchiveError:
    """The refusal of an entry whose declared size is wrong."""
    return ArchiveError(
        Code.ARCHIVE_CORRUPT,
        f"entry {name!r} unpacks to another size than the declared {size} bytes",
        entry=name,
    )


def _ends_elsewhere(name: str) -> ArchiveError:
    return ArchiveError(
        Code.ARCHIVE_CORRUPT,
        f"the deflate stream of entry {name!r} does not end where its record says",
        entry=name,
    )
