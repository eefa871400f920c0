"""Containers give back what was put in, or a coded refusal, whatever was done to the file."""

import hashlib
import io
import os
from pathlib import Path

import pyrage
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from host.adapters.files.container import (
    ContainerDamagedError,
    ContainerInvalidError,
    ContainerKeyError,
    Opener,
    Sealer,
    Section,
    identity_of_file,
    read_container,
    read_header,
    sealed_identity,
    write_container,
)
from host.adapters.files.container import format as form
from host.domain.errors import HostError
from tests.support.properties import examples

MAGIC = b"CBXTEST1"
IDENTITY = pyrage.x25519.Identity.generate()
PUBLIC = str(IDENTITY.to_public())
CONTENT = {"a/b": b"first" * 300_000, "empty": b"", "c": os.urandom(2_500_000)}
SMALL = {"a": b"one", "empty": b"", "b": b"two" * 50}


def sections_of(content):
    return [
        Section(name=name, bytes=len(data), digest=hashlib.sha256(data).hexdigest())
        for name, data in content.items()
    ]


def packed(content=SMALL, sealer=None, sections=None):
    stream = io.BytesIO()
    write_container(
        stream,
        magic=MAGIC,
        sealer=sealer or Sealer.to_recipient(PUBLIC),
        created_at=5,
        facts={"kind": "test", "count": 3},
        sections=sections or sections_of(content),
        open_section=lambda name: io.BytesIO(content[name]),
        progress=lambda _: None,
    )
    return stream.getvalue()


class _Kept(io.BytesIO):
    def close(self):
        self.kept = self.getvalue()
        super().close()


def unpacked(data, opener=None, magic=MAGIC, accept=lambda _: None, **limits):
    targets = {}

    def target(section):
        targets[section.name] = _Kept()
        return targets[section.name]

    counted = []
    manifest = read_container(
        io.BytesIO(data),
        magic=magic,
        opener=opener or Opener(identities=str(IDENTITY)),
        accept=accept,
        open_target=target,
        progress=counted.append,
        **limits,
    )
    return manifest, {name: kept.kept for name, kept in targets.items()}, sum(counted)


def test_what_goes_in_comes_out():
    manifest, content, counted = unpacked(packed(CONTENT))
    assert content == CONTENT
    assert manifest.facts == {"kind": "test", "count": 3}
    assert [s.name for s in manifest.sections] == list(CONTENT)
    assert counted == sum(map(len, CONTENT.values()))


def test_a_passphrase_opens_and_another_does_not():
    data = packed(sealer=Sealer.by_passphrase("right"))
    assert b"first" not in data
    assert unpacked(data, Opener(passphrase="right"))[1] == SMALL
    with pytest.raises(ContainerKeyError):
        unpacked(data, Opener(passphrase="wrong"))
    with pytest.raises(ContainerKeyError, match="passphrase, none was given"):
        unpacked(data, Opener(identities=str(IDENTITY)))
    with pytest.raises(ContainerKeyError, match="passphrase, none was given"):
        unpacked(data, Opener())
    header = read_header(io.BytesIO(data), MAGIC)
    assert (header.recipient, header.created_at) == (None, 5)


@pytest.mark.slow
def test_who_has_no_passphrase_opens_by_the_key_that_it_opened(tmp_path):
    recipient, sealed = sealed_identity("right")
    data = packed(sealer=Sealer.to_recipient(recipient, identity=sealed))
    file = tmp_path / "file"
    file.write_bytes(data)
    opened = identity_of_file(file, "right")
    assert unpacked(data, Opener(identities=opened))[1] == SMALL
    assert unpacked(data, Opener(passphrase="right"))[1] == SMALL
    with pytest.raises(ContainerKeyError):
        identity_of_file(file, "wrong")


def test_another_private_key_does_not_open():
    data = packed()
    with pytest.raises(ContainerKeyError, match="does not open"):
        unpacked(data, Opener(identities=str(pyrage.x25519.Identity.generate())))
    with pytest.raises(ContainerKeyError, match=PUBLIC):
        unpacked(data, Opener(passphrase="any"))
    with pytest.raises(ContainerKeyError, match="AGE-SECRET-KEY-1"):
        unpacked(data, Opener(identities="nothing"))
    both = f"# a comment\n{pyrage.x25519.Identity.generate()}\n{IDENTITY}\n"
    assert unpacked(data, Opener(identities=both))[1] == SMALL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "ssh-ed25519 AAAA",
        "age18e9z57tm9gy8sdac5cl78nle4n3gvlnmuzw4m3ghqzcd8ayqt9ssqdgr3",
    ],
)
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(ContainerKeyError):
        Sealer.to_recipient(text)


@pytest.mark.parametrize("identity", ["", "x", "A" * 8192, "YWdlLWVuY3J5cHRpb24="])
def test_what_no_passphrase_opens_comes_into_no_header(identity):
    with pytest.raises(ContainerKeyError, match="no base64"):
        Sealer.to_recipient(PUBLIC, identity)


def test_an_empty_passphrase_is_refused():
    with pytest.raises(ContainerKeyError, match="empty"):
        Sealer.by_passphrase("")


def test_other_files_are_refused():
    with pytest.raises(ContainerInvalidError, match="CBXTEST1"):
        unpacked(b"SQLite format 3\0" + bytes(100))
    with pytest.raises(ContainerInvalidError, match="CBXOTHER"):
        unpacked(packed(), magic=b"CBXOTHER")
    data = packed().replace(b'"v":1', b'"v":2', 1)
    with pytest.raises(ContainerInvalidError, match="version 2"):
        unpacked(data)


PACKED = packed()


