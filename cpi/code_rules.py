"""Step "wasm descriptor": the code that a CPK holds against what its descriptor says.

A packed component is unpacked block by block, so that neither it nor what it unpacks to is ever
held whole: a zstd block has at most 128 KiB, and the window is limited.

Source: RFC 8878 (Zstandard), section 3.1.1.
"""

import hashlib
from collections.abc import Iterable, Iterator

import zstandard

from cpi.contents import EntryContents
from cpi.descriptor import DESCRIPTOR_PATH, PYTHON_PREFIX, CodeDescriptor
from cpi.digests import hash_text
from cpi.errors import Code, Issue

_WINDOW_BYTES_MAX = 1 << 25
_FRAME_HEADER_MAX = 18
_BLOCK_HEADER = 3
_BLOCK_RLE = 1
_CHECKSUM = 4


def code_issues(descriptor: CodeDescriptor, entries: EntryContents, kind: str) -> Iterator[Issue]:
    """What the CPK holds against what its descriptor says.

    Whether Python source and runtime derive the stated component is the host's check: this room
    runs no WebAssembly.
    """
    if descriptor.world != kind:
        yield _mismatch(
            f"descriptor targets world {descriptor.world}, the manifest declares a {kind} CPK"
        )
    if descriptor.form == "python":
        for module in descriptor.entry_modules:
            path = PYTHON_PREFIX + module.replace(".", "/")
            if f"{path}.py" not in entries and f"{path}/__init__.py" not in entries:
                yield _mismatch(f"entry module {module} is not under {PYTHON_PREFIX}")
        return
    path = descriptor.component_path or ""
    if path not in entries:
        yield _mismatch(f"component {path} is not in the package")
        return
    reason = _component_fault(descriptor, entries.chunks(path))
    if reason is not None:
        yield _mismatch(f"component {path} {reason}", entry=path)


def _component_fault(descriptor: CodeDescriptor, packed: Iterable[bytes]) -> str | None:
    """Unpack one zstd frame, whose header must state the size that the descriptor states."""
    size = descriptor.component_size or 0
    digest, found = hashlib.sha256(), 0
    pieces = _Pieces(packed)
    try:
        stated = zstandard.frame_content_size(pieces.peek(_FRAME_HEADER_MAX))
        if stated != size:
            return f"unpacks to {stated} bytes, the descriptor states {size}"
        inflater = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX).decompressobj()
        for part in _frame_parts(pieces):
            content = inflater.decompress(part)
            digest.update(content)
            found += len(content)
    except zstandard.ZstdError as error:
        return f"is no readable zstd frame: {error}"
    if not inflater.eof or pieces.peek(1) or found != size:
        return "is not exactly one zstd frame"
    text = hash_text(digest.digest())
    if text != descriptor.component_digest:
        return f"has digest {text}, the descriptor states {descriptor.component_digest}"
    return None


class _Pieces:
    """Takes any number of bytes from a stream of chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = bytearray()

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer at the end of the stream; they stay."""
        while len(self._buffer) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._buffer += chunk
        return bytes(self._buffer[:size])

    def take(self, size: int) -> bytes:
        """The next bytes, fewer at the end of the stream."""
        taken = self.peek(size)
        del self._buffer[:size]
        return taken


def _frame_parts(pieces: _Pieces) -> Iterator[bytes]:
    """The parts of one frame: its header, each block, its checksum."""
    start = pieces.peek(_FRAME_HEADER_MAX)
    checksum = zstandard.get_frame_parameters(start).has_checksum
    yield pieces.take(zstandard.frame_header_size(start))
    last = False
    while not last:
        header = pieces.take(_BLOCK_HEADER)
        if len(header) < _BLOCK_HEADER:
            return
        fields = int.from_bytes(header, "little")
        last = bool(fields & 1)
        yield header + pieces.take(1 if fields >> 1 & 3 == _BLOCK_RLE else fields >> 3)
    if checksum:
        yield pieces.take(_CHECKSUM)


def _mismatch(message: str, entry: str = DESCRIPTOR_PATH) -> Issue:
    return Issue(code=Code.DESCRIPTOR_CODE, message=message, entry=entry)
