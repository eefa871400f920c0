"""Parsers stop at the first excess: what would cost far more than its size is refused early."""

import hashlib
import json
import struct
from collections.abc import Callable

import pytest
import zstandard

from cpi.archive.reading import read_archive
from cpi.archive.zstd_frame import ZstdRefusedError, unpack_frame
from cpi.errors import CpiError, DescriptorError, GroupPolicyError, ManifestError
from cpi.jar.manifest import parse_manifest
from cpi.limits import DEFAULT_LIMITS, ArchiveLimits
from cpi.package.dependencies import parse_dependencies, unsatisfied
from cpi.package.descriptor import CodeDescriptor, dump_descriptor, parse_descriptor
from cpi.package.group_policy import parse_group_policy
from cpi.package.model import CpkDependency
from cpi.package.verify import read_package
from cpi.package.versions import compare_versions
from cpi.strict_json import ISSUES_MAX, JsonRefusedError, parse_json
from tests.cpi import support
from tests.cpi.support import cpk, edit, policy, refuse
from tests.steps import steps_of

_MIB = 1024 * 1024
HEAD = b"Manifest-Version: 1.0\r\n\r\n"


def frame(blocks: bytes, size: int) -> bytes:
    """A zstd frame without checksum that states `size` bytes."""
    return struct.pack("<IBBQ", 0xFD2FB528, 0xC0, 0x60, size) + blocks


def block(kind: int, size: int, content: bytes, *, last: bool = False) -> bytes:
    return (size << 3 | kind << 1 | last).to_bytes(3, "little") + content


RLE_128K = block(1, 128 * 1024, b"a")
EMPTY = block(0, 0, b"")


def unpacked(data: bytes, size: int, chunk: int = 65_536) -> bytes:
    pieces = (data[at : at + chunk] for at in range(0, len(data), chunk))
    return b"".join(unpack_frame(pieces, size=size))


class TestZstdFrames:
    @pytest.mark.parametrize("chunk", [1, 7, 65_536])
    @pytest.mark.parametrize("content", [b"", b"abc", b"abc" * 100_000, bytes(300_000)])
    def test_frames_of_the_library_are_unpacked(self, content: bytes, chunk: int) -> None:
        for parameters in ({}, {"write_checksum": True}):
            packed = zstandard.ZstdCompressor(**parameters).compress(content)
            assert unpacked(packed, len(content), chunk) == content

    def test_hand_made_frames_are_what_the_library_reads(self) -> None:
        data = frame(EMPTY + block(1, 1000, b"a", last=True), 1000)
        assert zstandard.decompress(data) == unpacked(data, 1000) == b"a" * 1000

    @pytest.mark.parametrize(
        ("data", "size", "words"),
        [
            (frame(RLE_128K * 100_000, _MIB), _MIB, "unpacks to more than the 1048576 bytes"),
            (frame(EMPTY * 4_000_000, _MIB), _MIB, "more than 1040 blocks for 1048576 bytes"),
            (frame(block(0, 1 << 18, bytes(1 << 18)), _MIB), _MIB, "has a block of 262144 bytes"),
            (frame(RLE_128K, _MIB), _MIB, "is not exactly one zstd frame"),
            (frame(RLE_128K, 5), _MIB, "unpacks to 5 bytes, the descriptor states 1048576"),
            (zstandard.compress(b"abc") + b"x", 3, "is not exactly one zstd frame"),
            (zstandard.compress(b"abc")[:-1], 3, "is not exactly one zstd frame"),
            (b"no frame at all....", 3, "is no readable zstd frame"),
            (b"", 3, "is no readable zstd frame"),
        ],
    )
    def test_what_is_refused(self, data: bytes, size: int, words: str) -> None:
        with pytest.raises(ZstdRefusedError, match=words):
            unpacked(data, size)

    def test_a_bomb_is_left_at_its_first_block_too_many(self) -> None:
        """Nine blocks of 100,000 are looked at, whatever the frame holds behind them."""

        def refused(blocks: int) -> Callable[[], None]:
            data = frame(RLE_128K * blocks, _MIB)

            def run() -> None:
                with pytest.raises(ZstdRefusedError):
                    unpacked(data, _MIB)

            return run

        assert steps_of(refused(100_000)) <= steps_of(refused(20)) + 10