@pytest.mark.property
@given(place=st.integers(0, len(PACKED) - 1), bit=st.integers(0, 7))
@settings(max_examples=examples(150), deadline=None)
def test_any_flipped_bit_is_refused(place, bit):
    changed = bytearray(PACKED)
    changed[place] ^= 1 << bit
    with pytest.raises(HostError) as refused:
        unpacked(bytes(changed))
    assert refused.value.code.startswith("container-")


@pytest.mark.property
@given(length=st.integers(0, len(PACKED) - 1))
@settings(max_examples=examples(100), deadline=None)
def test_any_cut_is_refused(length):
    with pytest.raises(HostError) as refused:
        unpacked(PACKED[:length])
    assert refused.value.code.startswith("container-")


def test_a_cut_between_two_pieces_of_the_stream_is_refused():
    data = packed(CONTENT)
    step = 64 * 1024 + 16
    start = data.index(b"\n---") + 4
    for end in range(data.index(b"\n", start) + 1 + 16, len(data), step):
        with pytest.raises(ContainerDamagedError):
            unpacked(data[:end])


def test_what_follows_the_stream_is_refused():
    with pytest.raises(ContainerDamagedError):
        unpacked(PACKED + b"more")


def test_a_refused_manifest_unpacks_nothing():
    def refuse(_):
        raise ContainerInvalidError("not this one")

    with pytest.raises(ContainerInvalidError, match="not this one"):
        unpacked(packed(CONTENT), accept=refuse)


def forged(records):
    """A container whose writer lies, but has the public key."""
    stream = io.BytesIO()
    head, _ = form.header_bytes(MAGIC, Sealer.to_recipient(PUBLIC).header(5))
    stream.write(head)
    plain = zstandard.ZstdCompressor().compress(b"".join(records))
    pyrage.encrypt_io(io.BytesIO(plain), stream, [IDENTITY.to_public()])
    return stream.getvalue()


def manifest_record(sections, **more):
    import msgspec

    _, digest = form.header_bytes(MAGIC, Sealer.to_recipient(PUBLIC).header(5))
    manifest = form.Manifest(header=digest, facts={}, sections=tuple(sections), **more)
    return form.record(form.MANIFEST, 0, msgspec.json.encode(manifest))


A = sections_of({"a": b"aaaa"})


@pytest.mark.parametrize(
    "records",
    [
        [],
        [form.record("a", 0, b"aaaa")],
        [manifest_record(A)],
        [manifest_record(A), form.record("a", 0, b"aaa")],
        [manifest_record(A), form.record("a", 0, b"aaaaa")],
        [manifest_record(A), form.record("a", 0, b"bbbb")],
        [manifest_record(A), form.record("a", 1, b"aaaa")],
        [manifest_record(A), form.record("b", 0, b"aaaa")],
        [manifest_record(A), form.record("a", 0, b"aaaa"), form.record("a", 1, b"a")],
        [manifest_record(A), form.record("a", 0, b"")],
        [manifest_record(A), form.record("a", 0, b"aaaa")[:-1]],
        [manifest_record([*A, *A]), form.record("a", 0, b"aaaa")],
        [b"\xff\xff\xff\xff"],
        [b"\0\0\0\1\xc1"],
    ],
)
def test_records_that_are_not_the_manifests_are_refused(records):
    with pytest.raises(ContainerDamagedError):
        unpacked(forged(records))


def test_a_manifest_has_the_length_that_its_kind_needs_and_no_empty_records():
    manifest, record = manifest_record(A), form.record("a", 0, b"aaaa")
    assert unpacked(forged([manifest, record]), manifest_bytes_max=len(manifest))[1] == {
        "a": b"aaaa"
    }
    for records, limit in (
        ([manifest, record], 100),
        ([form.record(form.MANIFEST, 0, b""), manifest, record], len(manifest)),
    ):
        with pytest.raises(ContainerDamagedError, match="too long, or out of order"):
            unpacked(forged(records), manifest_bytes_max=limit)


def test_a_container_that_adds_to_another_is_refused_by_this_release():
    records = [manifest_record(A, base="0" * 64), form.record("a", 0, b"aaaa")]
    with pytest.raises(ContainerInvalidError, match="adds to another"):
        unpacked(forged(records))


def test_a_section_too_long_is_stopped_at_its_first_byte_too_many():
    """A gigabyte that packs well is not unpacked to find that four bytes were promised."""
    many = [form.record("a", n, bytes(form.RECORD_BYTES_MAX)) for n in range(64)]
    seen = []
    with pytest.raises(ContainerDamagedError, match="longer than 4 bytes"):
        read_container(
            io.BytesIO(forged([manifest_record(A), *many])),
            magic=MAGIC,
            opener=Opener(identities=str(IDENTITY)),
            accept=lambda _: None,
            open_target=lambda _: io.BytesIO(),
            progress=seen.append,
        )
    assert seen == []


def test_a_source_that_ends_early_or_breaks_is_told_as_it_is():
    with pytest.raises(ContainerDamagedError, match="ends 2 bytes early"):
        packed({"a": b"aaaa"}, sections=[Section(name="a", bytes=6, digest="")])

    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "gone")

    with pytest.raises(OSError, match="gone"):
        write_container(
            io.BytesIO(),
            magic=MAGIC,
            sealer=Sealer.to_recipient(PUBLIC),
            created_at=5,
            facts={},
            sections=A,
            open_section=lambda _: Broken(),
            progress=lambda _: None,
        )


def test_a_target_that_fills_up_is_told_as_it_is():
    full = Path("/dev/full")
    with full.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
        write_container(
            stream,
            magic=MAGIC,
            sealer=Sealer.to_recipient(PUBLIC),
            created_at=5,
            facts={},
            sections=sections_of(CONTENT),
            open_section=lambda name: io.BytesIO(CONTENT[name]),
            progress=lambda _: None,
        )
