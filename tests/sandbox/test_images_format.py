"""The file of an image, and the digest that names it."""

import hashlib
import itertools

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sandbox.digests import digest_of
from sandbox.images import format as form
from sandbox.images.format import PIECE_BYTES, changed_blocks, decode, encode
from sandbox.images.header import BLOCK_BYTES as BLOCK
from sandbox.images.header import SIZE_MAX, ImageDamagedError, header_of

RUNTIME, SOURCE = digest_of(b"runtime"), digest_of(b"source")
BASE = bytes(range(256)) * (BLOCK // 128)
"""Two blocks."""
MEMORY = BASE[:BLOCK] + b"changed!" + BASE[BLOCK + 8 :] + b"grown" + bytes(BLOCK - 5)
HEADER = header_of(RUNTIME, SOURCE, MEMORY)
FILE = encode(HEADER, MEMORY, BASE)


def test_an_image_is_read_as_it_was_written():
    header, memory = decode(FILE, BASE)
    assert (header, memory) == (HEADER, MEMORY)
    assert header.digest == digest_of(HEADER.encoded())
    assert (header.runtime, header.source, header.size) == (RUNTIME, SOURCE, 3 * BLOCK)
    assert header.blocks[1] == hashlib.sha256(MEMORY[BLOCK : 2 * BLOCK]).digest()


def test_the_digest_names_runtime_sources_and_every_byte():
    other = bytearray(MEMORY)
    other[-1] ^= 1
    headers = [
        HEADER,
        header_of(SOURCE, SOURCE, MEMORY),
        header_of(RUNTIME, RUNTIME, MEMORY),
        header_of(RUNTIME, SOURCE, bytes(other)),
        header_of(RUNTIME, SOURCE, MEMORY + bytes(BLOCK)),
    ]
    assert len({header.digest for header in headers}) == len(headers)


def test_the_digest_does_not_depend_on_the_compression(monkeypatch):
    monkeypatch.setattr(form, "_LEVEL", 19)
    packed = encode(header_of(RUNTIME, SOURCE, MEMORY), MEMORY, BASE)
    assert packed != FILE
    assert decode(packed, BASE)[0].digest == HEADER.digest


@pytest.mark.property
@given(st.data())
def test_any_change_of_any_piece_is_read_as_it_was_written(data):
    memory = bytearray(BASE + bytes(BLOCK))
    for place in data.draw(st.lists(st.integers(0, len(memory) - 1), max_size=40)):
        memory[place] ^= data.draw(st.integers(1, 255))
    header = header_of(RUNTIME, SOURCE, memory)
    assert decode(encode(header, bytes(memory), BASE), BASE) == (header, memory)


def pieces(content: bytes) -> bytes:
    """A file whose frame has that content."""
    return HEADER.encoded() + zstandard.ZstdCompressor().compress(content)


COUNT = len(MEMORY) // PIECE_BYTES


def frame(memory: bytes, *, of: bytes = BASE) -> bytes:
    return encode(HEADER, memory, of)


DAMAGED = {
    "nothing": b"",
    "cut in the start": FILE[:95],
    "cut in the blocks": FILE[:120],
    "cut in the frame": FILE[:-3],
    "no frame": HEADER.encoded(),
    "another magic": b"x" + FILE[1:],
    "a later version": FILE[:16] + b"\x02" + FILE[17:],
    "no size": FILE[:24] + bytes(8) + FILE[32:],
    "a size that is no multiple": FILE[:24] + (BLOCK + 1).to_bytes(8, "little") + FILE[32:],
    "a huge size": FILE[:24] + (1 << 60).to_bytes(8, "little") + FILE[32:],
    "another block's digest": FILE[:96] + bytes(32) + FILE[128:],
    "a larger memory": HEADER.encoded() + frame(MEMORY + bytes(BLOCK))[len(HEADER.encoded()) :],
    "a smaller memory": HEADER.encoded() + frame(MEMORY[: 2 * BLOCK])[len(HEADER.encoded()) :],
    "too few pieces": pieces(b"\1" * 2 + bytes(COUNT - 2) + bytes(PIECE_BYTES)),
    "too many pieces": pieces(b"\1" + bytes(COUNT - 1) + bytes(2 * PIECE_BYTES)),
    "pieces that are neither": pieces(b"\1\2" + bytes(COUNT - 2) + bytes(2 * PIECE_BYTES)),
    "another change": pieces(b"\1" + bytes(COUNT - 1) + bytes(PIECE_BYTES)),
    "no flags": pieces(b"\1"),
    "a bomb": HEADER.encoded() + zstandard.ZstdCompressor().compress(bytes(1 << 26)),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_bytes_that_are_no_image_are_refused(data):
    with pytest.raises(ImageDamagedError):
        decode(data, BASE)


def test_the_memory_of_another_runtime_is_refused():
    with pytest.raises(ImageDamagedError, match="not the one"):
        decode(FILE, BASE[::-1])
    with pytest.raises(ImageDamagedError, match="smaller"):
        decode(FILE, BASE * 2)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK + 4096, SIZE_MAX + BLOCK])
def test_a_memory_has_whole_blocks_and_a_limit(size):
    with pytest.raises(ValueError, match=f"memory of {size} bytes"):
        header_of(RUNTIME, SOURCE, bytes(size))


@pytest.mark.property
@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_runs_of_changed_blocks_cover_exactly_the_changes(changes):
    base = bytes(BLOCK * len(changes))
    memory = b"".join((b"\1" if changed else b"\0") + bytes(BLOCK - 1) for changed in changes)
    runs = changed_blocks(memory, base)
    covered = [any(start <= n * BLOCK < end for start, end in runs) for n in range(len(changes))]
    assert covered == changes
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(runs))