class TestManifests:
    def test_sections_are_bounded(self) -> None:
        data = HEAD + b"".join(b"Name: %d\r\nA: b\r\n\r\n" % n for n in range(30))
        assert len(parse_manifest(data, sections_max=30).entries) == 30
        with pytest.raises(ManifestError, match="line 90: more than 29 sections"):
            parse_manifest(data, sections_max=29)

    def test_six_hundred_thousand_sections_cost_as_many_as_are_allowed(self) -> None:
        data = HEAD + b"".join(b"Name: %d\r\nA: b\r\n\r\n" % n for n in range(60_000))

        def refused() -> None:
            with pytest.raises(ManifestError, match="more than 50 sections"):
                parse_manifest(data, sections_max=50)

        assert steps_of(refused) < 5_000

    def test_lines_are_bounded_by_the_size(self) -> None:
        data = b"Manifest-Version: 1.0\r\nA: b\r\n" + b" c\r\n" * 100_000
        with pytest.raises(ManifestError, match="more than 51003 lines in 400029 bytes"):
            parse_manifest(data)
        small = b"Manifest-Version: 1.0\r\nA: b\r\n" + b" c\r\n" * 900
        assert parse_manifest(small).main.get("A") == "b" + "c" * 900

    def test_a_package_whose_manifest_has_more_sections_than_files(self) -> None:
        extra = b"".join(b"Name: %d\r\nA: b\r\n\r\n" % n for n in range(100))
        data = edit(
            cpk(),
            lambda es: [(n, c + extra if n == "META-INF/MANIFEST.MF" else c) for n, c in es],
        )
        assert refuse(data) == ["manifest-syntax"]

    def test_a_manifest_is_bounded_by_the_entries_of_its_archive(self) -> None:
        assert DEFAULT_LIMITS.manifest_bytes(10) == 256 * 1024 + 10 * 4096
        assert DEFAULT_LIMITS.manifest_bytes(20_000) == 16 * _MIB
        long = b"".join(b"X%d: %s\r\n" % (n, b"a" * 400) for n in range(1000))
        data = edit(
            cpk(),
            lambda es: [
                (n, HEAD[:-2] + long + c[len(HEAD) - 2 :] if n == "META-INF/MANIFEST.MF" else c)
                for n, c in es
            ],
        )
        assert refuse(data) == ["archive-too-large"]

    def test_signers_are_bounded(self) -> None:
        signers = [support.signer(f"S{n}") for n in range(DEFAULT_LIMITS.signers_max + 1)]
        assert refuse(cpk(*signers)) == ["signature-format"]
        support.accept(cpk(*signers[:-1]))


class TestJson:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('"\\ud800"', "half a character"),
            ('{"\\udc00": 1}', "half a character"),
            ('["a", ["\\ud83d\\ud83d"]]', "half a character"),
            ('"\ud800"', "half a character"),
            ("1" * 1001, "more than 1000 characters"),
            ("1." + "1" * 1000, "more than 1000 characters"),
            ("1e999", "number 1e999 is too large"),
            ("[-1e400]", "is too large"),
            ("NaN", "NaN is no JSON number"),
            ('{"a":1,"a":2}', "Duplicate field 'a'"),
            ("[" * 65 + "]" * 65, "nested deeper than 64"),
            ("[" * 2_000_000, "nested deeper than 64"),
        ],
    )
    def test_what_is_refused(self, text: str, words: str) -> None:
        for data in (text, *([text.encode()] if text.isascii() else [])):
            with pytest.raises(JsonRefusedError, match=words):
                parse_json(data, bytes_max=4 * _MIB)

    @pytest.mark.parametrize("text", ['"\\ud83d\\ude00"', '"\\\\ud800"', "1e308", "9" * 1000])
    def test_what_is_read(self, text: str) -> None:
        assert parse_json(text, bytes_max=_MIB) == parse_json(text.encode(), bytes_max=_MIB)

    def test_a_policy_with_half_a_character_in_a_name(self) -> None:
        text = policy().replace("O=Alice", "O=\\ud800")
        with pytest.raises(GroupPolicyError, match="half a character"):
            parse_group_policy(text)

    def test_a_document_is_told_of_a_hundred_violations(self) -> None:
        document = json.loads(policy())
        document["p2pParameters"]["tlsTrustRoots"] = list(range(5_000))
        with pytest.raises(GroupPolicyError) as refused:
            parse_group_policy(json.dumps(document))
        assert len(refused.value.issues) <= 2 * ISSUES_MAX

    def test_a_list_of_many_distinct_objects_is_left_at_its_first_fault(self) -> None:
        """The library compares each two of them, where all are looked at."""

        def refused(count: int) -> Callable[[], None]:
            text = json.dumps({"capabilities": [{str(n): 0} for n in range(count)]}).encode()

            def run() -> None:
                with pytest.raises(DescriptorError):
                    parse_descriptor(text)

            return run

        steps_of(refused(10))
        assert steps_of(refused(2_000)) < 2.5 * steps_of(refused(1_000))


def test_a_version_is_compared_in_linear_time() -> None:
    for unit in ("1.", "a1", "..."):
        small, large = (
            steps_of(lambda n=n, u=unit: compare_versions(u * n + "1", u * n + "2"))
            for n in (200, 400)
        )
        assert large <= 2 * small + 20


def test_dependencies_are_looked_up_once_for_each_cpk() -> None:
    """A thousand CPKs that each need a thousand others: a look-up each, no search."""

    def steps(count: int) -> int:
        needs = tuple(CpkDependency(name=f"n{n}", version="1") for n in range(10))
        data = cpk(symbolic_name="a", dependencies=needs)
        (one,) = read_package(data).cpks
        many = [one] * count
        return steps_of(lambda: list(unsatisfied(many, lambda *_: b"")))

    steps(1)
    assert steps(80) < 2.2 * steps(40)


def test_extra_fields_of_an_entry_are_bounded() -> None:
    from tests.cpi.test_cpi_archive import A, build, replace

    read_archive(build(replace(A, extra=b"\xfe\xca\0\0" * 32)))
    with pytest.raises(CpiError) as refused:
        read_archive(build(replace(A, extra=b"\xfe\xca\0\0" * 33)))
    assert refused.value.code == "archive-extra-field"


def test_a_dependencies_document_is_left_at_its_first_fault() -> None:
    items = [{"name": str(n), "version": "1"} for n in range(2_000)]
    text = json.dumps({"formatVersion": "2.0", "dependencies": items}).encode()
    with pytest.raises(CpiError, match=r"\$\.dependencies: "):
        parse_dependencies(text)


class TestTotals:
    """Many small CPKs may together ask for no more than one large package."""

    def test_of_what_is_parsed(self) -> None:
        channels = b'{"channels": []' + b" " * 100_000 + b"}"
        entries = {"config/external-channels.json": channels, "a.txt": b"a"}
        members = {f"c{n}.jar": cpk(symbolic_name=f"c{n}", entries=entries) for n in range(4)}
        bundle = support.cpb(cpks=members)
        support.accept(bundle, limits=ArchiveLimits(text_bytes_max=500_000))
        refused = support.refusal(bundle, limits=ArchiveLimits(text_bytes_max=300_000))
        assert {issue.code.value for issue in refused.issues} == {"archive-too-large"}
        assert "manifests, signatures and JSON documents" in refused.message

    def test_of_what_frames_unpack_to(self) -> None:
        wasm = bytes(1_000_000)
        facts = CodeDescriptor(
            world="workflow",
            world_version="1.0.0",
            form="component",
            code_digest="SHA-256:" + hashlib.sha256(wasm).hexdigest().upper(),
            component_path="wasm/component.wasm.zst",
            component_size=len(wasm),
        )
        entries = {
            "wasm/descriptor.json": dump_descriptor(facts),
            "wasm/component.wasm.zst": zstandard.compress(wasm),
        }
        members = {f"c{n}.jar": cpk(symbolic_name=f"c{n}", entries=entries) for n in range(4)}
        bundle = support.cpb(cpks=members)
        support.accept(bundle, limits=ArchiveLimits(total_bytes_max=4_200_000))
        refused = support.refusal(bundle, limits=ArchiveLimits(total_bytes_max=3_000_000))
        assert {issue.code.value for issue in refused.issues} == {"archive-too-large"}
